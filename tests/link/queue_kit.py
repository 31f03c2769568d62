"""A device's queue over a ring written by hand, and a word for what it must say."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from naive_ring import Hand

from vgpu_emu.link.descriptors import VringLimits
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import Fault, Vring, VringError

LIMITS = VringLimits(descriptors=6, bytes=256)


def queue_of(hand: Hand, limits: VringLimits = LIMITS, *, indirect: bool = True, next_avail: int = 0) -> DeviceQueue:
    """With EVENT_IDX, so that pop writes nothing at all where it finds something."""
    memory = GuestMemory()
    memory.add(hand.base, hand.memory)
    vring = Vring(hand.entries, hand.desc, hand.avail, hand.used)
    return DeviceQueue(
        memory, vring, queue=0, indirect_desc=indirect, event_idx=True, limits=limits, next_avail=next_avail
    )


@contextmanager
def broken(fault: Fault) -> Iterator[None]:
    with pytest.raises(VringError) as error:
        yield
    assert error.value.fault is fault
