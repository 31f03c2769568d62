"""What was lost, and what that excuses: who is told of it comes to an end in bounded time (I27)."""

from vgpu_emu.faults.plan import CorruptBit, Drop, HostHangs, LieAttribute, LieSize, Reorder, ShortenCapacity, Truncate
from vgpu_emu.machine import Machine

#: faults after which something was never heard, or heard otherwise than it was said
_LOSSES = (Drop, Reorder, CorruptBit, Truncate, ShortenCapacity, LieSize, LieAttribute)


def _fired(machine: Machine, *kinds: type) -> bool:
    return machine.injector is not None and any(isinstance(fault, kinds) for fault in machine.injector.fired)


def excuses(machine: Machine) -> bool:
    """Whether a request may never be answered: it, or what it waits for, was not heard; or the device is dead."""
    return machine.vmm.device.silent or _fired(machine, *_LOSSES)


def is_unnoticed(machine: Machine) -> bool:
    """Whether a host hangs, and nobody has asked it anything, so that a signal can be waited for without end."""
    return machine.vmm.lost is None and _fired(machine, HostHangs)


def oracle(machine: Machine) -> str:
    """Which one says that somebody waits in vain."""
    return "I19" if machine.vmm.lost is None else "I27"
