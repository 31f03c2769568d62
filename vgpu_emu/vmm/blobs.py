"""Commands on blob resources (virtio 1.4, 5.7.6.10): create, map, unmap, unref."""

from vgpu_emu.ids import ContextId, ResourceId
from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.vmm.asking import Steps, ask, close
from vgpu_emu.vmm.device import OK, Command, Device
from vgpu_emu.vmm.mapinfo import query_map_info
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Blob
from vgpu_wire.blob import (
    BlobFlag,
    BlobMem,
    MapCache,
    ResourceCreateBlob,
    ResourceMapBlob,
    ResourceUnmapBlob,
    RespMapInfo,
)
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.renderer_link import CreateBlob, Op, ResourceQuestion
from vgpu_wire.resource import ResourceUnref

# plain ints: an IntFlag's & costs as much as the rest of a check
_KNOWN_FLAGS = sum(flag.value for flag in BlobFlag)
_MAPPABLE = BlobFlag.USE_MAPPABLE.value


def resource_create_blob(device: Device, request: ResourceCreateBlob) -> Steps[CtrlHdr]:
    resource_id = ResourceId(request.resource_id)
    device.require(resource_id, Rule.CREATE_BLOB_ID_NONZERO)
    device.require(resource_id not in device.resources, Rule.CREATE_BLOB_ID_FREE)
    device.require(request.blob_mem == BlobMem.HOST3D, Rule.CREATE_BLOB_MEM_VALID)
    device.require(not request.blob_flags & ~_KNOWN_FLAGS, Rule.CREATE_BLOB_FLAGS_VALID)
    device.require(request.size, Rule.CREATE_BLOB_SIZE_NONZERO)
    device.require(not request.nr_entries, Rule.CREATE_BLOB_ENTRIES_NONE)
    device.require(ContextId(request.ctx_id) in device.contexts, Rule.CREATE_BLOB_CTX_KNOWN)
    device.require(len(device.resources) < device.limits.resources, Rule.RESOURCE_LIMIT)
    device.require(device.blob_bytes + request.size <= device.limits.blob_bytes, Rule.BLOB_BYTES_LIMIT)
    yield from device.call(
        CreateBlob(
            ctx_id=request.ctx_id,
            resource_id=resource_id,
            blob_mem=request.blob_mem,
            blob_flags=request.blob_flags,
            blob_id=request.blob_id,
            size=request.size,
        )
    )
    blob = Blob(resource_id, request.blob_flags, request.size)
    device.resources[resource_id] = blob
    device.blob_bytes += blob.size
    if request.blob_flags & _MAPPABLE:
        yield from _export(blob)
    return OK


def _export(blob: Blob) -> Steps[None]:
    """Have the blob's dma-buf. If it cannot be had, or has less memory than was said, the blob cannot be mapped."""
    reply = yield ResourceQuestion(op=Op.EXPORT_BLOB.value, resource_id=blob.resource_id)
    surplus = reply.fds
    if not reply.answer.errno and reply.fds and reply.fds[0].memory.size >= blob.length:
        blob.exported, surplus = reply.fds[0], reply.fds[1:]
    yield from close(surplus)


def resource_map_blob(device: Device, request: ResourceMapBlob) -> Steps[CtrlHdr]:
    blob = device.resource(request.resource_id, Rule.MAP_KNOWN)
    length = blob.length
    device.require(blob.blob_flags & _MAPPABLE, Rule.MAP_MAPPABLE)
    device.require(blob.offset is None, Rule.MAP_ONCE)
    device.require(request.offset + length <= device.region.size, Rule.MAP_INSIDE)
    device.require(not request.offset % PAGE_SIZE, Rule.MAP_ALIGNED)
    device.require(not device.region.overlapping(request.offset, length), Rule.MAP_DISJOINT)
    exported = blob.exported
    device.require(exported, Rule.MAP_EXPORTED)
    assert exported is not None, "no profile maps what it does not have"
    info = yield from query_map_info(exported.fd, blob.resource_id, device.dialect, device.log)
    device.require(info, Rule.MAP_INFO_KNOWN)
    device.region.map(request.offset, length, exported.memory)
    blob.offset = request.offset
    return RespMapInfo(map_info=(info or MapCache.NONE).value)


def resource_unmap_blob(device: Device, request: ResourceUnmapBlob) -> CtrlHdr:
    blob = device.resource(request.resource_id, Rule.UNMAP_KNOWN)
    device.require(blob.offset is not None, Rule.UNMAP_MAPPED)
    _unmap(device, blob)
    return OK


def resource_unref(device: Device, request: ResourceUnref) -> Steps[CtrlHdr]:
    """A blob that is still mapped is unmapped first."""
    blob = device.resource(request.resource_id, Rule.UNREF_KNOWN)
    _unmap(device, blob)
    del device.resources[blob.resource_id]
    device.blob_bytes -= blob.size
    if blob.exported is not None:
        yield from close((blob.exported,))
    yield from ask(ResourceQuestion(op=Op.UNREF.value, resource_id=blob.resource_id))
    return OK


def _unmap(device: Device, blob: Blob) -> None:
    if blob.offset is not None:
        device.region.unmap(blob.offset)
        blob.offset = None


COMMANDS = {
    CtrlType.RESOURCE_CREATE_BLOB: Command(resource_create_blob, Feature.RESOURCE_BLOB),
    CtrlType.RESOURCE_MAP_BLOB: Command(resource_map_blob, Feature.RESOURCE_BLOB),
    CtrlType.RESOURCE_UNMAP_BLOB: Command(resource_unmap_blob, Feature.RESOURCE_BLOB),
    CtrlType.RESOURCE_UNREF: Command(resource_unref),
}
