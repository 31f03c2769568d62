"""Resources (virtio 1.4, 5.7.6.8): 2D images, their backing pages, their UUIDs."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated

import construct

from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.derive import wire
from vgpu_wire.display import Rect
from vgpu_wire.layout import Record
from vgpu_wire.terms import Records, le32, le64

#: QEMU takes no more memory entries in one command; Linux never sends more.
MAX_ENTRIES = 16384


class Format(IntEnum):
    """enum virtio_gpu_formats: 4 bytes a pixel, the first letter is the first byte."""

    B8G8R8A8_UNORM = 1
    B8G8R8X8_UNORM = 2
    A8R8G8B8_UNORM = 3
    X8R8G8B8_UNORM = 4
    R8G8B8A8_UNORM = 67
    X8B8G8R8_UNORM = 68
    A8B8G8R8_UNORM = 121
    R8G8B8X8_UNORM = 134


@wire("virtio_gpu_resource_create_2d", 40)
class ResourceCreate2D(CtrlHdr, frozen=True):
    """virtio_gpu_resource_create_2d: an image on the host. resource_id: chosen by the driver, not 0. Size in pixels."""

    type: le32 = CtrlType.RESOURCE_CREATE_2D.value
    resource_id: le32 = 0
    format: le32 = 0
    width: le32 = 0
    height: le32 = 0


@wire("virtio_gpu_resource_unref", 32)
class ResourceUnref(CtrlHdr, frozen=True):
    """virtio_gpu_resource_unref: the driver is done with the resource."""

    type: le32 = CtrlType.RESOURCE_UNREF.value
    resource_id: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_transfer_to_host_2d", 56)
class TransferToHost2D(CtrlHdr, frozen=True):
    """virtio_gpu_transfer_to_host_2d: copy rectangle `r` from the backing, where it starts at `offset` bytes."""

    type: le32 = CtrlType.TRANSFER_TO_HOST_2D.value
    r: Rect = Rect()
    offset: le64 = 0
    resource_id: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_mem_entry", 16)
class MemEntry(Record, frozen=True):
    """virtio_gpu_mem_entry: a stretch of guest memory: guest physical address, length in bytes."""

    addr: le64 = 0
    length: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_resource_attach_backing", 32)
class ResourceAttachBacking(CtrlHdr, frozen=True):
    """virtio_gpu_resource_attach_backing and nr_entries times virtio_gpu_mem_entry."""

    type: le32 = CtrlType.RESOURCE_ATTACH_BACKING.value
    resource_id: le32 = 0
    nr_entries: le32 = 0
    entries: Annotated[Sequence[MemEntry], construct.Array(construct.this.nr_entries, MemEntry.layout.struct)] = (
        Records(MemEntry, b"")
    )


@wire("virtio_gpu_resource_detach_backing", 32)
class ResourceDetachBacking(CtrlHdr, frozen=True):
    """virtio_gpu_resource_detach_backing"""

    type: le32 = CtrlType.RESOURCE_DETACH_BACKING.value
    resource_id: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_resource_assign_uuid", 32)
class ResourceAssignUuid(CtrlHdr, frozen=True):
    """virtio_gpu_resource_assign_uuid (F_RESOURCE_UUID)"""

    type: le32 = CtrlType.RESOURCE_ASSIGN_UUID.value
    resource_id: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_resp_resource_uuid", 40)
class RespResourceUuid(CtrlHdr, frozen=True):
    """virtio_gpu_resp_resource_uuid: the name under which other virtio devices know the resource."""

    type: le32 = CtrlType.RESP_OK_RESOURCE_UUID.value
    uuid: Annotated[bytes, construct.Bytes(16)] = bytes(16)
