"""What a scenario sees of VMM and host, which the guest does not: state, conflicts, and what is left."""

from collections.abc import Iterable
from errno import ENOENT
from typing import Any

from vgpu_emu.assembly import Conflict, Parts
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.ids import ResourceId
from vgpu_emu.memory import Memory
from vgpu_emu.trace.log import HOST, Event, Note
from vgpu_emu.vmm.displays import Scanout
from vgpu_emu.vmm.picture import Picture, scanout_picture
from vgpu_emu.vmm.state import Blob
from vgpu_emu.vocabulary import Pgprot, conflicts
from vgpu_wire.context_stream import ExporterKind


def device_state(parts: Parts) -> str:
    if parts.device.dead is not None:
        return "dead"
    return "needs-reset" if parts.device.needs_reset is not None else "works"


def conflicts_in(parts: Parts, events: Iterable[Event]) -> list[str]:
    """Mappings made in these events that contradict others of the same bytes: on a platform what its rules call
    mismatched; without one, a guest's mapping that is not as the exporter's."""
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


def held_for_the_guest(parts: Parts, raw_resources: set[int], raw_contexts: set[int]) -> list[str]:
    """What VMM and renderer still hold when the guest's programs are gone. What raw messages made is nobody's to give
    back, and goes with the device."""
    device, renderer = parts.device, parts.renderer
    left = [
        f"the VMM holds resource {r.resource_id} ({r.kind.value})"
        for r in device.resources.values()
        if r.resource_id not in raw_resources
    ]
    left += [f"the VMM holds context {ctx}" for ctx in device.contexts if ctx not in raw_contexts]
    owned = {r.offset for r in device.resources.values() if isinstance(r, Blob)}
    left += [
        f"the VMM maps {slot.length:#x} bytes at {slot.offset:#x} of the region for nobody"
        for slot in parts.region
        if slot.offset not in owned
    ]
    left += [f"the VMM owes {device.fences.count} fences"] if device.fences.count else []
    left += [f"the renderer holds resource {r}" for r in renderer.resources if r not in raw_resources]
    return left + [f"the renderer holds context {ctx}" for ctx in renderer.contexts if ctx not in raw_contexts]


def held_by_the_guest(parts: Parts, free_bytes: int) -> list[str]:
    """What the guest's kernel still holds when its programs are gone."""
    driver = parts.driver
    left = [f"the guest's kernel holds resource {gem.resource_id}" for gem in driver.mmap_offsets.values()]
    left += [f"{driver.in_flight} requests have no answer"] if driver.in_flight else []
    missing = free_bytes - driver.pages.free_bytes
    return left + ([f"{missing:#x} bytes of guest memory are not given back"] if missing else [])


def screen(parts: Parts, scanout_id: int) -> Picture | None:
    """What a display shows; None: nothing, or there is no such display."""
    displays = parts.device.displays
    return scanout_picture(parts.device, scanout_id) if scanout_id < len(displays.scanouts) else None


def host_memory(parts: Parts, resource_id: int) -> Memory:
    """The memory of a resource of the renderer. Raises OSError: ENOENT."""
    fd = parts.renderer.resources.get(ResourceId(resource_id))
    if fd is None:
        raise OSError(ENOENT, f"the renderer has no resource {resource_id}")
    return parts.renderer.process.file(fd).memory


def change_exporter(parts: Parts, resource_id: int, exporter: str) -> None:
    """From now on the resource's buffer is mapped as this exporter maps. Raises OSError: ENOENT."""
    fd = parts.renderer.resources.get(ResourceId(resource_id))
    if fd is None:
        raise OSError(ENOENT, f"the renderer has no resource {resource_id}")
    parts.renderer.process.file(fd).ops = EXPORTERS[ExporterKind[exporter.upper()]]
    parts.log.note(HOST, "changed", resource_id=resource_id, exporter=exporter)


def state(parts: Parts) -> dict[str, Any]:
    """All three parties in numbers."""
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
