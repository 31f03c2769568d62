"""Blob resources (virtio 1.4, 5.7.6.8 and 5.7.6.9; F_RESOURCE_BLOB): memory without a format, mapped by the guest."""

from collections.abc import Sequence
from enum import Enum, IntEnum, IntFlag
from typing import Annotated

import construct

from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.derive import wire
from vgpu_wire.resource import MemEntry
from vgpu_wire.terms import Records, le32, le64, u32


class BlobMem(IntEnum):
    """VIRTIO_GPU_BLOB_MEM_*: where the memory is. 0 is invalid."""

    GUEST = 1
    HOST3D = 2
    HOST3D_GUEST = 3


class BlobFlag(IntFlag):
    """VIRTIO_GPU_BLOB_FLAG_*: what the blob is for."""

    USE_MAPPABLE = 1 << 0
    USE_SHAREABLE = 1 << 1
    USE_CROSS_DEVICE = 1 << 2


#: VIRTIO_GPU_MAP_CACHE_MASK: the bits of map_info that are a MapCache
MAP_CACHE_MASK = 0x0F


class MapCache(Enum):
    """VIRTIO_GPU_MAP_CACHE_*: what resp_map_info.map_info says. Not an int: other vocabularies use the same numbers
    for other things, and a value must be translated to get from one into another."""

    NONE = 0
    CACHED = 1
    UNCACHED = 2
    WC = 3


@wire("virtio_gpu_resource_create_blob", 56)
class ResourceCreateBlob(CtrlHdr, frozen=True):
    """virtio_gpu_resource_create_blob and nr_entries times virtio_gpu_mem_entry.

    blob_mem: BlobMem. blob_flags: BlobFlag bits. blob_id: the object of the context that becomes a resource.
    size: bytes; a multiple of blob_alignment with F_BLOB_ALIGNMENT.
    """

    type: le32 = CtrlType.RESOURCE_CREATE_BLOB.value
    resource_id: le32 = 0
    blob_mem: le32 = 0
    blob_flags: le32 = 0
    nr_entries: le32 = 0
    blob_id: le64 = 0
    size: le64 = 0
    entries: Annotated[Sequence[MemEntry], construct.Array(construct.this.nr_entries, MemEntry.layout.struct)] = (
        Records(MemEntry, b"")
    )


@wire("virtio_gpu_resource_map_blob", 40)
class ResourceMapBlob(CtrlHdr, frozen=True):
    """virtio_gpu_resource_map_blob: show the blob at `offset` bytes into the host visible region."""

    type: le32 = CtrlType.RESOURCE_MAP_BLOB.value
    resource_id: le32 = 0
    padding: le32 = 0
    offset: le64 = 0


@wire("virtio_gpu_resp_map_info", 32)
class RespMapInfo(CtrlHdr, frozen=True):
    """virtio_gpu_resp_map_info: the answer to RESOURCE_MAP_BLOB, and the only place where the cache attribute travels.

    map_info: a MapCache number in the low four bits.
    """

    type: le32 = CtrlType.RESP_OK_MAP_INFO.value
    map_info: u32 = 0
    padding: u32 = 0


@wire("virtio_gpu_resource_unmap_blob", 32)
class ResourceUnmapBlob(CtrlHdr, frozen=True):
    """virtio_gpu_resource_unmap_blob"""

    type: le32 = CtrlType.RESOURCE_UNMAP_BLOB.value
    resource_id: le32 = 0
    padding: le32 = 0
