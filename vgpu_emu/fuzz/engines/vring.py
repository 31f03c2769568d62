"""Rings that the other side wrote: a device's queue under a hostile driver, a driver's queue under a hostile device.

The first byte says whose queue it is, and how it is set up; then come writes of the other side, and calls of this one.
Everything but a VringError is a finding: memory that is not the queue's to write, a chain that is not what is written
there, one that comes twice.
"""

from vgpu_emu.fuzz.encoding import MAX_STEPS, Reader
from vgpu_emu.fuzz.engines.rings import DeviceSide, DriverSide, Side
from vgpu_emu.fuzz.engines.target import Target
from vgpu_emu.link.vring import VringError


def run_vring(data: bytes) -> None:
    """Raises Finding, and whatever a queue should not have raised."""
    reader = Reader(data)
    setup = reader.byte()
    kind = DriverSide if setup & 1 else DeviceSide
    side: Side = kind(1 << (setup >> 1 & 7), indirect_desc=bool(setup & 16), event_idx=bool(setup & 32))
    for _ in range(MAX_STEPS):
        if not reader:
            break
        try:
            side.STEPS[reader.byte() % len(side.STEPS)](side, reader)
        except VringError as error:
            side.broken(error)


VRING = Target("vring", run_vring)
