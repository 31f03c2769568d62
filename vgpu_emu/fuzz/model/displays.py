"""Displays and cursors (virtio 1.4, 5.7.6.8 and 5.7.6.10): what must come of each request."""

from functools import lru_cache, partial

from vgpu_emu.fuzz.model.expectation import Expected, differs, may, must, refuse
from vgpu_emu.fuzz.model.images import known
from vgpu_emu.fuzz.model.world import BYTES_PER_PIXEL, Resource, Scanout, World
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.device import MAX_SCANOUTS
from vgpu_wire.display import (
    CURSOR_SIZE,
    EDID_BYTES,
    DisplayOne,
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
from vgpu_wire.terms import Records

_FORMATS = frozenset(fmt.value for fmt in Format)
_OFF = (0, 0, 0)
_EDID_BLOCK = 128
#: pixels that a detailed timing has bits for
_EDID_MOST = 4095
_EDID_HEADER = bytes.fromhex("00ffffffffffff00")


def display_info(world: World, _request: CtrlHdr) -> Expected:
    wanted = [(s.width, s.height, 1) if s.enabled else _OFF for s in world.scanouts]
    wanted += [_OFF] * (MAX_SCANOUTS - len(wanted))
    #: one that is off may say what size it would have
    sizes = [(s.width, s.height, 0) for s in world.scanouts]

    def payload(answer: RespDisplayInfo) -> str | None:
        shown = list(_modes(Records.of(DisplayOne, answer.pmodes).raw))
        for index, size in enumerate(sizes):
            if shown[index] == size:
                shown[index] = _OFF
        return differs("pmodes", shown, wanted)

    return must(payload=payload)


# a device answers with the same few
@lru_cache
def _modes(data: bytes) -> tuple[tuple[int, int, int], ...]:
    """Width, height and `enabled` of each."""
    return tuple((mode.r.width, mode.r.height, mode.enabled) for mode in Records(DisplayOne, data))


def scanout(world: World, scanout_id: int) -> Scanout:
    refuse(scanout_id >= len(world.scanouts), "no such scanout")
    return world.scanouts[scanout_id]


def edid(world: World, request: GetEdid) -> Expected:
    display = scanout(world, request.scanout)
    wanted = (min(display.width, _EDID_MOST), min(display.height, _EDID_MOST))

    def payload(answer: RespEdid) -> str | None:
        data = answer.edid
        wrong = _no_edid(answer.size, data)
        # the first detailed timing: 8 low bits of the active pixels, and 4 high ones
        width, height = data[56] | (data[58] & 0xF0) << 4, data[59] | (data[61] & 0xF0) << 4
        return wrong or differs("the preferred mode", (width, height), wanted)

    return must(payload=payload)


# a device answers with the same few
@lru_cache
def _no_edid(size: int, data: bytes) -> str | None:
    """Why `size` bytes of this are no EDID; None: they are."""
    if not 0 < size <= EDID_BYTES or size % _EDID_BLOCK:
        return f"{size} bytes are no EDID"
    if not data.startswith(_EDID_HEADER) or any(
        sum(data[at : at + _EDID_BLOCK]) % 256 for at in range(0, size, _EDID_BLOCK)
    ):
        return "its header or a checksum is wrong"
    return "there is something behind its end" if any(data[size:]) else None


def set_scanout(world: World, request: SetScanout) -> Expected:
    display = scanout(world, request.scanout_id)
    if not request.resource_id:
        return _shows(display, None)
    image = known(world, request.resource_id)
    refuse(image.kind == "blob", "SET_SCANOUT of a blob")
    _inside(request.r, image.width, image.height)
    shown = (image.resource_id, request.r, image.format, 0, 0)
    return _shows(display, shown, _unusual(request.r) or ("no backing" if image.stretches is None else ""))


def set_scanout_blob(world: World, request: SetScanoutBlob) -> Expected:
    display = scanout(world, request.scanout_id)
    if not request.resource_id:
        return _shows(display, None)
    blob = known(world, request.resource_id)
    refuse(blob.kind != "blob", "SET_SCANOUT_BLOB of an image")
    refuse(request.format not in _FORMATS, "no such format")
    _inside(request.r, request.width, request.height)
    stride, offset = request.strides[0], request.offsets[0]
    end = offset + stride * (request.height - 1) + request.width * BYTES_PER_PIXEL
    refuse(stride < request.width * BYTES_PER_PIXEL or end > blob.size, "the blob is too short", "I16")
    return _shows(display, (blob.resource_id, request.r, request.format, stride, offset), _unusual(request.r))


def _inside(r: Rect, width: int, height: int) -> None:
    refuse(r.x + r.width > width or r.y + r.height > height, "the rectangle is not inside", "I16")


def _unusual(r: Rect) -> str:
    """QEMU takes no scanout below 16x16."""
    return "a very small rectangle" if r.width < 16 or r.height < 16 else ""


def _shows(display: Scanout, shown: tuple[int, Rect, int, int, int] | None, unusual: str = "") -> Expected:
    def success(_answer: object) -> None:
        display.shown = shown

    return may(unusual, success) if unusual else must(success)


def flush(world: World, request: ResourceFlush) -> Expected:
    refuse(not request.resource_id, "resource_id 0")
    if request.resource_id not in world.resources:
        return may("no such resource, and nothing to do")
    resource, r = world.resources[request.resource_id], request.r
    if resource.kind != "blob":
        _inside(r, resource.width, resource.height)
    shown = [s for s in world.scanouts if s.shown is not None and s.shown[0] == resource.resource_id]
    if not shown and resource.kind == "blob":
        return may("a blob that nothing shows")
    return must(partial(_touch, [s for s in shown if s.shown is not None and _meet(s.shown[1], r)], r))


def _meet(one: Rect, other: Rect) -> bool:
    """They have a pixel in common."""
    x, y = max(one.x, other.x), max(one.y, other.y)
    return x < min(one.x + one.width, other.x + other.width) and y < min(one.y + one.height, other.y + other.height)


def _touch(touched: list[Scanout], r: Rect, _answer: object) -> None:
    for display in touched:
        display.updates += 1
        display.flushed = r if display.flushed is None else _around(display.flushed, r)


def _around(one: Rect, other: Rect) -> Rect:
    left, top = min(one.x, other.x), min(one.y, other.y)
    right, bottom = max(one.x + one.width, other.x + other.width), max(one.y + one.height, other.y + other.height)
    return Rect(x=left, y=top, width=right - left, height=bottom - top)


def cursor(world: World, request: UpdateCursor) -> Expected:
    display, pos = scanout(world, request.pos.scanout_id), request.pos
    if request.type == CtrlType.MOVE_CURSOR:
        return _points(display, (pos.x, pos.y, *display.cursor[2:]))
    doubt = _cursor_image(known(world, request.resource_id)) if request.resource_id else ""
    return _points(display, (pos.x, pos.y, request.hot_x, request.hot_y, request.resource_id), doubt)


def _cursor_image(image: Resource) -> str:
    """Why a device may refuse it: nothing says what a blob without so many pixels is."""
    if image.kind == "blob":
        return "a cursor blob of less than 64x64 pixels" if image.size < CURSOR_SIZE**2 * BYTES_PER_PIXEL else ""
    refuse((image.width, image.height) != (CURSOR_SIZE, CURSOR_SIZE), "a cursor image that is not 64x64")
    return ""


def _points(display: Scanout, cursor: tuple[int, int, int, int, int], doubt: str = "") -> Expected:
    def success(_answer: object) -> None:
        display.cursor = cursor

    return may(doubt, success) if doubt else must(success)
