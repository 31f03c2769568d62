"""vhost-user-gpu (QEMU 11.1, docs/interop/vhost-user-gpu): the back-end of a GPU tells a VMM what its screens show.

The socket comes with GPU_SET_SOCKET. A message is a GpuHeader and `size` bytes of payload, in native byte order; the
back-end asks, and some requests are answered with virtio-gpu's own structures.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Annotated

import construct

from vgpu_wire.derive import wire
from vgpu_wire.display import RespDisplayInfo, RespEdid
from vgpu_wire.layout import Record
from vgpu_wire.terms import native32, native64, native_s32
from vgpu_wire.vhost_user import U64

#: GpuHeader.flags: this answers a request
GPU_REPLY = 1 << 2
#: bytes of a cursor: 64 x 64 pixels of 4 bytes
CURSOR_BYTES = 64 * 64 * 4


class GpuRequest(IntEnum):
    """VHOST_USER_GPU_*: what the back-end sends."""

    GET_PROTOCOL_FEATURES = 1
    SET_PROTOCOL_FEATURES = 2
    GET_DISPLAY_INFO = 3
    CURSOR_POS = 4
    CURSOR_POS_HIDE = 5
    CURSOR_UPDATE = 6
    SCANOUT = 7
    UPDATE = 8
    DMABUF_SCANOUT = 9
    DMABUF_UPDATE = 10
    GET_EDID = 11
    DMABUF_SCANOUT2 = 12


class GpuProtocolFeature(IntEnum):
    """VHOST_USER_GPU_PROTOCOL_F_*: bit numbers. EDID: GET_EDID is answered. DMABUF2: DMABUF_SCANOUT2 is taken."""

    EDID = 0
    DMABUF2 = 1


@wire("VhostUserGpuHeader", 12)
class GpuHeader(Record, frozen=True):
    """request: a GpuRequest. flags: GPU_REPLY or 0. size: bytes of the payload."""

    request: native32 = 0
    flags: native32 = 0
    size: native32 = 0


@wire("VhostUserGpuCursorPos", 12)
class CursorPos(Record, frozen=True):
    """Where the cursor is, in pixels."""

    scanout_id: native32 = 0
    x: native32 = 0
    y: native32 = 0


@wire("VhostUserGpuCursorUpdate", 20 + CURSOR_BYTES)
class CursorUpdate(Record, frozen=True):
    """A new cursor with its hot spot. data: 64 x 64 pixels, a8r8g8b8 (bytes: blue, green, red, alpha)."""

    pos: CursorPos = CursorPos()
    hot_x: native32 = 0
    hot_y: native32 = 0
    data: Annotated[bytes, construct.Bytes(CURSOR_BYTES)] = bytes(CURSOR_BYTES)


@wire("VhostUserGpuScanout", 12)
class GpuScanout(Record, frozen=True):
    """The size of a screen, in pixels; 0 turns it off."""

    scanout_id: native32 = 0
    width: native32 = 0
    height: native32 = 0


@wire("VhostUserGpuUpdate", 20)
class GpuUpdate(Record, frozen=True):
    """New pixels for a rectangle. data: line by line without gaps, x8r8g8b8 (bytes: blue, green, red, any).

    Of DMABUF_UPDATE there are none; it is answered by an empty reply.
    """

    scanout_id: native32 = 0
    x: native32 = 0
    y: native32 = 0
    width: native32 = 0
    height: native32 = 0
    data: Annotated[bytes, construct.GreedyBytes] = b""


@wire("VhostUserGpuDMABUFScanout", 40)
class DmabufScanout(Record, frozen=True):
    """A screen shows a rectangle of the dma-buf that comes along; one of no pixels turns it off."""

    scanout_id: native32 = 0
    x: native32 = 0
    y: native32 = 0
    width: native32 = 0
    height: native32 = 0
    fd_width: native32 = 0
    fd_height: native32 = 0
    fd_stride: native32 = 0
    fd_flags: native32 = 0
    fd_drm_fourcc: native_s32 = 0


@wire("VhostUserGpuDMABUFScanout2", 48)
class DmabufScanout2(Record, frozen=True):
    """The same, with the dma-buf's modifier."""

    dmabuf_scanout: DmabufScanout = DmabufScanout()
    modifier: native64 = 0


@wire("VhostUserGpuEdidRequest", 4)
class EdidRequest(Record, frozen=True):
    """Whose EDID."""

    scanout_id: native32 = 0


_G = GpuRequest
#: request -> its payload; any other has none
GPU_PAYLOADS: Mapping[int, type[Record]] = MappingProxyType(
    {
        **dict.fromkeys((_G.CURSOR_POS, _G.CURSOR_POS_HIDE), CursorPos),
        **dict.fromkeys((_G.UPDATE, _G.DMABUF_UPDATE), GpuUpdate),
        _G.SET_PROTOCOL_FEATURES: U64,
        _G.CURSOR_UPDATE: CursorUpdate,
        _G.SCANOUT: GpuScanout,
        _G.DMABUF_SCANOUT: DmabufScanout,
        _G.DMABUF_SCANOUT2: DmabufScanout2,
        _G.GET_EDID: EdidRequest,
    }
)
#: request that is answered -> what with; DMABUF_UPDATE with nothing
GPU_REPLIES: Mapping[int, type[Record] | None] = MappingProxyType(
    {
        _G.GET_PROTOCOL_FEATURES: U64,
        _G.GET_DISPLAY_INFO: RespDisplayInfo,
        _G.GET_EDID: RespEdid,
        _G.DMABUF_UPDATE: None,
    }
)
