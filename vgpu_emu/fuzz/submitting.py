"""Calls of a guest that gives the GPU work: contexts, command streams, transfers."""

from typing import Any

from vgpu_emu.fuzz import asking
from vgpu_emu.fuzz.actions import one_of
from vgpu_emu.fuzz.guest import Guest, Timeline
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.promising import Promise
from vgpu_emu.guest.fences import Fence
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.ioctls_resource import Transfer
from vgpu_emu.guest.waiting import Op
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.control import CtrlFlag, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import Box
from vgpu_wire.virtgpu_drm import ContextParam, ExecbufFlag

#: bytes of a context's name, around what there is room for; 0: it has the process's
NAME_BYTES = (0, 0, 0, 5, 62, 63, 64, 65)
#: numbers of an execbuffer that mean work for longer than 16 bits of microseconds -> how long
LONG_WORK = {60: 0x10000, 61: 0x10001, 62: 150_000, 63: 2_100_000}


def work_of(number: int) -> int:
    """The microseconds that a number of an execbuffer means."""
    return LONG_WORK.get(number, 1 + number % 1000)


def polled_of(number: int, rings: int) -> int:
    """The mask of rings that tell by events: none, all, or any."""
    return (0, (1 << rings) - 1, 1 + number // 4, (1 << rings) - 1)[number % 4]


def context_init(guest: Guest, file: int, rings: int, capset: int, name: int, polled: int) -> Op[None]:
    """The context of a file that has none yet: rings, and now and then a capset, a name, and rings that tell by events
    that they are done."""
    owner = one_of(guest.fresh or guest.files, file)
    params: list[tuple[int, int | bytes]] = [(ContextParam.NUM_RINGS, rings % 66)]
    if mask := polled_of(polled, rings % 66):
        params.append((ContextParam.POLL_RINGS_MASK, mask))
    capset_id, length = 0, NAME_BYTES[name % len(NAME_BYTES)]
    if capset % 3 == 1:
        yield from asking.probed(guest)
        capset_id = one_of(guest.bench.world.setup.capsets, capset // 3)[0]
        params.append((ContextParam.CAPSET_ID, capset_id))
    if length:
        params.append((ContextParam.DEBUG_NAME, b"n" * length + b"\0"))
    members = {"nlen": min(length, 64)} if length else {}
    guest.promises.append(Promise(CtrlType.CTX_CREATE, ctx_id=owner.ctx_id, context_init=capset_id, **members))
    yield from owner.context_init(params)


def execbuffer(guest: Guest, file: int, ring: int, microseconds: int, objects: int) -> Op[None]:
    owner = guest.file(file)
    handles = [handle for of, handle in guest.objects if of is owner][: objects % 3]
    used = [int(owner.object(handle).resource_id) for handle in handles]
    fence, _timeline = yield from submit(guest, owner, ring, microseconds, bo_handles=handles)
    guest.bench.signalling.names(fence.fence_id, used)


def submit(
    guest: Guest, owner: DrmFile, ring: int, microseconds: int, flags: int = 0, **more: Any
) -> Op[tuple[Fence, Timeline]]:
    """A command stream that takes time. more: of DRM_IOCTL_VIRTGPU_EXECBUFFER. Returns its fence, and where that is in
    order."""
    on_ring = ExecbufFlag.RING_IDX if owner.num_rings and ring % 3 else 0
    command = StreamWork(microseconds=work_of(microseconds)).build()
    ring_idx = ring % owner.num_rings if on_ring else 0
    fenced = CtrlFlag.FENCE | (CtrlFlag.INFO_RING_IDX if on_ring else 0)
    members = {"ctx_id": owner.ctx_id, "commands": command, "flags": int(fenced), "ring_idx": ring_idx}
    guest.promises.append(Promise(CtrlType.SUBMIT_3D, **members))
    flags |= int(ExecbufFlag.FENCE_FD_OUT | on_ring)
    sync = yield from owner.execbuffer(command, flags=flags, ring_idx=ring_idx, **more)
    if sync is None:
        raise Finding("I21", "a fence fd was asked for, and there is none")
    timeline = (owner, ring_idx) if on_ring else None
    guest.fences.append(sync)
    guest.timelines[sync.fence] = timeline
    if on_ring and owner.poll_rings_mask >> ring_idx & 1:
        guest.polled.append((owner, sync.fence))
    return sync.fence, timeline


def transfer(guest: Guest, bo: int, x: int, y: int, width: int, height: int, to_host: int) -> Op[None]:
    """A box of an object, one way or the other."""
    owner, handle = one_of(guest.objects, bo)
    box = Box(x=x % 16, y=y % 16, w=1 + width % 16, h=1 + height % 16, d=1)
    way = owner.transfer_to_host if to_host % 3 else owner.transfer_from_host
    resource_id = owner.object(handle).resource_id
    if owner.driver.has(Feature.VIRGL):
        kind = CtrlType.TRANSFER_TO_HOST_3D if to_host % 3 else CtrlType.TRANSFER_FROM_HOST_3D
        guest.promises.append(Promise(kind, resource_id=resource_id, box=box, flags=CtrlFlag.FENCE.value))
    yield from way(handle, Transfer(box=box))
