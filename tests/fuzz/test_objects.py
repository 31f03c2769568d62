"""A driver's objects are busy as long as the device is, lie side by side, and end when the device has said so."""

from typing import Any

import pytest

from vgpu_emu.fuzz.actions import Call, Program, Step
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import Conditions, run
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.control import CtrlType

#: guest memory that is more than what belongs to firmware and queues
SETUP = Setup(memory=(1 << 20) + (1 << 17))
BLOB: list[Step] = [Call("open"), Call("context_init", (0, 3)), Call("blob", (0, 1))]
#: 65 ms of work on ring 1 and 1 us on ring 2, both with the blob
BUSY: list[Step] = [*BLOB, Call("execbuffer", (0, 1, 60, 1)), Call("execbuffer", (0, 2, 0, 1))]
NOWAIT = 1


class _OfObjects:
    """Changes objects when they are made."""

    def driver(self, live: Any) -> Any:
        inner = live.new_mmap_offset

        def new(gem: Any) -> int:
            self.made(gem)
            return int(inner(gem))

        live.new_mmap_offset = new
        return live

    def made(self, gem: Any) -> None:
        raise NotImplementedError


class LastFenceCounts(_OfObjects):
    def made(self, gem: Any) -> None:
        def add(fence: Any) -> None:
            gem.fences = [fence]

        gem.add_fence = add


class RingsDoNotCount(_OfObjects):
    def made(self, gem: Any) -> None:
        add = gem.add_fence
        gem.add_fence = lambda fence: add(fence) if fence.ring_idx is None else None


class BusyForEver(_OfObjects):
    def made(self, gem: Any) -> None:
        add = gem.add_fence
        gem.add_fence = lambda fence: add(type(fence)())


class OffsetsAPageApart:
    def driver(self, live: Any) -> Any:
        inner = live.new_mmap_offset

        def new(gem: Any) -> int:
            offset = int(inner(gem))
            live._next_mmap_offset = offset + PAGE_SIZE
            return offset

        live.new_mmap_offset = new
        return live


class EndsAtOnce:
    """What an object has is free when RESOURCE_UNREF is sent."""

    def driver(self, live: Any) -> Any:
        inner = live.queue

        def queue(request: Any, callback: Any = None, *rest: Any, **options: Any) -> Any:
            if request.type == CtrlType.RESOURCE_UNREF and callback is not None:
                callback(b"")
                callback = None
            return (yield from inner(request, callback, *rest, **options))

        live.queue = queue
        return live


@pytest.mark.parametrize(
    ("defect", "steps", "oracle"),
    [
        (LastFenceCounts, [*BUSY, Call("wait")], "I21"),
        (RingsDoNotCount, [*BUSY, Call("wait")], "I21"),
        (RingsDoNotCount, [*BUSY, Call("wait", (0, NOWAIT))], "I21"),
        (BusyForEver, [*BUSY, Call("wait"), Call("wait", (0, NOWAIT))], "I21"),
        (OffsetsAPageApart, [*BLOB, Call("blob", (0, 1))], "I4"),
        (EndsAtOnce, [*BLOB, Call("close_handle")], "I14"),
        (EndsAtOnce, [Call("open"), Call("image"), Call("close_handle")], "I9"),
    ],
)
def test_what_a_driver_does_wrong_with_objects_is_found(defect: Any, steps: list[Step], oracle: str) -> None:
    program = Program(SETUP, tuple(steps))
    assert run(program).found is None
    found = run(program, Conditions(defects=(defect,))).found
    assert found is not None
    assert found.oracle == oracle
