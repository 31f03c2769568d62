"""Makers of requests about blobs and their mappings."""

from random import Random

from vgpu_emu.fuzz.model.blobs import alignment
from vgpu_emu.fuzz.model.setup import PAGE
from vgpu_emu.fuzz.model.world import Resource, World
from vgpu_emu.fuzz.requests_choices import Ids, choose, free_id, live, some_context, some_entries
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.layout import Record
from vgpu_wire.resource import MemEntry
from vgpu_wire.terms import Records


def _with_objects(rng: Random, world: World, ids: Ids) -> int:
    """A context that a blob can be made in, if there is one."""
    found = [ctx_id for ctx_id, context in world.contexts.items() if context.objects]
    return choose(rng, found) if found and rng.random() < 0.95 else some_context(rng, world, ids)


def create_mappable(rng: Random, world: World, ids: Ids) -> Record:
    """A blob of a context's object that a guest can map, all of it."""
    ctx_id, objects = next(((i, c.objects) for i, c in world.contexts.items() if c.objects), (1, {}))
    blob_id, (_exporter, size) = choose(rng, list(objects.items())) if objects else (1, (1, 4096))
    return ResourceCreateBlob(
        ctx_id=ctx_id,
        resource_id=free_id(rng, world, ids),
        blob_mem=2,
        blob_flags=choose(rng, (1, 1, 3, 5, 7)),
        blob_id=blob_id,
        size=size,
    )


def create_blob(rng: Random, world: World, ids: Ids) -> Record:
    ctx_id, resource_id = _with_objects(rng, world, ids), free_id(rng, world, ids)
    flags = choose(rng, (1, 1, 1, 1, 1, 3, 5, 7, 0, 2, 4, 6))
    objects = (
        [(blob_id, size) for blob_id, (_e, size) in world.contexts[ctx_id].objects.items()]
        if (ctx_id in world.contexts)
        else []
    )
    if objects and rng.random() < 0.75:
        blob_id, size = choose(rng, objects)
        size = _blob_size(rng, world, size)
        mem = 2 if rng.random() < 0.9 else 3
        entries = some_entries(rng, world, size) if mem == 3 and rng.random() < 0.5 else []
    else:
        ctx_id = blob_id = 0
        mem, size = 1, _blob_size(rng, world, choose(rng, (4096, 8192, 16384)))
        entries = some_entries(rng, world, size)
    return ResourceCreateBlob(
        ctx_id=ctx_id,
        resource_id=resource_id,
        blob_mem=mem,
        blob_flags=flags,
        blob_id=blob_id,
        size=size,
        nr_entries=len(entries),
        entries=Records.of(MemEntry, entries),
    )


def _blob_size(rng: Random, world: World, size: int) -> int:
    """All of it, or less; where sizes need not be aligned, also a part of a page."""
    choice = rng.random()
    if choice < 0.6:
        return size
    if choice < 0.8 or alignment(world) > 1:
        return min(size, 4096)
    return max(size - choose(rng, (1, 4095, 4096, 100, 2048)), 1)


def map_blob(rng: Random, world: World, ids: Ids) -> Record:
    again = rng.random() < 0.1
    resource_id = live(rng, world, ids, lambda r: r.offset is not None if again else mappable(r))
    return ResourceMapBlob(resource_id=resource_id, offset=_place(rng, world, resource_id))


def _place(rng: Random, world: World, resource_id: int) -> int:
    """Where to map: mostly a free place next to what is there; sometimes over it, or at the end of the region."""
    size = world.resources[resource_id].pages if resource_id in world.resources else PAGE
    region, choice = world.setup.host_visible, rng.random()
    if choice < 0.6:
        # behind a mapping, or so that it ends where one begins
        starts = [offset - size for offset, _length in world.mapped if offset >= size and choice < 0.2]
        return choose(rng, starts or [0, *(offset + length for offset, length in world.mapped)])
    if choice < 0.85:
        return int(rng.random() * (region // PAGE)) * PAGE
    if choice < 0.95:
        return max(region - size, 0)
    return choose(rng, (region, region - size + PAGE, (1 << 64) - size, (1 << 64) - PAGE)) % (1 << 64)


def unmap_blob(rng: Random, world: World, ids: Ids) -> Record:
    return ResourceUnmapBlob(resource_id=live(rng, world, ids, lambda r: r.offset is not None))


def mappable(resource: Resource) -> bool:
    return bool(resource.blob_mem == 2 and resource.blob_flags & 1 and resource.offset is None)
