"""Commands on blob resources (virtio 1.4, 5.7.6.10): create, map, unmap."""

from vgpu_emu.ids import BlobId, ContextId, ResourceId
from vgpu_emu.memory import Memory
from vgpu_emu.vmm.asking import Steps, close
from vgpu_emu.vmm.backings import checked_backing
from vgpu_emu.vmm.command import OK, Command
from vgpu_emu.vmm.device import Device
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

# plain ints: an IntFlag's & costs as much as the rest of a check
_KNOWN_FLAGS = sum(flag.value for flag in BlobFlag)
_MAPPABLE = BlobFlag.USE_MAPPABLE.value
_SHAREABLE = BlobFlag.USE_SHAREABLE.value
_SHARED = _SHAREABLE | BlobFlag.USE_CROSS_DEVICE.value
#: VIRTIO_GPU_BLOB_FLAG_CREATE_GUEST_HANDLE of crosvm's protocol.rs
_GUEST_HANDLE = 8


def resource_create_blob(device: Device, request: ResourceCreateBlob) -> Steps[CtrlHdr]:
    blob = _checked_blob(device, request)
    if blob.blob_mem is not BlobMem.GUEST:
        yield from device.call(
            CreateBlob(
                ctx_id=request.ctx_id,
                resource_id=blob.resource_id,
                blob_mem=request.blob_mem,
                blob_flags=request.blob_flags,
                blob_id=request.blob_id,
                size=request.size,
            )
        )
    device.resources[blob.resource_id] = blob
    device.blob_bytes += blob.size
    if blob.blob_mem is BlobMem.HOST3D and blob.blob_flags & _MAPPABLE:
        yield from export(blob)
    return OK


def _checked_blob(device: Device, request: ResourceCreateBlob) -> Blob:
    device.require(request.resource_id, Rule.CREATE_BLOB_ID_NONZERO)
    device.insist(request.resource_id not in device.resources, Rule.CREATE_BLOB_ID_FREE)
    blob_mem = _blob_mem(device, request)
    on_host = blob_mem is not BlobMem.GUEST
    device.require(not on_host or Feature.VIRGL in device.features, Rule.CREATE_BLOB_MEM_NEGOTIATED)
    device.require(not request.blob_flags & ~_KNOWN_FLAGS, Rule.CREATE_BLOB_FLAGS_VALID)
    device.require(not request.blob_flags & _GUEST_HANDLE, Rule.CREATE_BLOB_GUEST_HANDLE)
    device.require(request.size, Rule.CREATE_BLOB_SIZE_NONZERO)
    device.require(not request.size % device.size_alignment, Rule.CREATE_BLOB_SIZE_ALIGNED)
    if on_host:
        device.require(ContextId(request.ctx_id) in device.contexts, Rule.CREATE_BLOB_CTX_KNOWN)
    device.require(len(device.resources) < device.limits.resources, Rule.RESOURCE_LIMIT)
    device.require(device.blob_bytes + request.size <= device.limits.blob_bytes, Rule.BLOB_BYTES_LIMIT)
    blob = Blob(ResourceId(request.resource_id), blob_mem, request.blob_flags, BlobId(request.blob_id), request.size)
    if blob_mem is BlobMem.HOST3D:
        device.require(not request.nr_entries, Rule.CREATE_BLOB_ENTRIES_NONE)
    elif request.nr_entries:
        blob.backing = checked_backing(device, request.entries)
        device.require(blob.backing.length >= request.size, Rule.CREATE_BLOB_ENTRIES_LONG)
    return blob


def _blob_mem(device: Device, request: ResourceCreateBlob) -> BlobMem:
    if device.profile.shareable_is_guest and request.blob_flags == _SHAREABLE:
        return BlobMem.GUEST
    device.require(request.blob_mem in _BLOB_MEM, Rule.CREATE_BLOB_MEM_VALID)
    return _BLOB_MEM.get(request.blob_mem, BlobMem.GUEST)


def export(blob: Blob) -> Steps[None]:
    """Have the blob's dma-buf. If it cannot be had, is too short or read-only, the blob cannot be mapped."""
    reply = yield ResourceQuestion(op=Op.EXPORT_BLOB.value, resource_id=blob.resource_id)
    surplus = reply.fds
    if not reply.answer.errno and reply.fds and _is_whole(reply.fds[0].memory, blob):
        blob.exported, surplus = reply.fds[0], reply.fds[1:]
    yield from close(surplus)


def _is_whole(memory: Memory, blob: Blob) -> bool:
    return memory.writable and memory.size >= blob.mapped_length


def resource_map_blob(device: Device, request: ResourceMapBlob) -> Steps[CtrlHdr]:
    blob = _checked_map(device, request)
    taken = device.region.overlapping(request.offset, blob.mapped_length)
    device.require(taken is None, Rule.MAP_DISJOINT)
    mappable = blob.blob_flags & _MAPPABLE
    if not mappable and blob.exported is None:
        yield from export(blob)
    exported = blob.exported
    if exported is None:
        raise device.broken(Rule.MAP_EXPORTED)
    # of a blob that was not made to be mapped, no renderer says how
    info = device.map_infos.get(blob.blob_id) if mappable else None
    if mappable and info is None:
        info = yield from query_map_info(exported.fd, blob.resource_id, device.dialect, device.log)
    device.require(info, Rule.MAP_INFO_KNOWN)
    if taken is not None:
        device.region.cut(request.offset, blob.mapped_length)
    device.show(blob, request.offset, exported.memory)
    blob.map_info = info or MapCache.NONE
    return RespMapInfo(map_info=blob.map_info.value)


def _checked_map(device: Device, request: ResourceMapBlob) -> Blob:
    blob = device.resource(request.resource_id, Rule.MAP_KNOWN)
    if not isinstance(blob, Blob) or blob.blob_mem is not BlobMem.HOST3D:
        raise device.broken(Rule.MAP_HOST_ONLY)
    device.require(blob.blob_flags & _MAPPABLE, Rule.MAP_MAPPABLE)
    once = Rule.MAP_ONCE_SHAREABLE if blob.blob_flags & _SHARED else Rule.MAP_ONCE
    device.require(blob.offset is None, once)
    device.require(request.offset + blob.mapped_length <= device.region.size, Rule.MAP_INSIDE)
    device.require(not request.offset % device.map_alignment, Rule.MAP_ALIGNED)
    return blob


def resource_unmap_blob(device: Device, request: ResourceUnmapBlob) -> CtrlHdr | Steps[CtrlHdr]:
    blob = device.resource(request.resource_id, Rule.UNMAP_KNOWN)
    if not isinstance(blob, Blob) or blob.offset is None:
        raise device.broken(Rule.UNMAP_MAPPED)
    device.unmap(blob)
    moved = device.profile.exports_move and not blob.blob_flags & _SHARED
    return _lose_export(blob) if moved else OK


def _lose_export(blob: Blob) -> Steps[CtrlHdr]:
    if blob.exported is not None:
        yield from close((blob.exported,))
    blob.exported = None
    return OK


_BLOB_MEM = {mem.value: mem for mem in BlobMem}
COMMANDS = {
    CtrlType.RESOURCE_CREATE_BLOB: Command(
        resource_create_blob, feature=Feature.RESOURCE_BLOB, gate=Rule.BLOB_NEGOTIATED
    ),
    CtrlType.RESOURCE_MAP_BLOB: Command(resource_map_blob, feature=Feature.RESOURCE_BLOB),
    CtrlType.RESOURCE_UNMAP_BLOB: Command(resource_unmap_blob, feature=Feature.RESOURCE_BLOB),
}
