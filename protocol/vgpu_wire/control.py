"""What every message starts with (virtio 1.4, 5.7.6.7 "Device Operation: Request header")."""

from enum import IntEnum, IntFlag
from typing import Annotated

import construct

from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.terms import le32, le64, u8


class CtrlType(IntEnum):
    """enum virtio_gpu_ctrl_type: ``VIRTIO_GPU_`` and, of requests, ``CMD_`` are left out of the names."""

    UNDEFINED = 0
    # 2d commands
    GET_DISPLAY_INFO = 0x0100
    RESOURCE_CREATE_2D = 0x0101
    RESOURCE_UNREF = 0x0102
    SET_SCANOUT = 0x0103
    RESOURCE_FLUSH = 0x0104
    TRANSFER_TO_HOST_2D = 0x0105
    RESOURCE_ATTACH_BACKING = 0x0106
    RESOURCE_DETACH_BACKING = 0x0107
    GET_CAPSET_INFO = 0x0108
    GET_CAPSET = 0x0109
    GET_EDID = 0x010A
    RESOURCE_ASSIGN_UUID = 0x010B
    RESOURCE_CREATE_BLOB = 0x010C
    SET_SCANOUT_BLOB = 0x010D
    # 3d commands
    CTX_CREATE = 0x0200
    CTX_DESTROY = 0x0201
    CTX_ATTACH_RESOURCE = 0x0202
    CTX_DETACH_RESOURCE = 0x0203
    RESOURCE_CREATE_3D = 0x0204
    TRANSFER_TO_HOST_3D = 0x0205
    TRANSFER_FROM_HOST_3D = 0x0206
    SUBMIT_3D = 0x0207
    RESOURCE_MAP_BLOB = 0x0208
    RESOURCE_UNMAP_BLOB = 0x0209
    # cursor commands
    UPDATE_CURSOR = 0x0300
    MOVE_CURSOR = 0x0301
    # success responses
    RESP_OK_NODATA = 0x1100
    RESP_OK_DISPLAY_INFO = 0x1101
    RESP_OK_CAPSET_INFO = 0x1102
    RESP_OK_CAPSET = 0x1103
    RESP_OK_EDID = 0x1104
    RESP_OK_RESOURCE_UUID = 0x1105
    RESP_OK_MAP_INFO = 0x1106
    # error responses
    RESP_ERR_UNSPEC = 0x1200
    RESP_ERR_OUT_OF_MEMORY = 0x1201
    RESP_ERR_INVALID_SCANOUT_ID = 0x1202
    RESP_ERR_INVALID_RESOURCE_ID = 0x1203
    RESP_ERR_INVALID_CONTEXT_ID = 0x1204
    RESP_ERR_INVALID_PARAMETER = 0x1205


#: Linux takes every response type from here on as an error (drivers/gpu/drm/virtio/virtgpu_vq.c).
FIRST_ERROR = 0x1200
#: Responses start here, requests end before it.
FIRST_RESPONSE = 0x1100


class CtrlFlag(IntFlag):
    """VIRTIO_GPU_FLAG_*"""

    FENCE = 1 << 0
    INFO_RING_IDX = 1 << 1


#: ring_idx is 0..63 (spec); Linux: MAX_RINGS 64
RING_COUNT = 64


@wire("virtio_gpu_ctrl_hdr", 24, renamed={"hdr_padding": "padding"})
class CtrlHdr(Record, frozen=True):
    """virtio_gpu_ctrl_hdr: what every request and response starts with.

    type: a CtrlType. flags: CtrlFlag bits. fence_id: echoed by the answer of a fenced request. ctx_id: the context.
    ring_idx: the context's timeline, counted only with INFO_RING_IDX.
    """

    type: le32 = 0
    flags: le32 = 0
    fence_id: le64 = 0
    ctx_id: le32 = 0
    ring_idx: u8 = 0
    hdr_padding: Annotated[bytes, construct.Bytes(3)] = bytes(3)


@wire("virtio_gpu_ctrl_hdr", 24)
class HeaderOnly(CtrlHdr, frozen=True):
    """virtio_gpu_ctrl_hdr alone: GET_DISPLAY_INFO, RESP_OK_NODATA and every RESP_ERR_*."""


@wire("virtio_gpu_ctrl_hdr", 24)
class Unknown(CtrlHdr, frozen=True):
    """A message of a type that nobody defined: its header, and the rest as it came."""

    tail: Annotated[bytes, construct.GreedyBytes] = b""
