"""3D (virtio 1.4, 5.7.6.9; F_VIRGL): contexts, resources, transfers, command submission; capability sets (5.7.6.8)."""

from enum import IntEnum, IntFlag
from typing import Annotated

import construct

from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.terms import le32, le64

#: ctx_create.debug_name, not necessarily ended by a NUL
DEBUG_NAME_BYTES = 64
#: Linux drops all capability sets if one has an id outside 1..63.
MAX_CAPSET_ID = 63
#: VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK: the part of context_init that is a capset id
CONTEXT_INIT_CAPSET_ID_MASK = 0xFF


class CapsetId(IntEnum):
    """VIRTIO_GPU_CAPSET_*. The spec ends at CROSS_DOMAIN; DRM is in the UAPI header."""

    VIRGL = 1
    VIRGL2 = 2
    GFXSTREAM_VULKAN = 3
    VENUS = 4
    CROSS_DOMAIN = 5
    DRM = 6


class ResourceFlag(IntFlag):
    """VIRTIO_GPU_RESOURCE_FLAG_* of resource_create_3d"""

    Y_0_TOP = 1 << 0


@wire("virtio_gpu_get_capset_info", 32)
class GetCapsetInfo(CtrlHdr, frozen=True):
    """virtio_gpu_get_capset_info: capset_index: 0 .. num_capsets - 1, not a capset id."""

    type: le32 = CtrlType.GET_CAPSET_INFO.value
    capset_index: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_resp_capset_info", 40)
class RespCapsetInfo(CtrlHdr, frozen=True):
    """virtio_gpu_resp_capset_info: capset_max_size: bytes."""

    type: le32 = CtrlType.RESP_OK_CAPSET_INFO.value
    capset_id: le32 = 0
    capset_max_version: le32 = 0
    capset_max_size: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_get_capset", 32)
class GetCapset(CtrlHdr, frozen=True):
    """virtio_gpu_get_capset"""

    type: le32 = CtrlType.GET_CAPSET.value
    capset_id: le32 = 0
    capset_version: le32 = 0


@wire("virtio_gpu_resp_capset", 24)
class RespCapset(CtrlHdr, frozen=True):
    """virtio_gpu_resp_capset: capset_max_size bytes that only the renderer's own protocol explains."""

    type: le32 = CtrlType.RESP_OK_CAPSET.value
    capset_data: Annotated[bytes, construct.GreedyBytes] = b""


@wire("virtio_gpu_ctx_create", 96)
class CtxCreate(CtrlHdr, frozen=True):
    """virtio_gpu_ctx_create: hdr.ctx_id is the new context. nlen: bytes of debug_name that count.

    context_init: the low byte is a capset id (F_CONTEXT_INIT), 0: the device's default.
    """

    type: le32 = CtrlType.CTX_CREATE.value
    nlen: le32 = 0
    context_init: le32 = 0
    debug_name: Annotated[bytes, construct.Bytes(DEBUG_NAME_BYTES)] = bytes(DEBUG_NAME_BYTES)


@wire("virtio_gpu_ctx_destroy", 24)
class CtxDestroy(CtrlHdr, frozen=True):
    """virtio_gpu_ctx_destroy"""

    type: le32 = CtrlType.CTX_DESTROY.value


@wire("virtio_gpu_ctx_resource", 32)
class CtxResource(CtrlHdr, frozen=True):
    """virtio_gpu_ctx_resource: CTX_ATTACH_RESOURCE and CTX_DETACH_RESOURCE."""

    type: le32 = CtrlType.CTX_ATTACH_RESOURCE.value
    resource_id: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_resource_create_3d", 72, renamed={"resource_flags": "flags"})
class ResourceCreate3D(CtrlHdr, frozen=True):
    """virtio_gpu_resource_create_3d: target, format and bind are the renderer's (Gallium's) numbers."""

    type: le32 = CtrlType.RESOURCE_CREATE_3D.value
    resource_id: le32 = 0
    target: le32 = 0
    format: le32 = 0
    bind: le32 = 0
    width: le32 = 0
    height: le32 = 0
    depth: le32 = 0
    array_size: le32 = 0
    last_level: le32 = 0
    nr_samples: le32 = 0
    resource_flags: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_box", 24)
class Box(Record, frozen=True):
    """virtio_gpu_box"""

    x: le32 = 0
    y: le32 = 0
    z: le32 = 0
    w: le32 = 0
    h: le32 = 0
    d: le32 = 0


@wire("virtio_gpu_transfer_host_3d", 72)
class TransferHost3D(CtrlHdr, frozen=True):
    """virtio_gpu_transfer_host_3d: TRANSFER_TO_HOST_3D and TRANSFER_FROM_HOST_3D. offset, strides: bytes."""

    type: le32 = CtrlType.TRANSFER_TO_HOST_3D.value
    box: Box = Box()
    offset: le64 = 0
    resource_id: le32 = 0
    level: le32 = 0
    stride: le32 = 0
    layer_stride: le32 = 0


@wire("virtio_gpu_cmd_submit", 32)
class CmdSubmit(CtrlHdr, frozen=True):
    """virtio_gpu_cmd_submit and `size` bytes of the context's own command stream (SUBMIT_3D)."""

    type: le32 = CtrlType.SUBMIT_3D.value
    size: le32 = 0
    padding: le32 = 0
    commands: Annotated[bytes, construct.Bytes(construct.this.size)] = b""
