"""Each defect of outside_later.py is reachable, and breaks what a driver was promised: see test_outside_defects."""

from collections.abc import Callable
from typing import Any

import pytest
from outside_rig import Told, outcome

from vgpu_emu.drive.requests import attach, create_2d, transfer, work
from vgpu_emu.fuzz.defects import outside_later
from vgpu_emu.fuzz.defects.outside_seams import Outside
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.vmm.state import Image
from vgpu_wire.blob import BlobMem
from vgpu_wire.context_stream import StreamFree, StreamWork
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.render import CtxCreate
from vgpu_wire.virtgpu_drm import ContextParam, ExecbufFlag


def busy_context(machine: Told) -> None:
    """A context whose ring 1 is busy for 9 ms, and its ring 2 for 1 ms; a fence behind each."""
    machine.tell(CtxCreate(ctx_id=1))
    assert machine.send(work(1, 9, ring_idx=1, fence_id=1)) is None
    assert machine.send(work(1, 1, ring_idx=2, fence_id=2)) is None


def answered_when_the_short_ring_is_done(machine: Told) -> Any:
    busy_context(machine)
    return machine.pass_time(0.002)


def global_fence_behind_a_long_and_a_short_ring(machine: Told) -> Any:
    machine.tell(CtxCreate(ctx_id=1), work(1, 9, ring_idx=1))
    assert machine.send(work(1, 1, fence_id=1)) is None
    return machine.pass_time(0.002)


def ring_used_again_after_a_reset(machine: Told) -> Any:
    """Whether a fence with no work before it is answered at once."""
    busy_context(machine)
    machine.carry(machine.device.reset())
    machine.device.negotiate(machine.driver.features)
    machine.tell(CtxCreate(ctx_id=1))
    return machine.send(work(1, 0, ring_idx=1, fence_id=3)) is not None


def sync_files_of_a_long_and_a_short_ring(machine: Told) -> Any:
    """Which of them are signalled when the short one is done."""
    file = DrmFile(machine.driver)
    machine.run(file.context_init([(ContextParam.NUM_RINGS, 2)]))
    flags = ExecbufFlag.FENCE_FD_OUT | ExecbufFlag.RING_IDX
    files = [
        machine.run(file.execbuffer(StreamWork(microseconds=us).build(), flags=flags, ring_idx=ring))
        for ring, us in enumerate((9000, 1000))
    ]
    machine.advance(0.002)
    return [one is not None and one.fence.signaled for one in files]


def object_of_a_refused_stream_is_closed(machine: Told) -> Any:
    """Whether the device hears of its end."""
    file = DrmFile(machine.driver)
    handle = machine.run(file.resource_create_blob(size=4096, blob_mem=BlobMem.GUEST.value, blob_flags=1))
    machine.run(file.execbuffer(StreamFree(blob_id=77).build(), bo_handles=[handle]))
    machine.run(file.gem_close(handle))
    machine.run(machine.driver.settle())
    return len(machine.device.resources)


def two_fences_of_a_ring_over_a_restart(machine: Told) -> Any:
    """Who is answered afterwards. The first request, which makes the context, is 1."""
    machine.tell(CtxCreate(ctx_id=1))
    assert machine.send(work(1, 1, ring_idx=1, fence_id=1)) is None
    assert machine.send(work(1, 1, ring_idx=1, fence_id=2)) is None
    assert machine.restarted() == []
    return machine.pass_time(0.01)


def scattered_backing_over_a_restart(machine: Told) -> Any:
    machine.parts.memory.write(0, b"low!" * 2048)
    machine.parts.memory.write(0x10000, b"high" * 2048)
    machine.tell(create_2d(1), attach(1, (0x10000, 8192), (0, 8192)))
    assert machine.restarted() == []
    machine.tell(transfer())
    image = machine.device.find(1)
    assert isinstance(image, Image)
    return bytes(image.pixels[:4])


def third_request_is_answered_before_two_others(machine: Told) -> Any:
    """The heads in the order of the answers, without the first."""
    busy_context(machine)
    machine.tell(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value))
    machine.pass_time(0.01)
    return [head - (1 << 20) for head, _type in machine.answers[1:]]


#: defect, story, what is promised, what comes of it with the defect
STORIES: list[tuple[type[Outside], Callable[[Told], Any], Any, Any]] = [
    (outside_later.RingsShareProgress, answered_when_the_short_ring_is_done, [3], [3, 2]),
    (outside_later.GlobalFenceOfOneRing, global_fence_behind_a_long_and_a_short_ring, [], [3]),
    (outside_later.FencesOutliveReset, ring_used_again_after_a_reset, True, False),
    (outside_later.OldFenceList, sync_files_of_a_long_and_a_short_ring, [False, True], [True, True]),
    (outside_later.ErrorKeepsObjects, object_of_a_refused_stream_is_closed, 0, 1),
    (outside_later.NewestFenceIsKept, two_fences_of_a_ring_over_a_restart, [2, 3], [3]),
    (outside_later.BackingIsSorted, scattered_backing_over_a_restart, b"high", b"low!"),
    (outside_later.AnswersInOrder, third_request_is_answered_before_two_others, [4, 3, 2], [2, 3, 4]),
]


@pytest.mark.parametrize(
    ("kind", "story", "promised", "wrong"), STORIES, ids=lambda value: getattr(value, "__name__", "")
)
def test_defect_breaks_the_promise(
    kind: type[Outside], story: Callable[[Told], Any], promised: Any, wrong: Any
) -> None:
    assert kind.depth == "L4"
    assert outcome(story) == promised
    assert outcome(story, kind) == wrong
