"""What a scenario sees of VMM and host, which the guest does not: state, conflicts, and what is left."""

from collections.abc import Iterable
from errno import ENOENT
from typing import Any

from vgpu_emu.assembly import Conflict
from vgpu_emu.faults.plan import Fault
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.ids import ResourceId
from vgpu_emu.machine import Machine
from vgpu_emu.memory import Memory
from vgpu_emu.peers.front.machine import DeviceMachine
from vgpu_emu.shell import DriverShell
from vgpu_emu.trace.log import HOST, Event, Note
from vgpu_emu.vmm.displays import Scanout
from vgpu_emu.vmm.picture import Picture
from vgpu_emu.vmm.state import Blob
from vgpu_emu.vocabulary import Pgprot, conflicts
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.messages import type_name


def device_state(machine: DriverShell) -> str:
    if not isinstance(machine, Machine):
        return "works" if lost(machine) is None else "dead"
    parts = machine.parts
    if parts.device.dead is not None:
        return "dead"
    return "needs-reset" if parts.device.needs_reset is not None else "works"


def lost(machine: DriverShell) -> str | None:
    """Why a device that is not ours is of no use any more."""
    error = machine.error if isinstance(machine, DeviceMachine) else None
    return None if error is None else str(error)


def conflicts_in(machine: DriverShell, events: Iterable[Event]) -> list[str]:
    """Mappings made in these events that contradict others of the same bytes: on a platform what its rules call
    mismatched; without one, a guest's mapping that is not as the exporter's. Of a real device nobody knows."""
    if not isinstance(machine, Machine):
        return []
    parts = machine.parts
    notes = [event for event in events if isinstance(event, Note)]
    if parts.aliases is not None:
        said = [note.values["conflict"] for note in notes if note.name == "alias"]
        return [conflict for conflict in said if conflict.startswith("mismatched")]
    found = []
    for note in notes:
        if note.name == "pgprot":
            resource_id, guest = ResourceId(note.values["resource_id"]), Pgprot(note.values["pgprot"])
            if resource_id in parts.renderer.resources:
                host = parts.renderer.attribute_of(resource_id)
                if conflicts(host, guest):
                    found.append(str(Conflict(resource_id, host, guest)))
    return found


def held_for_the_guest(machine: DriverShell, raw_resources: set[int], raw_contexts: set[int]) -> list[str]:
    """What VMM and renderer still hold when the guest's programs are gone. What raw messages made is nobody's to give
    back, and goes with the device. What a host that is lost could not be told goes with the device as well. What a real
    device holds nobody knows."""
    if not isinstance(machine, Machine):
        return []
    held = _held_by_the_vmm(machine, raw_resources)
    if machine.vmm.lost is not None:
        return held
    device, renderer = machine.parts.device, machine.parts.renderer
    held += [f"the VMM holds context {ctx}" for ctx in device.contexts if ctx not in raw_contexts]
    held += [f"the renderer holds resource {r}" for r in renderer.resources if r not in raw_resources]
    return held + [f"the renderer holds context {ctx}" for ctx in renderer.contexts if ctx not in raw_contexts]


def _held_by_the_vmm(machine: Machine, raw_resources: set[int]) -> list[str]:
    resources = machine.parts.device.resources.values()
    held = [
        f"the VMM holds resource {r.resource_id} ({r.kind.value})"
        for r in resources
        if r.resource_id not in raw_resources
    ]
    owned = {resource.offset for resource in resources if isinstance(resource, Blob)}
    held += [
        f"the VMM maps {slot.length:#x} bytes at {slot.offset:#x} of the region for nobody"
        for slot in machine.parts.region
        if slot.offset not in owned
    ]
    fences = machine.parts.device.fences.count
    return held + ([f"the VMM owes {fences} fences"] if fences else [])


def leaks(machine: DriverShell) -> list[str]:
    """What a machine that is closed has left behind."""
    return machine.parts.leaks() if isinstance(machine, Machine) else []


def pending_faults(machine: DriverShell) -> list[Fault]:
    """Faults that have not happened, or not as often as they should."""
    if not isinstance(machine, Machine) or machine.injector is None:
        return []
    return list(machine.injector.pending)


def held_by_the_guest(machine: DriverShell, free_bytes: int) -> list[str]:
    """What the guest's kernel still holds when its programs are gone."""
    driver = machine.driver
    left = [f"the guest's kernel holds resource {gem.resource_id}" for gem in driver.mmap_offsets.values()]
    left += [f"no answer to {type_name(command)}" for _queue, _head, command in driver.unanswered]
    missing = free_bytes - driver.pages.free_bytes
    return left + ([f"{missing:#x} bytes of guest memory are not given back"] if missing else [])


def snapshot(machine: Machine) -> bytes:
    """The VMM's state, as JSON."""
    return machine.parts.snapshot()


def screen(machine: Machine, scanout_id: int) -> Picture | None:
    """What a display shows; None: nothing, or there is no such display."""
    known = scanout_id < len(machine.parts.device.displays.scanouts)
    return machine.parts.screen(scanout_id) if known else None


def host_memory(machine: Machine, resource_id: int) -> Memory:
    """The memory of a resource of the renderer. Raises OSError: ENOENT."""
    parts = machine.parts
    fd = parts.renderer.resources.get(ResourceId(resource_id))
    if fd is None:
        raise OSError(ENOENT, f"the renderer has no resource {resource_id}")
    return parts.renderer.process.file(fd).memory


def change_exporter(machine: Machine, resource_id: int, exporter: str) -> None:
    """From now on the resource's buffer is mapped as this exporter maps. Raises OSError: ENOENT."""
    parts = machine.parts
    fd = parts.renderer.resources.get(ResourceId(resource_id))
    if fd is None:
        raise OSError(ENOENT, f"the renderer has no resource {resource_id}")
    parts.renderer.process.file(fd).ops = EXPORTERS[ExporterKind[exporter.upper()]]
    parts.log.note(HOST, "changed", resource_id=resource_id, exporter=exporter)


def state(machine: Machine) -> dict[str, Any]:
    """All three parties in numbers."""
    parts = machine.parts
    device, renderer = parts.device, parts.renderer
    return {
        "guest": {"in_flight": parts.driver.in_flight, "outputs": len(parts.driver.outputs)},
        "vmm": {
            "resources": len(device.resources),
            "contexts": len(device.contexts),
            "fences": device.fences.count,
            "mapped": len(parts.region),
            "scanouts": [_scanout(scanout) for scanout in device.displays.scanouts],
        },
        "host": {
            "contexts": len(renderer.contexts),
            "resources": len(renderer.resources),
            "dma_bufs": len(parts.kernel.live),
            "vmm_fds": len(renderer.vmm.files),
        },
    }


def _scanout(scanout: Scanout) -> dict[str, Any]:
    cursor = scanout.cursor
    return {
        "enabled": scanout.enabled,
        "shows": scanout.shown is not None,
        "updates": scanout.updates,
        "cursor": {"x": cursor.x, "y": cursor.y, "shows": bool(cursor.resource_id)},
    }
