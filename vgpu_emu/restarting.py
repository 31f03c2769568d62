"""A VMM that is stopped and goes on from its snapshot, and a device that is reset: in the middle of anything."""

from functools import partial

from msgspec.structs import replace

from vgpu_emu.assembly import DeviceConfig, offered, vmm_setup
from vgpu_emu.guest.probe import accept_features, remove
from vgpu_emu.machine import Machine
from vgpu_emu.trace.log import GUEST, VMM
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.snapshot import restore, take
from vgpu_emu.vmm.state import Blob, place_of


async def restart(machine: Machine, snapshot: bytes | None = None) -> None:
    """The VMM finishes the command that it is at, and ends; another takes its snapshot. Renderer and guest live on, and
    what the guest has asked for waits in the queues.

    A device that was dead is so no more; one that needs a reset still does. snapshot: an older one, instead of the
    state at the end. Raises SnapshotError if it does not fit; then the device has no state.
    """
    async with machine.vmm.stopped():
        old, parts = machine.vmm.device, machine.parts
        snapshot = take(old) if snapshot is None else snapshot
        _end(old)
        # the kernel closes what the process had open
        parts.renderer.vmm.exit()
        setup = vmm_setup(parts.config)
        new = setup.device(parts.config.profile, parts.region, parts.memory, parts.log)
        machine.parts = replace(parts, device=new)
        machine.vmm.device = new
        new.needs_reset = old.needs_reset
        machine.driver.config = DeviceConfig(new, machine.driver.features)
        if parts.aliases is not None:
            parts.aliases.follow(partial(place_of, new.resources))
        machine.log.note(VMM, "restarted", snapshot=len(snapshot))
        machine.vmm.interrupt(await machine.vmm.carry(restore(new, snapshot)))


def _end(device: Device) -> None:
    """Nothing of the process is left."""
    device.region.clear()
    for resource in device.resources.values():
        if isinstance(resource, Blob) and resource.exported is not None:
            resource.exported.memory.release()
    device.resources.clear()


async def rebind(machine: Machine) -> None:
    """Unbind the driver, and bind it again: the device is reset, and `machine.driver` a new one that is still to probe.

    Where Linux would leave a caller asleep for ever, a call that waits for the old driver is ENODEV.
    """
    async with machine.vmm.stopped():
        old = machine.driver
        remove(old)
        machine.forget_queues()
        await machine.vmm.carry(machine.vmm.device.reset())
        features = accept_features(offered(machine.parts.config))
        if not machine.vmm.device.negotiate(features):
            raise ValueError("the device refuses the features that it took before")
        machine.driver = old.successor()
        machine.parts = replace(machine.parts, driver=machine.driver)
        machine.log.note(GUEST, "rebound")
        machine.wake()
