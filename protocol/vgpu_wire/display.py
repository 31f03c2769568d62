"""Displays (virtio 1.4, 5.7.6.8): display info, EDID, scanouts, flush; the cursor (5.7.6.10)."""

from collections.abc import Sequence
from typing import Annotated

import construct

from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.derive import wire
from vgpu_wire.device import MAX_SCANOUTS
from vgpu_wire.layout import Record
from vgpu_wire.terms import Records, le32

EDID_BYTES = 1024
#: hot spot and size of the cursor image
CURSOR_SIZE = 64
MAX_PLANES = 4


@wire("virtio_gpu_rect", 16)
class Rect(Record, frozen=True):
    """virtio_gpu_rect: pixels; x and y from the top left."""

    x: le32 = 0
    y: le32 = 0
    width: le32 = 0
    height: le32 = 0


@wire("virtio_gpu_display_one", 24)
class DisplayOne(Record, frozen=True):
    """virtio_gpu_display_one: one scanout: where the user wants it, and whether it is there."""

    r: Rect = Rect()
    enabled: le32 = 0
    flags: le32 = 0


@wire("virtio_gpu_resp_display_info", 408)
class RespDisplayInfo(CtrlHdr, frozen=True):
    """virtio_gpu_resp_display_info: the answer to GET_DISPLAY_INFO; always 16 entries."""

    type: le32 = CtrlType.RESP_OK_DISPLAY_INFO.value
    pmodes: Annotated[Sequence[DisplayOne], construct.Array(MAX_SCANOUTS, DisplayOne.layout.struct)] = Records(
        DisplayOne, bytes(MAX_SCANOUTS * 24)
    )


@wire("virtio_gpu_cmd_get_edid", 32)
class GetEdid(CtrlHdr, frozen=True):
    """virtio_gpu_cmd_get_edid (F_EDID)"""

    type: le32 = CtrlType.GET_EDID.value
    scanout: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_resp_edid", 1056)
class RespEdid(CtrlHdr, frozen=True):
    """virtio_gpu_resp_edid: `size` of the 1024 bytes count."""

    type: le32 = CtrlType.RESP_OK_EDID.value
    size: le32 = 0
    padding: le32 = 0
    edid: Annotated[bytes, construct.Bytes(EDID_BYTES)] = bytes(EDID_BYTES)


@wire("virtio_gpu_set_scanout", 48)
class SetScanout(CtrlHdr, frozen=True):
    """virtio_gpu_set_scanout: show rectangle `r` of a resource on a scanout; resource 0 switches it off."""

    type: le32 = CtrlType.SET_SCANOUT.value
    r: Rect = Rect()
    scanout_id: le32 = 0
    resource_id: le32 = 0


@wire("virtio_gpu_set_scanout_blob", 96)
class SetScanoutBlob(CtrlHdr, frozen=True):
    """virtio_gpu_set_scanout_blob (F_RESOURCE_BLOB): the same for a blob, which brings no format of its own.

    strides, offsets: bytes, one a plane.
    """

    type: le32 = CtrlType.SET_SCANOUT_BLOB.value
    r: Rect = Rect()
    scanout_id: le32 = 0
    resource_id: le32 = 0
    width: le32 = 0
    height: le32 = 0
    format: le32 = 0
    padding: le32 = 0
    strides: Annotated[tuple[int, ...], construct.Array(MAX_PLANES, construct.Int32ul)] = (0,) * MAX_PLANES
    offsets: Annotated[tuple[int, ...], construct.Array(MAX_PLANES, construct.Int32ul)] = (0,) * MAX_PLANES


@wire("virtio_gpu_resource_flush", 48)
class ResourceFlush(CtrlHdr, frozen=True):
    """virtio_gpu_resource_flush: rectangle `r` of the resource has new pixels; every scanout that shows it updates."""

    type: le32 = CtrlType.RESOURCE_FLUSH.value
    r: Rect = Rect()
    resource_id: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_cursor_pos", 16)
class CursorPos(Record, frozen=True):
    """virtio_gpu_cursor_pos"""

    scanout_id: le32 = 0
    x: le32 = 0
    y: le32 = 0
    padding: le32 = 0


@wire("virtio_gpu_update_cursor", 56)
class UpdateCursor(CtrlHdr, frozen=True):
    """virtio_gpu_update_cursor: UPDATE_CURSOR and MOVE_CURSOR, which looks at `pos` only. Sent on the cursorq.

    resource_id 0 hides the cursor. QEMU and Linux use an answer of no bytes.
    """

    type: le32 = CtrlType.UPDATE_CURSOR.value
    pos: CursorPos = CursorPos()
    resource_id: le32 = 0
    hot_x: le32 = 0
    hot_y: le32 = 0
    padding: le32 = 0
