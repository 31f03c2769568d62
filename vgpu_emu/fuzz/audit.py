"""Oracles that look into the device: what it has must be what the reference has."""

from collections.abc import Callable, Iterator

from vgpu_emu.assembly import Parts
from vgpu_emu.fuzz.holders_audit import Wrongs, accounts, buffers, contents, references, same, same_ids
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.judge import Judge
from vgpu_emu.fuzz.model.pictures import picture
from vgpu_emu.fuzz.model.world import Resource, World
from vgpu_emu.ids import ContextId
from vgpu_emu.vmm.picture import scanout_picture
from vgpu_emu.vmm.state import Blob, Image
from vgpu_emu.vmm.state import Resource as DeviceResource
from vgpu_wire.device import Feature

Looks = tuple[tuple[str, Callable[[Parts, World], Wrongs]], ...]


def ids(parts: Parts, world: World) -> Wrongs:
    yield from same_ids("resources", parts.device.resources.keys(), world.resources.keys())
    yield from same_ids("contexts", parts.device.contexts.keys(), world.contexts.keys())


def contexts(parts: Parts, world: World) -> Wrongs:
    for ctx_id, context in world.contexts.items():
        mine, hosts = parts.device.contexts[ContextId(ctx_id)], parts.renderer.contexts[ContextId(ctx_id)]
        if not mine.context_init == hosts.context_init == context.context_init:
            made = f"{mine.context_init:#x}, and {hosts.context_init:#x} in the renderer"
            yield f"context_init of context {ctx_id}: {made}, not {context.context_init:#x}"
        if hosts.work != context.work:
            yield f"work of context {ctx_id}: {hosts.work} microseconds, not {context.work}"


def configuration(parts: Parts, world: World) -> Wrongs:
    """virtio_gpu_config: what the user changed is told until the driver has cleared it."""
    config, setup = parts.device.config, world.setup
    yield from same("events_read", config.events_read, world.events)
    yield from same("num_scanouts", config.num_scanouts, len(setup.scanouts))
    offered = len(setup.capsets) if Feature.VIRGL in parts.config.profile.offers else 0
    yield from same("num_capsets", config.num_capsets, offered)
    yield from same("death of the device", parts.device.dead or parts.device.needs_reset, None)


def displays(parts: Parts, world: World) -> Wrongs:
    """What the user plugged in is his, whatever VMM and driver do."""
    for index, (scanout, wanted) in enumerate(zip(parts.device.displays.scanouts, world.scanouts, strict=True)):
        actual, user = (scanout.width, scanout.height, scanout.enabled), (wanted.width, wanted.height, wanted.enabled)
        if actual != user:
            yield f"display {index}: {actual}, not {user}"


def region(parts: Parts, world: World) -> Wrongs:
    slots = [(slot.offset, slot.length) for slot in parts.region]
    yield from same("mappings", slots, world.mapped)


def backings(parts: Parts, world: World) -> Wrongs:
    resources = parts.device.resources.values()
    actual = {int(r.resource_id): r.backing.stretches for r in resources if r.backing is not None}
    wanted = {r.resource_id: list(r.stretches) for r in world.resources.values() if r.stretches is not None}
    # which entries a device keeps of the same memory is its own affair
    if actual != wanted and _joined(actual) != _joined(wanted):
        yield f"backings: {actual}, not {wanted}"


def _joined(backings: dict[int, list[tuple[int, int]]]) -> dict[int, list[tuple[int, int]]]:
    """Neighbours as one stretch, and none without bytes."""
    found: dict[int, list[tuple[int, int]]] = {}
    for number, stretches in backings.items():
        joined = found[number] = []
        for address, length in stretches:
            if joined and sum(joined[-1]) == address:
                joined[-1] = (joined[-1][0], joined[-1][1] + length)
            elif length:
                joined.append((address, length))
    return found


def attributes(parts: Parts, world: World) -> Wrongs:
    for resource_id, blob, wanted in _pairs(parts, world):
        if isinstance(blob, Blob):
            actual = None if blob.map_info is None else blob.map_info.value
            if actual != wanted.map_info and (wanted.offset is None or wanted.map_info is not None):
                yield f"map_info of {resource_id}: {actual}, not {wanted.map_info}"
            if blob.offset != wanted.offset:
                yield f"place of {resource_id}: {blob.offset}, not {wanted.offset}"


def shapes(parts: Parts, world: World) -> Wrongs:
    for resource_id, resource, wanted in _pairs(parts, world):
        if isinstance(resource, Blob):
            actual: tuple[object, ...] = (resource.size, int(resource.blob_mem), resource.blob_flags)
            asked: tuple[object, ...] = (wanted.size, wanted.blob_mem, wanted.blob_flags)
        elif wanted.pixels:
            layers, levels = max(resource.array_size, 1), min(resource.last_level, 31)
            shape = (resource.width, resource.height, resource.depth, layers, levels)
            actual = (resource.kind.value, resource.format, *shape)
            shape = (wanted.width, wanted.height, wanted.depth, wanted.layers, wanted.last_level)
            asked = (wanted.kind, wanted.format, *shape)
        else:
            continue
        if actual != asked:
            yield f"{'blob' if isinstance(resource, Blob) else 'image'} {resource_id}: {actual}, not {asked}"


def pixels(parts: Parts, world: World) -> Wrongs:
    for resource_id, image, wanted in _pairs(parts, world):
        # in this order: see `memory`
        if isinstance(image, Image) and wanted.pixels != image.pixels:
            yield f"image {resource_id}: its pixels are not those that were transferred"


def memory(parts: Parts, world: World) -> Wrongs:
    # a bytearray is compared with a view at once, and without a copy
    views = parts.memory.views(0, len(world.memory))
    if len(views) != 1 or world.memory != views[0]:
        yield "guest memory was changed where nobody asked for it"


def shown(parts: Parts, world: World) -> Wrongs:
    for index, (scanout, wanted) in enumerate(zip(parts.device.displays.scanouts, world.scanouts, strict=False)):
        f, c = scanout.shown, scanout.cursor
        actual = None if f is None else (f.resource_id, f.rect, f.format, f.stride, f.offset)
        if actual != wanted.shown:
            yield f"scanout {index}: {actual}, not {wanted.shown}"
        if scanout.updates != wanted.updates:
            yield f"new pictures of scanout {index}: {scanout.updates}, not {wanted.updates}"
        cursor = (c.x, c.y, c.hot_x, c.hot_y, c.resource_id)
        if cursor != wanted.cursor:
            yield f"cursor {index}: {cursor}, not {wanted.cursor}"
        if f is not None and f.resource_id not in world.resources:
            yield f"a scanout shows resource {f.resource_id}, which is gone"


def flushed(parts: Parts, world: World) -> Wrongs:
    actual = parts.device.displays.flushed
    yield from same("flushed", actual, {n: s.flushed for n, s in enumerate(world.scanouts) if s.flushed is not None})


def pictures(parts: Parts, world: World) -> Wrongs:
    for index, scanout in enumerate(world.scanouts):
        wanted = picture(world, scanout)
        if wanted is not None and ((seen := scanout_picture(parts.device, index)) is None or seen.rgba != wanted):
            yield f"the picture of scanout {index} is not that of resource {scanout.shown and scanout.shown[0]}"


def _pairs(parts: Parts, world: World) -> Iterator[tuple[int, DeviceResource, Resource]]:
    for resource_id, resource in parts.device.resources.items():
        wanted = world.resources.get(resource_id)
        if wanted is not None:
            yield int(resource_id), resource, wanted


#: oracle -> what looks
LOOKS: Looks = (
    ("I10", ids),
    ("I10", accounts),
    ("I11", buffers),
    ("I12", references),
    ("I14", region),
    ("I2", contents),
    ("I6", configuration),
    ("I6", displays),
    ("I6", contexts),
    ("I9", backings),
    ("I1", attributes),
    ("I6", shapes),
    ("I16", pixels),
    ("I31", memory),
    ("I13", shown),
    ("I13", flushed),
    ("I16", pictures),
)
#: what a flush brings before the user's eyes
OF_FLUSHES = LOOKS[-3:]
#: those that take no time: no bytes are compared
SHORT = tuple((oracle, look) for oracle, look in LOOKS if look not in {pixels, memory, pictures})


def audit(parts: Parts, judge: Judge, looks: Looks = LOOKS) -> None:
    """Raises Finding: the device is not what the reference is."""
    for oracle, look in looks:
        judge.evaluated[oracle] += 1
        for wrong in look(parts, judge.world):
            raise Finding(oracle, wrong)


def leftovers(parts: Parts, judge: Judge) -> None:
    """Raises Finding: a device that was reset still has something."""
    for oracle, look in LOOKS[:4]:
        judge.evaluated[oracle] += 1
        for wrong in look(parts, judge.world):
            raise Finding(oracle, f"after a reset, {wrong}")
