"""A device's state as JSON, and a device from it: what a VMM keeps over a restart.

The renderer lives on. Blobs are exported anew and mapped where they were, with the attribute that the guest was told;
fences are asked about again, so that none is lost and, as a signal that nobody waits for is nothing, none fires twice.
Guest memory is not in it.
"""

from collections.abc import Iterable

import msgspec

from vgpu_emu.ids import BlobId, ContextId, ResourceId
from vgpu_emu.link.chain import Used
from vgpu_emu.trace.log import VMM
from vgpu_emu.vmm.asking import Steps
from vgpu_emu.vmm.blobs import export
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.fences import Timeline
from vgpu_emu.vmm.snapshot_state import (
    SCHEMA,
    BlobState,
    ContextState,
    FenceState,
    ImageState,
    Snapshot,
    Stretches,
    check,
    parse,
)
from vgpu_emu.vmm.state import Backing, Blob, Context, Image, black
from vgpu_wire.blob import BlobMem
from vgpu_wire.device import Feature
from vgpu_wire.resource import MemEntry


def take(device: Device) -> bytes:
    """The device's state as JSON. The device goes on as if nothing had happened."""
    resources = device.resources.values()
    snapshot = Snapshot(
        schema=SCHEMA,
        profile=device.profile.name,
        features=sorted(feature.name for feature in device.features),
        events=device.displays.events,
        scanouts=device.displays.scanouts,
        images=[_image_state(image) for image in resources if isinstance(image, Image)],
        blobs=[_blob_state(blob) for blob in resources if isinstance(blob, Blob)],
        contexts=[
            ContextState(ctx_id=c.ctx_id, context_init=c.context_init, attached=sorted(c.attached))
            for c in device.contexts.values()
        ],
        fences=[
            FenceState(
                ctx_id=ctx_id, ring_idx=ring, fence_id=fence_id, head=used.head, queue=used.queue, written=used.written
            )
            for (ctx_id, ring), fence_id, used in device.fences
        ],
        busy=sorted(device.fences.busy),
    )
    return msgspec.json.encode(snapshot)


def _stretches(backing: Backing | None) -> Stretches | None:
    return None if backing is None else backing.stretches


def _image_state(image: Image) -> ImageState:
    return ImageState(
        resource_id=image.resource_id,
        kind=image.kind,
        format=image.format,
        width=image.width,
        height=image.height,
        depth=image.depth,
        array_size=image.array_size,
        last_level=image.last_level,
        pixels=bytes(image.pixels),
        backing=_stretches(image.backing),
    )


def _blob_state(blob: Blob) -> BlobState:
    return BlobState(
        resource_id=blob.resource_id,
        blob_mem=blob.blob_mem,
        blob_flags=blob.blob_flags,
        blob_id=blob.blob_id,
        size=blob.size,
        backing=_stretches(blob.backing),
        offset=blob.offset,
        map_info=blob.map_info,
    )


def restore(device: Device, data: bytes) -> Steps[list[Used]]:
    """Put the state into a device that is as after `reset`. Returns the used chains whose fences are complete by now.

    Raises SnapshotError before the first question if the state does not fit: nothing has happened then.
    """
    snapshot = parse(data)
    check(device, snapshot)
    device.features = frozenset(Feature[name] for name in snapshot.features)
    device.displays.events = snapshot.events
    device.displays.scanouts = list(snapshot.scanouts)
    for state in snapshot.contexts:
        attached = {ResourceId(resource_id) for resource_id in state.attached}
        device.contexts[ContextId(state.ctx_id)] = Context(ContextId(state.ctx_id), state.context_init, attached)
    for image in snapshot.images:
        _restore_image(device, image)
    for blob in snapshot.blobs:
        yield from _restore_blob(device, blob)
    device.fences.busy.update(snapshot.busy)
    return (yield from _restore_fences(device, snapshot.fences))


def _backing(stretches: Stretches | None) -> Backing | None:
    return None if stretches is None else Backing([MemEntry(addr=addr, length=length) for addr, length in stretches])


def image_of(state: ImageState) -> Image:
    """The image that was."""
    image = Image(
        ResourceId(state.resource_id),
        state.kind,
        state.format,
        state.width,
        state.height,
        black(len(state.pixels)),
        depth=state.depth,
        array_size=state.array_size,
        last_level=state.last_level,
        backing=_backing(state.backing),
    )
    image.pixels[:] = state.pixels
    return image


def blob_of(state: BlobState) -> Blob:
    """The blob that was, without its dma-buf, and so mapped nowhere yet."""
    blob = Blob(ResourceId(state.resource_id), state.blob_mem, state.blob_flags, BlobId(state.blob_id), state.size)
    blob.backing = _backing(state.backing)
    return blob


def _restore_image(device: Device, state: ImageState) -> None:
    image = image_of(state)
    device.resources[image.resource_id] = image
    device.image_bytes += len(image.pixels)


def _restore_blob(device: Device, state: BlobState) -> Steps[None]:
    """A blob that the renderer does not export any more, or that the kernel does not map, stays without a mapping."""
    blob = blob_of(state)
    device.resources[blob.resource_id] = blob
    device.blob_bytes += blob.size
    if blob.blob_mem is not BlobMem.HOST3D:
        return
    yield from export(blob)
    if blob.exported is not None and state.offset is not None:
        try:
            device.region.map(state.offset, blob.mapped_length, blob.exported.memory)
        except OSError as refused:
            device.log.note(VMM, "mmap_failed", errno=refused.errno)
            return
        blob.offset, blob.map_info = state.offset, state.map_info


def _restore_fences(device: Device, fences: Iterable[FenceState]) -> Steps[list[Used]]:
    complete = []
    for state in fences:
        timeline: Timeline = (state.ctx_id, state.ring_idx)
        used = Used(state.head, state.queue, state.written)
        answer = yield from device.fences.ask(timeline, state.fence_id)
        if answer.errno or not answer.value:
            complete.append(used)
        else:
            device.fences.park(timeline, state.fence_id, used)
    return complete
