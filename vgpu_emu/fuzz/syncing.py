"""Calls of a guest program whose command streams wait for one another: fence fds, sync objects, events."""

from collections.abc import Callable, Iterable
from errno import EAGAIN, EINVAL, ETIME

from vgpu_emu.fuzz.actions import one_of
from vgpu_emu.fuzz.guest import Guest, SyncPoints, Timeline
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.submitting import submit
from vgpu_emu.guest.fences import Fence
from vgpu_emu.guest.submit import ExecSyncObj
from vgpu_emu.guest.waiting import Op
from vgpu_wire.virtgpu_drm import EVENT_FENCE_SIGNALED, EXECBUF_SYNCOBJ_RESET, ExecbufFlag

#: sync objects of a program
_MOST = 4
#: seconds that a program waits for one
_PATIENCE = (0.0, 1e-4, 5.0)


def syncobj(guest: Guest, file: int, signaled: int) -> None:
    """A sync object, without a fence or with one that is signalled."""
    if len(guest.syncs) < _MOST:
        owner, is_signaled = guest.file(file), signaled % 3 == 1
        handle = owner.syncobj_create(signaled=is_signaled)
        guest.syncs.append(SyncPoints(owner, handle, [(0, None)] if is_signaled else []))


def destroy_syncobj(guest: Guest, sync: int) -> None:
    """What waits for its fences goes on doing so."""
    gone = one_of(guest.syncs, sync)
    guest.syncs.remove(gone)
    gone.file.syncobj_destroy(gone.handle)


def submit_after(guest: Guest, file: int, ring: int, microseconds: int, fence: int, sync: int, point: int) -> Op[None]:
    """A command stream behind a fence, sync objects or both, and with a sync object that is told when it is done."""
    owner = guest.file(file)
    mine = [there for there in guest.syncs if there.file is owner]
    befores = _before(mine, sync, point)
    behind, number = one_of(mine, sync // 3) if mine and point % 4 else None, point // 4 % 5
    in_fence = one_of(guest.fences, fence) if guest.fences and fence % 4 else None
    found = [there.fences(awaited) for there, awaited in befores]
    wanted = [*(of for fences in found for of in fences or ()), *([in_fence.fence] if in_fence is not None else [])]
    reset = befores[0][0] if befores and sync % 5 == 4 else None
    try:
        made, timeline = yield from submit(
            guest,
            owner,
            ring,
            microseconds,
            flags=int(ExecbufFlag.FENCE_FD_IN) if in_fence is not None else 0,
            in_fence=in_fence,
            in_syncobjs=[
                ExecSyncObj(there.handle, awaited, EXECBUF_SYNCOBJ_RESET * (there is reset))
                for there, awaited in befores
            ],
            out_syncobjs=[ExecSyncObj(behind.handle, number)] if behind else [],
        )
    except OSError as refused:
        if refused.errno == EINVAL and befores and None not in found:
            raise Finding("I21", f"{befores} have fences at these points, and the driver finds none") from None
        raise
    if None in found:
        raise Finding("I21", f"of {befores} one has no fence at this point, and the driver waits for one")
    _waited(guest, wanted, timeline)
    if behind is not None:
        behind.add(number, made)
    if reset is not None:
        # comes last, of one that was given a fence just now, too (virtio_gpu_cleanup_submit)
        reset.points.clear()


def _before(mine: list[SyncPoints], sync: int, point: int) -> list[tuple[SyncPoints, int]]:
    """Which of a file's sync objects are waited for, and up to which point: all, one that there is, or the next."""
    if not mine or not sync % 3:
        return []
    first = one_of(mine, sync)
    points = [0, *(number for number, _fence in first.points)]
    others = [(there, 0) for there in mine if there is not first]
    return [(first, one_of([*points, points[-1] + 1], point)), *others[: sync // 4 % 2]]


def _waited(guest: Guest, wanted: Iterable[Fence | None], timeline: Timeline) -> None:
    """What is on the same timeline is in order anyway. Raises Finding."""
    guest.bench.judge.evaluated["I21"] += 1
    for fence in wanted:
        if fence is not None and not fence.signaled and guest.timelines.get(fence) != timeline:
            raise Finding(
                "I21", f"a command stream was sent that waits for fence {fence.fence_id}, before that signalled"
            )


def wait_syncobj(guest: Guest, sync: int, patience: int) -> Op[None]:
    """Raises OSError: ETIME; Finding."""
    there = one_of(guest.syncs, sync)
    fences = there.fences(0)
    guest.bench.judge.evaluated["I21"] += 1
    try:
        yield from there.file.syncobj_wait([there.handle], _PATIENCE[patience % 3])
    except OSError as refused:
        due = [fence for fence in fences or () if fence is not None and not fence.signaled]
        if (refused.errno == EINVAL and fences is not None) or (refused.errno == ETIME and not due):
            raise Finding(
                "I21", f"{there} is refused with errno {refused.errno}, and all its fences are done"
            ) from None
        raise
    if fences is None:
        raise Finding("I21", f"{there} has no fence, and is waited for")
    for fence in fences:
        if fence is not None and not fence.signaled:
            raise Finding("I21", f"{there} is done, and its fence {fence.fence_id} is not signalled")


def event(guest: Guest, file: int) -> None:
    """Reads an event: there is one for each fence of a polled ring that is signalled. Raises Finding."""
    owner = guest.file(file)
    polled = [fence for of, fence in guest.polled if of is owner]
    done = [fence for fence in polled if fence.signaled]
    guest.bench.judge.evaluated["I21"] += 1
    try:
        kind = owner.read_event()
    except OSError as refused:
        if refused.errno == EAGAIN and done:
            raise Finding(
                "I21", f"fence {done[0].fence_id} of a polled ring is signalled, and no event is there"
            ) from None
        raise
    if kind != EVENT_FENCE_SIGNALED:
        # of a page flip
        return
    if not done:
        raise Finding("I21", f"an event, and no fence of a polled ring is signalled; {len(polled)} are not")
    guest.polled.remove((owner, done[0]))


CALLS: dict[str, Callable[..., Op[None] | None]] = {
    "syncobj": syncobj,
    "destroy_syncobj": destroy_syncobj,
    "submit_after": submit_after,
    "wait_syncobj": wait_syncobj,
    "event": event,
}
NEEDS: dict[str, str] = {
    **dict.fromkeys(("syncobj", "submit_after"), "files"),
    **dict.fromkeys(("destroy_syncobj", "wait_syncobj"), "syncs"),
    "event": "polled",
}
