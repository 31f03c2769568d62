"""Commands on displays and the cursor (virtio 1.4, 5.7.6.8), and the picture that a scanout shows."""

from msgspec.structs import replace

from vgpu_emu.ids import ResourceId
from vgpu_emu.vmm.device import OK, Command, Device
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
    edid = edid_block(scanout.width, scanout.height)
    return RespEdid(size=len(edid), edid=edid.ljust(EDID_BYTES, b"\0"))


def _scanout(device: Device, scanout_id: int, rule: Rule) -> Scanout:
    """The scanout of this id; where a VMM does not look, the first one stands for those it does not have."""
    scanouts = device.displays.scanouts
    device.require(scanout_id < len(scanouts), rule)
    return scanouts[scanout_id] if scanout_id < len(scanouts) else scanouts[0]


def set_scanout(device: Device, request: SetScanout) -> CtrlHdr:
    scanout = _scanout(device, request.scanout_id, Rule.SCANOUT_KNOWN)
    if not request.resource_id:
        scanout.shown = None
        return OK
    image = device.resource(request.resource_id, Rule.SCANOUT_RESOURCE_KNOWN)
    if not isinstance(image, Image):
        raise device.broken(Rule.SCANOUT_RESOURCE_KIND)
    _require_rect(device, request.r, image.width, image.height)
    scanout.shown = Framebuffer(image.resource_id, request.r, image.format)
    return OK


def set_scanout_blob(device: Device, request: SetScanoutBlob) -> CtrlHdr:
    scanout = _scanout(device, request.scanout_id, Rule.SCANOUT_KNOWN)
    if not request.resource_id:
        scanout.shown = None
        return OK
    blob = device.resource(request.resource_id, Rule.SCANOUT_RESOURCE_KNOWN)
    if not isinstance(blob, Blob):
        raise device.broken(Rule.SCANOUT_RESOURCE_KIND)
    device.require(request.format in _FORMATS, Rule.SCANOUT_FORMAT)
    _require_rect(device, request.r, request.width, request.height)
    stride, offset = request.strides[0], request.offsets[0]
    end = offset + stride * (request.height - 1) + request.width * BYTES_PER_PIXEL
    device.require(stride >= request.width * BYTES_PER_PIXEL and end <= blob.size, Rule.SCANOUT_BLOB_LONG)
    scanout.shown = Framebuffer(blob.resource_id, request.r, request.format, stride, offset)
    return OK


def _require_rect(device: Device, r: Rect, width: int, height: int) -> None:
    device.require(r.width and r.height, Rule.SCANOUT_RECT_NONEMPTY)
    device.require(r.width >= 16 and r.height >= 16, Rule.SCANOUT_RECT_LARGE)
    device.require(r.x + r.width <= width and r.y + r.height <= height, Rule.SCANOUT_RECT_INSIDE)


def resource_flush(device: Device, request: ResourceFlush) -> CtrlHdr:
    """Every scanout that shows the rectangle, or a part of it, has a new picture."""
    resource = device.resource(request.resource_id, Rule.FLUSH_KNOWN)
    r = request.r
    if isinstance(resource, Image):
        device.require(r.x + r.width <= resource.width and r.y + r.height <= resource.height, Rule.FLUSH_INSIDE)
    for scanout in device.displays.scanouts:
        shown = scanout.shown
        if shown is not None and shown.resource_id == resource.resource_id and _meet(shown.rect, r):
            scanout.updates += 1
    return OK


def _meet(a: Rect, b: Rect) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def update_cursor(device: Device, request: UpdateCursor) -> CtrlHdr:
    """A new cursor image at a new place; resource 0 hides the cursor."""
    scanout = _scanout(device, request.pos.scanout_id, Rule.CURSOR_SCANOUT_KNOWN)
    if request.resource_id:
        image = device.resource(request.resource_id, Rule.CURSOR_RESOURCE_KNOWN)
        if isinstance(image, Image):
            device.require(image.width == CURSOR_SIZE and image.height == CURSOR_SIZE, Rule.CURSOR_RESOURCE_SIZE)
    scanout.cursor = Cursor(request.pos.x, request.pos.y, request.hot_x, request.hot_y, ResourceId(request.resource_id))
    return OK


def move_cursor(device: Device, request: UpdateCursor) -> CtrlHdr:
    scanout = _scanout(device, request.pos.scanout_id, Rule.CURSOR_SCANOUT_KNOWN)
    scanout.cursor = replace(scanout.cursor, x=request.pos.x, y=request.pos.y)
    return OK


COMMANDS = {
    CtrlType.GET_DISPLAY_INFO: Command(get_display_info),
    CtrlType.GET_EDID: Command(get_edid, Feature.EDID),
    CtrlType.SET_SCANOUT: Command(set_scanout),
    CtrlType.SET_SCANOUT_BLOB: Command(set_scanout_blob, Feature.RESOURCE_BLOB),
    CtrlType.RESOURCE_FLUSH: Command(resource_flush),
    CtrlType.UPDATE_CURSOR: Command(update_cursor, queue=CURSORQ),
    CtrlType.MOVE_CURSOR: Command(move_cursor, queue=CURSORQ),
}
