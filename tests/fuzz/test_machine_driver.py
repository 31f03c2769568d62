"""The trio machine as a target: what the driver holds, sends and takes for signalled is looked at there, too."""

from typing import Any

import pytest

from vgpu_emu.faults.plan import Delay, Drop
from vgpu_emu.fuzz import machine_trial
from vgpu_emu.fuzz.actions import Break, Call, Program, Restart, Send, Step
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.defects.guests import FenceSignalsAll, PlaceGivenTwice, ReferenceKept, RingFlagLost
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import Conditions, Result
from vgpu_emu.link.chain import Chain
from vgpu_wire.control import CtrlType
from vgpu_wire.resource import MemEntry, ResourceAttachBacking, ResourceCreate2D, ResourceUnref

OPEN, BLOB = Call("open"), Call("blob")
PLACES = (OPEN, BLOB, BLOB)
SHOWN = (OPEN, Call("screen"), Call("framebuffer", (59, 17)), Call("crtc", (21, 23)))
RINGS = (OPEN, Call("context_init", (0, 60)), Call("execbuffer", (0, 25)), Call("execbuffer", (0, 13)))
FENCES = (
    *(OPEN, OPEN, Call("execbuffer", (0, 0, 42))),
    *(Call("context_init", (0, 60)), Call("execbuffer", (1, 13)), Call("execbuffer")),
)
#: blobs of four pages each
SETUP = Setup(blob_alignment=16384, memory=(1 << 20) + (1 << 17))


def result_of(steps: tuple[Step, ...], *defects: type) -> Result:
    return machine_trial.once(Program(SETUP, steps), Conditions(target="machine", defects=defects))


@pytest.mark.parametrize(
    ("defect", "steps", "oracle"),
    [
        (PlaceGivenTwice, PLACES, "I14"),
        (ReferenceKept, SHOWN, "I12"),
        (RingFlagLost, RINGS, "I6"),
        (FenceSignalsAll, FENCES, "I21"),
    ],
)
def test_defect_of_a_driver_that_no_answer_shows_is_found(defect: type, steps: tuple[Step, ...], oracle: str) -> None:
    assert result_of(steps).found is None
    found = result_of(steps, defect).found
    assert found is not None
    assert found.oracle == oracle


class Moderated:
    """Interrupts come when nobody has anything to send."""

    def link(self, live: Any) -> Any:
        return _Moderated(live)


class _Moderated(Wrapper):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.held: list[Any] = []

    def used(self, used: Any) -> list[Any]:
        self.held.append(used)
        return []

    def idle(self) -> list[Any]:
        held, self.held = self.held, []
        return [back for used in held for back in self.inner.used(used)]


@pytest.mark.parametrize("steps", [PLACES, SHOWN, RINGS, FENCES, (*RINGS, BLOB, Call("mmap"), Call("wait"))])
def test_what_a_link_holds_back_arrives_while_a_call_waits_for_it(steps: tuple[Step, ...]) -> None:
    assert result_of(steps, Moderated).found is None


class Keeps:
    """A device that keeps the backings of resources that end."""

    def device(self, device: Any) -> Any:
        return _Keeping(device)


class _Keeping(Wrapper):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.kept: list[Any] = []

    def handle(self, chain: Chain) -> Any:
        if chain.readable[:4] == CtrlType.RESOURCE_UNREF.to_bytes(4, "little"):
            self.kept.extend(resource.backing for resource in self.resources.values())
        return self.inner.handle(chain)


def test_backing_that_is_kept_is_found() -> None:
    steps = (
        Send(ResourceCreate2D(resource_id=1, format=1, width=4, height=4).build()),
        Send(ResourceAttachBacking(resource_id=1, nr_entries=1, entries=(MemEntry(addr=0, length=4096),)).build()),
        Send(ResourceUnref(resource_id=1).build()),
    )
    assert result_of(steps).found is None
    found = result_of(steps, Keeps).found
    assert found is not None
    assert found.oracle == "I9"


class Miscounts:
    """A driver that counts an open file too many."""

    def driver(self, driver: Any) -> Any:
        driver.open_count += 1
        return driver


def test_what_a_driver_keeps_when_nobody_uses_it_is_found() -> None:
    found = result_of((OPEN,), Miscounts).found
    assert found is not None
    assert found.detail == "no file is open, and the driver has 1 open files"


@pytest.mark.parametrize("fault", [Drop(message="RESOURCE_UNREF"), Delay(message="RESOURCE_UNREF", seconds=1.0)])
def test_place_of_a_blob_whose_end_is_not_answered_is_still_taken(fault: Any) -> None:
    assert result_of((Break(fault), OPEN, BLOB, Call("close_handle"))).found is None


@pytest.mark.parametrize("fault", [Drop(message="RESOURCE_MAP_BLOB"), Delay(message="RESOURCE_MAP_BLOB", seconds=1.0)])
def test_driver_that_a_fault_keeps_waiting_may_keep_what_it_has(fault: Any) -> None:
    steps = (Break(fault), OPEN, BLOB, Call("mmap"), Call("execbuffer"), Restart(), Call("munmap"))
    assert result_of(steps).found is None
