"""Blobs (virtio 1.4, 5.7.6.8 and 5.7.6.9): what must come of each request."""

from functools import partial
from math import lcm

from vgpu_emu.fuzz.model.backings import stretches
from vgpu_emu.fuzz.model.expectation import Expected, Verdict, differs, may, must, refuse
from vgpu_emu.fuzz.model.images import backing_bytes, known, new_id
from vgpu_emu.fuzz.model.setup import PAGE, Asks
from vgpu_emu.fuzz.model.world import MAP_INFO, MODEST_BYTES, Resource, World
from vgpu_wire.blob import (
    MAP_CACHE_MASK,
    BlobFlag,
    BlobMem,
    MapCache,
    ResourceCreateBlob,
    ResourceMapBlob,
    ResourceUnmapBlob,
    RespMapInfo,
)
from vgpu_wire.device import Feature

_FLAGS = sum(BlobFlag)
_MAPPABLE = BlobFlag.USE_MAPPABLE.value
_MEMS = frozenset(mem.value for mem in BlobMem)


def alignment(world: World) -> int:
    """What the sizes of blobs are multiples of."""
    return (world.setup.blob_alignment or 1) if world.has(Feature.BLOB_ALIGNMENT) else 1


def create_blob(world: World, request: ResourceCreateBlob) -> Expected:
    setup, on_host = world.setup, request.blob_mem != BlobMem.GUEST
    new_id(world, request.resource_id)
    refuse(request.blob_mem not in _MEMS, "blob_mem is not 1..3")
    refuse(request.blob_flags & ~_FLAGS, "unknown blob_flags")
    refuse(not request.size, "no bytes")
    refuse(request.size % alignment(world), "the size is not aligned", "I15")
    refuse(on_host and not world.has(Feature.VIRGL), "a blob on the host without VIRGL")
    refuse(on_host and request.ctx_id not in world.contexts, "no such context")
    refuse(len(world.resources) >= setup.resources, "no room for a resource more")
    refuse(world.blob_bytes + request.size > setup.blob_bytes, "no room for so many bytes", "I15")
    refuse(request.blob_mem == BlobMem.HOST3D and request.nr_entries, "entries of a blob that is on the host only")
    blob = Resource(request.resource_id, "blob", size=request.size)
    blob.blob_mem, blob.blob_flags = request.blob_mem, request.blob_flags
    if request.nr_entries:
        blob.stretches = stretches(world, request.entries)
        refuse(backing_bytes(blob) < request.size, "the entries are shorter than the blob", "I16")
    if on_host:
        return _of_the_host(world, request, blob)
    return must(partial(_add, world, blob)) if blob.stretches else may("no entries", partial(_add, world, blob))


def _of_the_host(world: World, request: ResourceCreateBlob, blob: Resource) -> Expected:
    objects = world.contexts[request.ctx_id].objects
    exporter, size = objects.get(request.blob_id, (0, 0))
    refuse(size < request.size, "the context has no such object of so many bytes", "I26")

    def success(_answer: object) -> None:
        del objects[request.blob_id]
        blob.exporter, blob.buffer = exporter, size
        world.add(blob)

    return must(success, large=size > MODEST_BYTES)


def _add(world: World, blob: Resource, _answer: object) -> None:
    world.add(blob)


def map_info(world: World, blob: Resource) -> int | None:
    """What the exporter's attribute is on the wire; None: the blob must not be mapped."""
    if world.setup.asks is Asks.GUESS:
        return world.setup.guess or None
    return MAP_INFO[world.setup.asks].get(blob.exporter)


def map_blob(world: World, request: ResourceMapBlob) -> Expected:
    blob = known(world, request.resource_id)
    refuse(blob.kind != "blob" or blob.blob_mem != BlobMem.HOST3D, "it is not a blob on the host only")
    refuse(not blob.blob_flags & _MAPPABLE, "it was not made to be mapped")
    refuse(request.offset + blob.pages > world.setup.host_visible, "it does not fit into the region", "I15")
    refuse(request.offset % lcm(PAGE, alignment(world)), "the offset is not aligned", "I15")
    overlaps = any(
        other.offset is not None
        and other is not blob
        and other.offset < request.offset + blob.pages
        and request.offset < other.offset + other.pages
        for other in world.resources.values()
    )
    refuse(overlaps, "another blob is mapped there", "I14")
    info = map_info(world, blob)
    refuse(info is None, "nobody can say how it may be mapped", "I3")

    # the host has write-combining mapped uncached: then the device may say either
    either = world.uncached and info == MapCache.WC.value

    def success(answer: RespMapInfo | None) -> None:
        unseen = None if either else info
        blob.offset, blob.map_info = request.offset, answer.map_info if answer is not None else unseen

    def payload(answer: RespMapInfo) -> str | None:
        if answer.map_info & ~MAP_CACHE_MASK:
            return f"map_info {answer.map_info:#x} has bits outside of the mask"
        same_as_host = either and answer.map_info == MapCache.UNCACHED.value
        return None if same_as_host else differs("map_info", answer.map_info, info)

    if blob.resource_id in world.doubtful:
        return Expected(Verdict.OPEN, "the host failed to export it", "I1", success, payload)
    if blob.offset is not None:
        # virtio forbids it to the driver only: the device refuses, or moves the mapping
        return Expected(Verdict.OPEN, "it is mapped", "I1", success, payload)
    return must(success, payload, "I1")


def unmap_blob(world: World, request: ResourceUnmapBlob) -> Expected:
    blob = known(world, request.resource_id)

    def success(_answer: object) -> None:
        blob.offset = blob.map_info = None

    return must(success) if blob.offset is not None else may("it is not mapped")
