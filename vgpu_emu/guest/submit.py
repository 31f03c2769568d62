"""EXECBUFFER: a context's command stream, and the fences before and behind it (virtgpu_submit.c)."""

from collections.abc import Sequence
from errno import EALREADY, EINVAL, ENOENT, ENOMEM, ENOSYS
from typing import TYPE_CHECKING

import msgspec

from vgpu_emu.guest.fences import DEVICE_CONTEXT, Fence, wait_for_fences
from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.syncobj import SyncObj
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import GemHandle
from vgpu_wire.device import Feature
from vgpu_wire.render import CmdSubmit
from vgpu_wire.virtgpu_drm import (
    EVENT_FENCE_SIGNALED,
    EXECBUF_FLAGS,
    EXECBUF_SYNCOBJ_FLAGS,
    EXECBUF_SYNCOBJ_RESET,
    ExecbufFlag,
)

if TYPE_CHECKING:
    from vgpu_emu.guest.open_file import OpenFile

#: events that a file may have unread: 4096 bytes of 8 (drm_file.event_space)
MAX_EVENTS = 512


class SyncFile(msgspec.Struct, frozen=True):
    """What a fence fd refers to: a fence that any ioctl may wait for."""

    fence: Fence


class ExecSyncObj(msgspec.Struct, frozen=True):
    """drm_virtgpu_execbuffer_syncobj. flags: EXECBUF_SYNCOBJ_RESET, of one that is waited for."""

    handle: int
    point: int = 0
    flags: int = 0


class _Submission(msgspec.Struct):
    """struct virtio_gpu_submit. resets: sync objects that lose their fence when the call is over, in whatever way."""

    context: int
    fence: Fence | None
    objects: list[GemObject] = msgspec.field(default_factory=list)
    post: list[tuple[SyncObj, int]] = msgspec.field(default_factory=list)
    resets: list[SyncObj] = msgspec.field(default_factory=list)


def execbuffer(
    file: "OpenFile",
    command: bytes,
    *,
    flags: int = 0,
    ring_idx: int = 0,
    bo_handles: Sequence[GemHandle] = (),
    in_fence: SyncFile | None = None,
    in_syncobjs: Sequence[ExecSyncObj] = (),
    out_syncobjs: Sequence[ExecSyncObj] = (),
) -> Op[SyncFile | None]:
    """DRM_IOCTL_VIRTGPU_EXECBUFFER: returns the fence fd with FENCE_FD_OUT, else None. Sleeps until the fences that it
    is given are signalled, those of its own timeline excepted. The command is fenced if anybody could wait for it.

    Raises OSError: ENOSYS without VIRGL; EINVAL for an unknown flag, a ring that CONTEXT_INIT did not make, no fence
    where one is promised, and wrong sync objects; ENOENT for an unknown handle; EALREADY for one that is named twice;
    ENOMEM for too many unread events.
    """
    file.require_device()
    if not file.driver.has(Feature.VIRGL):
        raise OSError(ENOSYS, "no command streams without VIRGL")
    if flags & ~EXECBUF_FLAGS:
        raise OSError(EINVAL, f"flags {flags:#x}")
    on_ring = bool(flags & ExecbufFlag.RING_IDX)
    if on_ring and (ring_idx >= file.num_rings or not file.base_fence_context):
        raise OSError(EINVAL, f"ring {ring_idx} of {file.num_rings}")
    yield from file.create_context()
    submission = _start(file, flags, ring_idx if on_ring else None, bool(out_syncobjs or bo_handles))
    try:
        submission.objects = _objects(file, bo_handles)
        submission.post = [_post_dependency(file, wanted) for wanted in out_syncobjs]
        yield from _wait_before(file, submission, in_syncobjs, flags, in_fence)
        if len(set(bo_handles)) < len(bo_handles):
            raise OSError(EALREADY, "an object is named twice, and cannot be locked twice")
        request = CmdSubmit(ctx_id=file.ctx_id or 0, size=len(command), commands=command)
        yield from file.driver.queue(request, fence=submission.fence, objects=submission.objects)
        _after(submission)
    finally:
        for syncobj in submission.resets:
            syncobj.replace(None)
    return SyncFile(submission.fence) if flags & ExecbufFlag.FENCE_FD_OUT and submission.fence is not None else None


def _start(file: "OpenFile", flags: int, ring_idx: int | None, wanted: bool) -> _Submission:
    """virtio_gpu_init_submit: the fence, and the event that its signal will be, on a ring that is polled."""
    context = DEVICE_CONTEXT if ring_idx is None else file.base_fence_context + ring_idx
    is_polled = ring_idx is not None and bool(file.poll_rings_mask >> ring_idx & 1)
    if not (wanted or is_polled or flags & ExecbufFlag.FENCE_FD_OUT):
        return _Submission(context, None)
    fence = Fence(context, ring_idx)
    if is_polled:
        if file.reserved_events >= MAX_EVENTS:
            raise OSError(ENOMEM, "too many events are unread")
        file.reserved_events += 1
        fence.then = lambda: file.events.append(EVENT_FENCE_SIGNALED)
    return _Submission(context, fence)


def _objects(file: "OpenFile", handles: Sequence[GemHandle]) -> list[GemObject]:
    """virtio_gpu_array_from_handles"""
    return [file.object(handle) for handle in handles]


def _post_dependency(file: "OpenFile", wanted: ExecSyncObj) -> tuple[SyncObj, int]:
    """virtio_gpu_parse_post_deps, for one."""
    syncobj = file.syncobjs.get(wanted.handle)
    if wanted.flags or syncobj is None:
        raise OSError(EINVAL, f"sync object {wanted.handle}, flags {wanted.flags:#x}")
    return syncobj, wanted.point


def _wait_before(
    file: "OpenFile",
    submission: _Submission,
    in_syncobjs: Sequence[ExecSyncObj],
    flags: int,
    in_fence: SyncFile | None,
) -> Op[None]:
    """virtio_gpu_parse_deps and virtio_gpu_wait_in_fence, in this order."""
    resets = []
    for wanted in in_syncobjs:
        if wanted.flags & ~EXECBUF_SYNCOBJ_FLAGS:
            raise OSError(EINVAL, f"sync object flags {wanted.flags:#x}")
        syncobj = file.syncobjs.get(wanted.handle)
        if syncobj is None:
            raise OSError(ENOENT, f"no sync object {wanted.handle}")
        yield from _foreign(submission, syncobj.fences(wanted.point))
        if wanted.flags & EXECBUF_SYNCOBJ_RESET:
            resets.append(syncobj)
    submission.resets = resets
    if flags & ExecbufFlag.FENCE_FD_IN:
        if in_fence is None:
            raise OSError(EINVAL, "no sync file")
        yield from _foreign(submission, [in_fence.fence])


def _foreign(submission: _Submission, fences: list[Fence]) -> Op[None]:
    """virtio_gpu_dma_fence_wait: fences of the same timeline are in order anyway."""
    others = [fence for fence in fences if fence.context != submission.context]
    yield from wait_for_fences(others, "the fences before a command stream")


def _after(submission: _Submission) -> None:
    """virtio_gpu_process_post_deps"""
    if submission.fence is None:
        return
    for syncobj, point in submission.post:
        if point:
            syncobj.add_point(submission.fence, point)
        else:
            syncobj.replace(submission.fence)
