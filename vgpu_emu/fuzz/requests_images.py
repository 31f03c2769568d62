"""Makers of requests about images, and what every resource has: backings, transfers, an end."""

from functools import partial
from random import Random

from vgpu_emu.fuzz.model.images import level_size, pixel_bytes
from vgpu_emu.fuzz.model.world import BYTES_PER_PIXEL, Resource, World
from vgpu_emu.fuzz.requests_choices import FORMATS, Ids, choose, free_id, live, some_entries, some_rect
from vgpu_wire.control import CtrlType
from vgpu_wire.display import CURSOR_SIZE, Rect
from vgpu_wire.layout import Record
from vgpu_wire.render import Box, ResourceCreate3D, TransferHost3D
from vgpu_wire.resource import (
    MemEntry,
    ResourceAssignUuid,
    ResourceAttachBacking,
    ResourceCreate2D,
    ResourceDetachBacking,
    ResourceUnref,
    TransferToHost2D,
)
from vgpu_wire.terms import Records


def create_2d(rng: Random, world: World, ids: Ids) -> Record:
    side = choose(rng, (4, 16, 16, 24, 64))
    return ResourceCreate2D(
        resource_id=free_id(rng, world, ids), format=choose(rng, FORMATS), width=side, height=choose(rng, (4, 16, side))
    )


def create_cursor(rng: Random, world: World, ids: Ids) -> Record:
    return ResourceCreate2D(
        resource_id=free_id(rng, world, ids), format=choose(rng, FORMATS), width=CURSOR_SIZE, height=CURSOR_SIZE
    )


def create_3d(rng: Random, world: World, ids: Ids) -> Record:
    return ResourceCreate3D(
        resource_id=free_id(rng, world, ids),
        target=2,
        format=choose(rng, (1, 2, 64, 65, 66, 67)),
        bind=2,
        width=choose(rng, (4, 16, 17)),
        height=choose(rng, (1, 4, 16)),
        depth=choose(rng, (1, 3, 4)),
        array_size=choose(rng, (1, 1, 2, 3)),
        last_level=choose(rng, (0, 0, 1, 2)),
    )


def _image_size(image: Resource) -> int:
    return len(image.pixels) or image.size


def attach(rng: Random, world: World, ids: Ids) -> Record:
    resource_id = live(rng, world, ids, lambda r: r.stretches is None and not r.on_host)
    there = world.resources.get(resource_id)
    size = _image_size(there) if there is not None else 64
    # room for lines and layers that lie farther apart
    entries = some_entries(rng, world, choose(rng, (size, size, size * 3 // 2, size * 3)))
    return ResourceAttachBacking(
        resource_id=resource_id, nr_entries=len(entries), entries=Records.of(MemEntry, entries)
    )


def detach(rng: Random, world: World, ids: Ids) -> Record:
    return ResourceDetachBacking(resource_id=live(rng, world, ids, lambda r: r.stretches is not None))


def unref(rng: Random, world: World, ids: Ids) -> Record:
    in_use = rng.random() < 0.5
    return ResourceUnref(resource_id=live(rng, world, ids, partial(used, world) if in_use else bool))


def used(world: World, resource: Resource) -> bool:
    """It is mapped or shown, a cursor, or a context has it."""
    return (
        resource.offset is not None
        or any(resource.resource_id in context.attached for context in world.contexts.values())
        or any(resource.resource_id in (s.cursor[4], s.shown and s.shown[0]) for s in world.scanouts)
    )


def uuid(rng: Random, world: World, ids: Ids) -> Record:
    return ResourceAssignUuid(resource_id=live(rng, world, ids))


def transfer_2d(rng: Random, world: World, ids: Ids) -> Record:
    # of a blob there is nothing to transfer, and nothing wrong about it
    kind = "2D" if rng.random() < 0.95 else "blob"
    resource_id = live(rng, world, ids, lambda r: r.kind == kind and r.stretches is not None)
    there = world.resources.get(resource_id)
    if there is None or there.kind != "2D":
        return TransferToHost2D(resource_id=resource_id, r=Rect(width=4, height=4))
    r = some_rect(rng, there.width, there.height)
    offset = (r.y * there.width + r.x) * BYTES_PER_PIXEL if rng.random() < 0.8 else int(rng.random() * 64)
    return TransferToHost2D(resource_id=resource_id, r=r, offset=offset)


def transfer_3d(rng: Random, world: World, ids: Ids) -> Record:
    number = choose(rng, (CtrlType.TRANSFER_TO_HOST_3D, CtrlType.TRANSFER_FROM_HOST_3D)).value
    resource_id = live(rng, world, ids, lambda r: r.kind == "3D" and r.stretches is not None)
    there = world.resources.get(resource_id)
    if there is None or there.kind != "3D":
        return TransferHost3D(type=number, resource_id=resource_id, box=Box(w=1, h=1, d=1))
    level = int(rng.random() * (there.last_level + 1))
    width, height, slices = level_size(there, level)
    r, z = some_rect(rng, width, height), 0 if rng.random() < 0.4 else int(rng.random() * slices)
    depth = slices - z if rng.random() < 0.5 else 1 + int(rng.random() * (slices - z))
    stride = 0 if rng.random() < 0.6 else choose(rng, (r.width, width)) * pixel_bytes(there) + choose(rng, (0, 0, 4))
    layer = (stride or width * pixel_bytes(there)) * choose(rng, (r.height, height)) + choose(rng, (0, 8))
    return TransferHost3D(
        type=number,
        resource_id=resource_id,
        level=level,
        box=Box(x=r.x, y=r.y, z=z, w=r.width, h=r.height, d=depth),
        offset=0 if rng.random() < 0.7 else int(rng.random() * 64),
        stride=stride,
        layer_stride=0 if rng.random() < 0.5 else layer,
    )
