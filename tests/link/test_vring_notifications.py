"""No notification is lost: both sides of a queue in every interleaving of their accesses to the shared fields."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from interleave import Party, Scenario, SteppingRings, explore
from test_vring_pair import Pair

from vgpu_emu.link.chain import Used
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.vring import due

START = 65535


def _ring(pair: Pair) -> memoryview:
    """The available and the used ring."""
    return memoryview(pair.hand.memory)[pair.hand.avail - pair.hand.base : 256]


def kicks(
    chains: int, event_idx: bool, rings: type[SteppingRings], device: type[DeviceQueue]
) -> Callable[[], Scenario]:
    """A driver adds chains, each with a kick; a device pops what there is and sleeps until it is kicked."""

    def scenario() -> Scenario:
        pair, popped = Pair(event_idx=event_idx, start=START, device=device), list[int]()

        def drive(party: Party) -> None:
            pair.driver.rings = rings(pair.driver.rings, party)
            for _ in range(chains):
                pair.driver.add([b"request"])
                if pair.driver.kick():
                    party.notify(vmm)

        def emulate(party: Party) -> None:
            pair.device.rings = rings(pair.device.rings, party)
            while True:
                while found := pair.device.pop_all():
                    popped.extend(chain.head for chain in found)
                party.sleep()

        def check() -> None:
            assert len(popped) == chains, "the device sleeps, and chains are available"

        guest, vmm = Party(drive), Party(emulate)
        return Scenario((guest, vmm), _ring(pair), check)

    return scenario


def interrupts(
    chains: int, event_idx: bool, rings: type[SteppingRings], driver: type[DriverQueue]
) -> Callable[[], Scenario]:
    """A device answers chains, each with an interrupt; a driver takes what there is and sleeps until interrupted."""

    def scenario() -> Scenario:
        pair, answered = Pair(event_idx=event_idx, start=START, driver=driver), list[int]()
        heads = [pair.driver.add([b"request"]) for _ in range(chains)]
        pair.device.pop_all()

        def emulate(party: Party) -> None:
            pair.device.rings = rings(pair.device.rings, party)
            for head in heads:
                if pair.device.push(Used(head, 1, b"")):
                    party.notify(guest)

        def drive(party: Party) -> None:
            pair.driver.rings = rings(pair.driver.rings, party)
            while True:
                answered.extend(used.head for used in pair.driver.get_used())
                party.sleep()

        def check() -> None:
            assert answered == heads, "the driver sleeps, and answers are there"

        guest, vmm = Party(drive), Party(emulate)
        return Scenario((guest, vmm), _ring(pair), check)

    return scenario


class NoSecondLook(DeviceQueue):
    """Asks for a kick and sleeps: what a prototype did that hung."""

    def _rest(self) -> int:
        super()._rest()
        return 0


class HastyDriver(DriverQueue):
    def _rest(self) -> int:
        super()._rest()
        return 0


class Unfenced(SteppingRings):
    def fence(self) -> None:
        pass


@pytest.mark.parametrize("event_idx", [False, True])
def test_no_kick_is_lost(event_idx: bool) -> None:
    assert explore(kicks(2, event_idx, SteppingRings, DeviceQueue)) > 10


@pytest.mark.parametrize("event_idx", [False, True])
def test_no_interrupt_is_lost(event_idx: bool) -> None:
    assert explore(interrupts(2, event_idx, SteppingRings, DriverQueue)) > 10


@pytest.mark.parametrize("event_idx", [False, True])
@pytest.mark.parametrize(("rings", "device"), [(SteppingRings, NoSecondLook), (Unfenced, DeviceQueue)])
def test_kick_is_lost_without_a_second_look_or_a_fence(
    event_idx: bool, rings: type[SteppingRings], device: type[DeviceQueue]
) -> None:
    with pytest.raises(AssertionError, match="the device sleeps"):
        explore(kicks(2, event_idx, rings, device))


@pytest.mark.parametrize("event_idx", [False, True])
@pytest.mark.parametrize(("rings", "driver"), [(SteppingRings, HastyDriver), (Unfenced, DriverQueue)])
def test_interrupt_is_lost_without_a_second_look_or_a_fence(
    event_idx: bool, rings: type[SteppingRings], driver: type[DriverQueue]
) -> None:
    with pytest.raises(AssertionError, match="the driver sleeps"):
        explore(interrupts(2, event_idx, rings, driver))


# -- what the suppression saves


@pytest.mark.parametrize("event_idx", [False, True])
def test_busy_device_is_not_kicked(event_idx: bool) -> None:
    pair, said = Pair(event_idx=event_idx, start=START), list[bool]()
    assert pair.device.pop() is None
    for work in (pair.device.pop_all, pair.device.pop_all, pair.device.pop):
        pair.driver.add([b"request"])
        said.append(pair.driver.kick())
        work()
    assert said == [True, False, False]
    assert pair.device.pop() is None
    pair.driver.add([b"request"])
    assert pair.driver.kick()


@pytest.mark.parametrize("event_idx", [False, True])
def test_batch_is_one_kick_and_one_interrupt(event_idx: bool) -> None:
    pair = Pair(event_idx=event_idx, start=START)
    heads = [pair.driver.add([b"request"]) for _ in range(4)]
    assert [pair.driver.kick(), pair.driver.kick()] == [True, False]
    assert [chain.head for chain in pair.device.pop_all()] == heads
    assert pair.device.push_all([Used(head, 1, b"") for head in heads])
    assert pair.device.push_all([]) is False
    assert len(pair.driver.get_used()) == 4


def test_driver_that_has_not_looked_is_not_interrupted_again() -> None:
    pair = Pair(event_idx=True, start=START)
    heads = [pair.driver.add([b"request"]) for _ in range(3)]
    assert pair.driver.get_used() == []
    pair.device.pop_all()
    assert [pair.device.push(Used(head, 1, b"")) for head in heads[:2]] == [True, False]
    assert len(pair.driver.get_used()) == 2
    assert pair.device.push(Used(heads[2], 1, b""))


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 300))
@example(65535, 0, 1)
@example(0, 0, 65536)
def test_notification_is_due_when_the_entry_of_the_event_was_written(event: int, idx: int, added: int) -> None:
    event = event if event % 2 else (idx - event % 303) % 65536
    assert due(event, idx, added) == (event in [(idx - 1 - back) % 65536 for back in range(added)])
