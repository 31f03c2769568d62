"""Commands on displays and the cursor (virtio 1.4, 5.7.6.8), and the picture that a scanout shows."""

from vgpu_emu.ids import ResourceId
from vgpu_emu.vmm.command import OK, Command
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.displays import Cursor, Framebuffer, Scanout
from vgpu_emu.vmm.edid import edid_block
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Blob, Image
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CURSORQ, Feature
from vgpu_wire.display import (
    CURSOR_SIZE,
    EDID_BYTES,
    GetEdid,
    Rect,
    ResourceFlush,
    RespDisplayInfo,
    RespEdid,
    SetScanout,
    SetScanoutBlob,
    UpdateCursor,
)
from vgpu_wire.resource import Format

BYTES_PER_PIXEL = 4
_FORMATS = {fmt.value for fmt in Format}


def get_display_info(device: Device, _request: HeaderOnly) -> CtrlHdr:
    return RespDisplayInfo(pmodes=device.displays.modes())


def get_edid(device: Device, request: GetEdid) -> CtrlHdr:
    scanout = _scanout(device, request.scanout, Rule.EDID_SCANOUT_KNOWN)
    edid = device.displays.edids.get(request.scanout) or edid_block(scanout.width, scanout.height)
    return RespEdid(size=len(edid), edid=edid.ljust(EDID_BYTES, b"\0"))


def _scanout(device: Device, scanout_id: int, rule: Rule, ids: int | None = None) -> Scanout:
    """The scanout of this id; where a VMM does not look, or takes all below `ids`, one that nobody sees."""
    scanouts = device.displays.scanouts
    if scanout_id < len(scanouts):
        return scanouts[scanout_id]
    device.require(scanout_id < (ids or 0), rule)
    return Scanout(scanouts[0].width, scanouts[0].height)


def _scanout_to_set(device: Device, scanout_id: int) -> Scanout:
    return _scanout(device, scanout_id, Rule.SCANOUT_KNOWN, device.profile.scanout_ids)


def set_scanout(device: Device, request: SetScanout) -> CtrlHdr:
    device.displays.changes += 1
    scanout = device.displays.find(request.scanout_id) or _scanout_to_set(device, request.scanout_id)
    if not request.resource_id:
        scanout.shown = None
        return OK
    image = device.find(request.resource_id) or device.missing(Rule.SCANOUT_RESOURCE_KNOWN)
    if image.backing is None:
        device.require(False, Rule.SCANOUT_RESOURCE_BACKED)
    if not isinstance(image, Image):
        raise device.broken(Rule.SCANOUT_RESOURCE_KIND)
    rect = _shown_rect(device, request.r, image.width, image.height)
    scanout.shown = Framebuffer(image.resource_id, rect, image.format)
    return OK


def set_scanout_blob(device: Device, request: SetScanoutBlob) -> CtrlHdr:
    device.displays.changes += 1
    scanout = _scanout_to_set(device, request.scanout_id)
    if not request.resource_id:
        scanout.shown = None
        return OK
    blob = device.resource(request.resource_id, Rule.SCANOUT_RESOURCE_KNOWN)
    if not isinstance(blob, Blob):
        raise device.broken(Rule.SCANOUT_RESOURCE_KIND)
    device.require(request.format in _FORMATS, Rule.SCANOUT_FORMAT)
    rect = _shown_rect(device, request.r, request.width, request.height)
    stride, offset = request.strides[0], request.offsets[0]
    end = offset + stride * (request.height - 1) + request.width * BYTES_PER_PIXEL
    device.insist(stride >= request.width * BYTES_PER_PIXEL and end <= blob.size, Rule.SCANOUT_BLOB_LONG)
    scanout.shown = Framebuffer(blob.resource_id, rect, request.format, stride, offset)
    return OK


def _shown_rect(device: Device, r: Rect, width: int, height: int) -> Rect:
    """The rectangle or, if a VMM does not look whether it is inside, what is there of it."""
    inside = r.x + r.width <= width and r.y + r.height <= height
    if inside and r.width >= 16 and r.height >= 16:
        return r
    device.require(r.width and r.height, Rule.SCANOUT_RECT_NONEMPTY)
    device.require(r.width >= 16 and r.height >= 16, Rule.SCANOUT_RECT_LARGE)
    device.require(inside, Rule.SCANOUT_RECT_INSIDE)
    if inside:
        return r
    x, y = min(r.x, width), min(r.y, height)
    return Rect(x=x, y=y, width=min(r.width, width - x), height=min(r.height, height - y))


def resource_flush(device: Device, request: ResourceFlush) -> CtrlHdr:
    """Every scanout that shows the rectangle, or a part of it, has a new picture."""
    if not request.resource_id:
        raise device.broken(Rule.FLUSH_ID_NONZERO)
    resource, r = device.find(request.resource_id) or device.missing(Rule.FLUSH_KNOWN), request.r
    if isinstance(resource, Image) and (r.x + r.width > resource.width or r.y + r.height > resource.height):
        device.require(False, Rule.FLUSH_INSIDE)
    shown = device.displays.flush(request.resource_id, r)
    if not shown and isinstance(resource, Blob):
        device.require(False, Rule.FLUSH_BLOB_SHOWN)
    return OK


def update_cursor(device: Device, request: UpdateCursor) -> CtrlHdr:
    """A new cursor image at a new place; resource 0 hides the cursor."""
    device.displays.changes += 1
    scanout = _scanout(device, request.pos.scanout_id, Rule.CURSOR_SCANOUT_KNOWN)
    if request.pos.scanout_id < len(device.displays.scanouts):
        device.displays.new_cursors.add(request.pos.scanout_id)
    if request.resource_id:
        image = device.resource(request.resource_id, Rule.CURSOR_RESOURCE_KNOWN)
        if isinstance(image, Image):
            device.require(image.width == CURSOR_SIZE and image.height == CURSOR_SIZE, Rule.CURSOR_RESOURCE_SIZE)
    scanout.cursor = Cursor(request.pos.x, request.pos.y, request.hot_x, request.hot_y, ResourceId(request.resource_id))
    return OK


def move_cursor(device: Device, request: UpdateCursor) -> CtrlHdr:
    device.displays.changes += 1
    pos = request.pos
    scanout = device.displays.find(pos.scanout_id) or _scanout(device, pos.scanout_id, Rule.CURSOR_SCANOUT_KNOWN)
    was = scanout.cursor
    scanout.cursor = Cursor(pos.x, pos.y, was.hot_x, was.hot_y, was.resource_id)
    return OK


COMMANDS = {
    CtrlType.GET_DISPLAY_INFO: Command(get_display_info),
    CtrlType.GET_EDID: Command(get_edid, feature=Feature.EDID),
    CtrlType.SET_SCANOUT: Command(set_scanout),
    CtrlType.SET_SCANOUT_BLOB: Command(set_scanout_blob, feature=Feature.RESOURCE_BLOB, gate=Rule.BLOB_NEGOTIATED),
    CtrlType.RESOURCE_FLUSH: Command(resource_flush),
    CtrlType.UPDATE_CURSOR: Command(update_cursor, queue=CURSORQ),
    CtrlType.MOVE_CURSOR: Command(move_cursor, queue=CURSORQ),
}
