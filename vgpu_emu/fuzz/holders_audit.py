"""Oracles that look at what device and renderer hold: accounts, dma-bufs and who refers to them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set

from vgpu_emu.assembly import Parts
from vgpu_emu.fuzz.model.world import World
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.ids import ResourceId
from vgpu_emu.memory import Memory
from vgpu_emu.vmm.state import Blob
from vgpu_wire.context_stream import ExporterKind

#: what is wrong, in words
Wrongs = Iterator[str]


# nearly all of what is compared is the same: words are made for what is not


def same(name: str, actual: object, wanted: object) -> Sequence[str]:
    return () if actual == wanted else (f"{name}: {actual}, not {wanted}",)


def same_ids(name: str, actual: Set[int], wanted: Set[int]) -> Sequence[str]:
    return () if actual == wanted else (f"{name}: {sorted(actual)}, not {sorted(wanted)}",)


def accounts(parts: Parts, world: World) -> Wrongs:
    device = parts.device
    yield from same("bytes of images", device.image_bytes, world.image_bytes)
    yield from same("bytes of blobs", device.blob_bytes, world.blob_bytes)
    yield from same("answers that wait", device.fences.count, len(world.pending))
    on_host = {number for number, resource in world.resources.items() if resource.on_host}
    yield from same_ids("blobs of the renderer", parts.renderer.resources.keys(), on_host)
    yield from same_ids("contexts of the renderer", parts.renderer.contexts.keys(), world.contexts.keys())
    if world.contexts:
        yield from _attached(parts, world, on_host)


def _attached(parts: Parts, world: World, on_host: set[int]) -> Wrongs:
    wanted = {ctx_id: context.attached for ctx_id, context in world.contexts.items()}
    actual = {ctx_id: context.attached for ctx_id, context in parts.device.contexts.items()}
    yield from same("attached resources", actual, wanted)
    told = {ctx_id: context.attached for ctx_id, context in parts.renderer.contexts.items()}
    there = {ctx_id: attached & on_host for ctx_id, attached in wanted.items()}
    yield from same("attached blobs of the renderer", told, there)


def buffers(parts: Parts, world: World) -> Wrongs:
    """Every buffer of the host has the holders that it must have, and no other is left."""
    yield from same("dma-bufs", len(parts.kernel.live), world.objects)
    yield from same("bytes of dma-bufs", parts.kernel.live_bytes, world.object_bytes)
    yield from same("descriptors of the VMM", len(parts.renderer.vmm.files), len(_exported(parts)))


def _exported(parts: Parts) -> list[Memory]:
    """What the VMM has of blobs."""
    resources = parts.device.resources.values()
    return [r.exported.memory for r in resources if isinstance(r, Blob) and r.exported is not None]


def references(parts: Parts, world: World) -> Wrongs:
    """Descriptors refer to dma-bufs; dma-bufs, passed descriptors and mappings to memory; nothing else does."""
    renderer = parts.renderer
    if parts.kernel.live:
        yield from _holders(parts)
    objects = sum([len(context.objects) for context in renderer.contexts.values()])
    yield from same("descriptors of the renderer", len(renderer.process.files), objects + len(renderer.resources))


def _holders(parts: Parts) -> Wrongs:
    renderer = parts.renderer
    files = _counted([buf.inode for process in (renderer.process, renderer.vmm) for buf in process.files.values()])
    holders = _counted([id(memory) for memory in [*_exported(parts), *[slot.memory for slot in parts.region]]])
    for inode, buf in parts.kernel.live.items():
        if buf.refs != files[inode]:
            yield f"references to dma-buf {inode}: {buf.refs}, not {files[inode]}"
        if buf.memory.holders != (held := 1 + holders[id(buf.memory)]):
            yield f"holders of its memory {inode}: {buf.memory.holders}, not {held}"


def _counted(things: Iterable[int]) -> dict[int, int]:
    """As a Counter, which takes longer to make than there is to count."""
    counts: dict[int, int] = defaultdict(int)
    for thing in things:
        counts[thing] += 1
    return counts


def contents(parts: Parts, world: World) -> Wrongs:
    """Behind each mapping is its own blob's buffer, from its start on, of the exporter that was asked for."""
    if not parts.renderer.resources:
        return
    slots = {slot.offset: slot for slot in parts.region}
    for blob in world.resources.values():
        fd = parts.renderer.resources.get(ResourceId(blob.resource_id))
        if fd is None:
            continue
        buf = parts.renderer.process.file(fd)
        if buf.ops != (ops := EXPORTERS[ExporterKind(blob.exporter)]):
            yield f"exporter of {blob.resource_id}: {buf.ops.name}, not {ops.name}"
        if buf.memory.size != blob.buffer:
            yield f"bytes behind {blob.resource_id}: {buf.memory.size}, not {blob.buffer}"
        slot = None if blob.offset is None else slots.get(blob.offset)
        if slot is not None and (slot.memory is not buf.memory or slot.start):
            yield f"what is mapped at {slot.offset:#x} is not the buffer of resource {blob.resource_id}"
