"""Command streams wait for fence fds and sync objects, and tell by events; room that is there is used."""

from collections.abc import Callable
from errno import EAGAIN, EINVAL, ENOMEM, ENOSPC
from typing import Any

import pytest

from vgpu_emu.fuzz.actions import Call, Elapse, Program, Step
from vgpu_emu.fuzz.guest import SyncPoints
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import run
from vgpu_emu.guest.drm_mm import DrmMm
from vgpu_emu.guest.fences import Fence, FenceDriver
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.pages import PageAllocator
from vgpu_emu.guest.syncobj import SyncObj
from vgpu_wire.virtgpu_drm import EVENT_FENCE_SIGNALED

SETUP = Setup(memory=(1 << 20) + (1 << 17))
RINGS: list[Step] = [Call("open"), Call("context_init", (0, 4))]
#: 65 ms of work on ring 1
BUSY: list[Step] = [*RINGS, Call("execbuffer", (0, 1, 60))]
#: submit_after: of which file, on which ring, 1 us; then which fence, which sync objects, at which points
FENCE, NO_FENCE = 1, 0
#: another file's, on its ring 1
BEHIND_FENCE = Call("submit_after", (1, 1, 0, FENCE))
#: a sync object that gets the fence of 65 ms of work, at point 0 or 2
SYNC = [*RINGS, Call("syncobj", (0, 0)), Call("submit_after", (0, 1, 60, NO_FENCE, 0, 1))]
POINT = [*RINGS, Call("syncobj", (0, 0)), Call("submit_after", (0, 1, 60, NO_FENCE, 0, 9))]
#: one that waits for all that a sync object has, and for its point 1
BEHIND_SYNC = Call("submit_after", (0, 2, 0, NO_FENCE, 1, 4))
BEHIND_POINT = Call("submit_after", (0, 2, 0, NO_FENCE, 1, 0))
EVENTS: list[Step] = [Call("open"), Call("context_init", (0, 4, 0, 0, 1)), Call("execbuffer", (0, 1, 5))]


def _waits_for_nothing(_self: SyncObj, _point: int) -> list[Fence]:
    return []


def _finds_nothing(_self: SyncObj, point: int) -> list[Fence]:
    raise OSError(EINVAL, f"point {point} has no fence")


def _same_contexts(_self: FenceDriver, _number: int) -> int:
    return 2


def _no_event(_self: DrmFile) -> int:
    raise OSError(EAGAIN, "no event")


def _event(_self: DrmFile) -> int:
    return EVENT_FENCE_SIGNALED


def _full(self: DrmMm, size: int) -> int:
    raise OSError(ENOSPC, f"no hole of {size:#x} bytes")


def _no_pages(self: PageAllocator, size: int) -> list[tuple[int, int]]:
    raise OSError(ENOMEM, f"no {size:#x} bytes")


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "steps", "oracle"),
    [
        (FenceDriver, "new_contexts", _same_contexts, [*BUSY, *RINGS, BEHIND_FENCE], "I21"),
        (SyncObj, "fences", _waits_for_nothing, [*SYNC, BEHIND_SYNC], "I21"),
        (SyncObj, "fences", _waits_for_nothing, [*POINT, BEHIND_POINT], "I21"),
        (SyncObj, "fences", _waits_for_nothing, [*RINGS, Call("syncobj", (0, 0)), BEHIND_SYNC], "I21"),
        (SyncObj, "fences", _finds_nothing, [*SYNC, BEHIND_SYNC], "I21"),
        (SyncObj, "fences", _waits_for_nothing, [*SYNC, Call("wait_syncobj", (0, 2))], "I21"),
        (SyncObj, "fences", _waits_for_nothing, [*RINGS, Call("syncobj", (0, 0)), Call("wait_syncobj")], "I21"),
        (SyncObj, "fences", _finds_nothing, [*SYNC, Call("wait_syncobj", (0, 2))], "I21"),
        (DrmFile, "read_event", _no_event, [*EVENTS, Elapse(9), Call("event")], "I21"),
        (DrmFile, "read_event", _event, [*EVENTS, Call("event")], "I21"),
        (DrmMm, "insert", _full, [*RINGS, Call("blob", (0, 1))], "I14"),
        (PageAllocator, "allocate", _no_pages, [Call("open"), Call("dumb")], "I10"),
        (PageAllocator, "allocate", _no_pages, [Call("open"), Call("image")], "I10"),
        (PageAllocator, "allocate", _no_pages, [Call("open"), Call("guest_blob")], "I10"),
        (PageAllocator, "allocate", _no_pages, [Call("open"), Call("screen")], "I10"),
    ],
)
def test_what_a_driver_does_wrong_is_found(
    owner: type, name: str, wrong: Callable[..., Any], steps: list[Step], oracle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(SETUP, tuple(steps))
    assert run(program).found is None
    monkeypatch.setattr(owner, name, wrong)
    found = run(program).found
    assert found is not None
    assert found.oracle == oracle, found


def test_what_a_sync_object_has_is_what_linux_has() -> None:
    first, second, third = Fence(), Fence(), Fence()
    points = SyncPoints(None, 1, [])  # type: ignore[arg-type]
    assert points.fences(0) is None
    points.add(0, first)
    assert points.fences(0) == [first]
    assert points.fences(1) is None
    points.add(3, second)
    points.add(2, third)
    assert points.points[-1] == (3, third), "one that is not later has the number of the last"
    assert points.fences(1) == points.fences(3) == [first, second]
    assert points.fences(0) == [first, second, third]
    assert points.fences(4) is None
    points.add(0, third)
    assert points.fences(0) == [third]
