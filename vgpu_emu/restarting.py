"""A VMM that is stopped and goes on from its snapshot, and a device that is reset: in the middle of anything."""

from msgspec.structs import replace

from vgpu_emu.assembly import DeviceConfig, offered
from vgpu_emu.guest.probe import accept_features, remove
from vgpu_emu.machine import Machine
from vgpu_emu.trace.log import GUEST, VMM
from vgpu_wire.device import Feature

#: a driver that knows every feature
ALL = frozenset(Feature)


async def restart(machine: Machine, snapshot: bytes | None = None) -> None:
    """The VMM finishes the command that it is at, and ends; another takes its snapshot. Renderer and guest live on, and
    what the guest has asked for waits in the queues.

    A device that was dead is so no more; one that needs a reset still does. snapshot: an older one, instead of the
    state at the end. Raises SnapshotError if it does not fit; then the device has no state.
    """
    async with machine.vmm.stopped():
        await take_over(machine, machine.parts.snapshot() if snapshot is None else snapshot)


async def take_over(machine: Machine, snapshot: bytes) -> None:
    """The VMM, which is stopped, ends; another takes this snapshot. Raises SnapshotError."""
    parts = machine.parts.restarted()
    machine.replace(parts)
    machine.driver.config = DeviceConfig(parts.device, machine.driver.features)
    machine.log.note(VMM, "restarted", snapshot=len(snapshot))
    machine.vmm.interrupt(await machine.vmm.carry(parts.restore(snapshot)))


async def rebind(machine: Machine, knows: frozenset[Feature] = ALL) -> None:
    """Unbind the driver, and bind it again: the device is reset, and `machine.driver` a new one that is still to probe.

    knows: the new one's features, of which it accepts what is offered. Raises ValueError if the device does not agree.
    Where Linux would leave a caller asleep for ever, a call that waits for the old driver is ENODEV.
    """
    async with machine.vmm.stopped():
        old = machine.driver
        remove(old)
        machine.forget_queues()
        await machine.vmm.carry(machine.vmm.device.reset())
        machine.forget_signals()
        features = accept_features(offered(machine.parts.config)) & knows
        if not machine.vmm.device.negotiate(features):
            raise ValueError(f"the device refuses these features: {', '.join(f.name for f in sorted(features))}")
        machine.driver = machine.parts.successor(old)
        machine.driver.features, machine.driver.config = features, DeviceConfig(machine.parts.device, features)
        machine.parts = replace(machine.parts, driver=machine.driver)
        machine.log.note(GUEST, "rebound")
        machine.wake()
