"""Calls of a guest program that shows something: framebuffers, modes, page flips, cursors."""

from collections.abc import Callable
from typing import Any

from vgpu_emu.fuzz.actions import one_of
from vgpu_emu.fuzz.asking import probed
from vgpu_emu.fuzz.guest import Guest
from vgpu_emu.fuzz.making import fitting
from vgpu_emu.fuzz.promising import Promise
from vgpu_emu.guest import kms
from vgpu_emu.guest.framebuffer import ARGB8888, XRGB8888, Framebuffer, add_fb
from vgpu_emu.guest.outputs import Output
from vgpu_emu.guest.waiting import Op
from vgpu_wire.control import CtrlType
from vgpu_wire.display import CURSOR_SIZE, CursorPos, Rect

#: pixels of a framebuffer's side: those that Linux takes begin here
_LEAST = 32
_FOURCC = (XRGB8888, ARGB8888)


def screen(guest: Guest, file: int, width: int, height: int, fourcc: int, cursor: int) -> Op[None]:
    """A picture to draw into, which can be shown; now and then one that is as large as a cursor."""
    owner = one_of(guest.files, file)
    size = size_of(width, height, cursor)
    created: Any = yield from fitting(guest, size[0] * size[1] * 4, owner.create_dumb(*size))
    guest.objects.append((owner, created.handle))
    add_fb(owner, created.handle, *size, pitch=created.pitch, fourcc=_FOURCC[fourcc % 2])


def size_of(width: int, height: int, cursor: int) -> tuple[int, int]:
    """What `screen` makes of its numbers, in pixels."""
    return (CURSOR_SIZE, CURSOR_SIZE) if cursor % 3 == 1 else (_LEAST + width % 17, _LEAST + height % 9)


def framebuffer(guest: Guest, bo: int, width: int, height: int, fourcc: int, gap: int) -> None:
    """Any object, looked at as a picture."""
    owner, handle = one_of(guest.objects, bo)
    width, height = _LEAST + width % 2 * 16, _LEAST + height % 2 * 16
    pitch = width * 4 + gap % 3 * 64
    add_fb(owner, handle, width, height, pitch=pitch, fourcc=_FOURCC[fourcc % 2])


def remove_framebuffer(guest: Guest, fb: int) -> Op[None]:
    yield from one_of(guest.framebuffers, fb).remove()


def _output(guest: Guest, number: int, wanted: Callable[[Output], object] = bool) -> Op[Output]:
    """A wanted one, if there is one."""
    yield from probed(guest)
    outputs = guest.bench.driver.outputs
    return one_of([output for output in outputs if wanted(output)] or outputs, number)


def crtc(guest: Guest, display: int, fb: int, x: int, y: int, mode: int, off: int) -> Op[None]:
    """A mode is set, with all of a framebuffer or a part of it; or the display is switched off."""
    output = yield from _output(guest, display)
    if off % 5 == 4:
        yield from kms.set_crtc(guest.bench.driver, output, None)
        return
    shown = one_of(guest.framebuffers, fb)
    x, y = x % 4 * 4, y % 3 * 8
    size = (shown.width - x, shown.height - y) if mode % 3 or x or y else None
    wanted = Rect(x=x, y=y, width=size[0], height=size[1]) if size else Rect(width=shown.width, height=shown.height)
    guest.promises += _shows(output, shown, wanted)
    yield from kms.set_crtc(guest.bench.driver, output, shown, x=x, y=y, mode=size)


def flip(guest: Guest, display: int, fb: int, event: int) -> Op[None]:
    output = yield from _output(guest, display, lambda output: output.primary.framebuffer)
    fitting = [other for other in guest.framebuffers if _fits(output, other)]
    shown = one_of(fitting if fitting and event % 4 else guest.framebuffers, fb)
    guest.promises += _shows(output, shown, output.primary.src)
    yield from kms.page_flip(guest.bench.driver, output, shown, event=bool(event % 2))


def _fits(output: Output, framebuffer: Framebuffer) -> bool:
    shown, src = output.primary.framebuffer, output.primary.src
    is_large = src.x + src.width <= framebuffer.width and src.y + src.height <= framebuffer.height
    return is_large and shown is not None and shown.format == framebuffer.format


def _shows(output: Output, shown: Framebuffer, rect: Rect) -> list[Promise]:
    """What tells the device to show it, if it does not yet, and that it is there to be seen."""
    gem, members = shown.gem, {"r": rect, "scanout_id": output.index}
    promises = [Promise(CtrlType.SET_SCANOUT, resource_id=gem.resource_id, **members)]
    if gem.guest_blob or gem.host3d_blob:
        size = {"width": shown.width, "height": shown.height, "format": shown.format}
        layout = {"strides": (shown.pitch, 0, 0, 0), "offsets": (0, 0, 0, 0)}
        promises = [Promise(CtrlType.SET_SCANOUT_BLOB, resource_id=gem.resource_id, **members, **size, **layout)]
    if output.primary.framebuffer is shown and output.primary.src == rect and not output.needs_modeset:
        promises.clear()
    return [*promises, *_seen(shown, rect)]


def _seen(shown: Framebuffer, rect: Rect) -> list[Promise]:
    """A part of it is new: what the program has drawn is transferred, and the display told."""
    gem = shown.gem
    flush = Promise(CtrlType.RESOURCE_FLUSH, resource_id=gem.resource_id, r=rect)
    if not gem.dumb:
        return [flush]
    offset = rect.x * 4 + rect.y * shown.pitch
    return [Promise(CtrlType.TRANSFER_TO_HOST_2D, resource_id=gem.resource_id, r=rect, offset=offset), flush]


def dirty(guest: Guest, fb: int, x: int, y: int, width: int, height: int, clips: int) -> Op[None]:
    """The program has drawn, everywhere or in one or two places."""
    drawn = one_of(guest.framebuffers, fb)
    x, y = x % (drawn.width - 1), y % (drawn.height - 1)
    first = (x, y, x + 1 + width % 16, y + 1 + height % 16)
    second = (height % 24, width % 24, height % 24 + 8, width % 24 + 4)
    yield from kms.dirty(guest.bench.driver, drawn, (first, second)[: clips % 3])


def cursor(guest: Guest, display: int, fb: int, x: int, y: int, hot: int, off: int) -> Op[None]:
    """A new cursor, or none."""
    output = yield from _output(guest, display)
    shown = None if off % 4 == 3 else one_of(guest.framebuffers, fb)
    hot_x, hot_y = hot % 8, hot // 8
    old = output.cursor.framebuffer
    if shown is not old:
        members = (
            {"resource_id": shown.gem.resource_id, "hot_x": hot_x, "hot_y": hot_y} if shown else {"resource_id": 0}
        )
        pos = _place(output, x, y)
        guest.promises.append(Promise(CtrlType.UPDATE_CURSOR, pos=pos, **members))
    yield from kms.set_cursor(guest.bench.driver, output, shown, x=x - 32, y=y - 32, hot_x=hot_x, hot_y=hot_y)


def move(guest: Guest, display: int, x: int, y: int) -> Op[None]:
    """The cursor goes anywhere, also out of the picture."""
    output = yield from _output(guest, display, lambda output: output.cursor.framebuffer)
    shown, last = output.cursor.framebuffer, output.cursor_command
    if shown is not None:
        members = {"resource_id": shown.gem.resource_id, "hot_x": last.hot_x, "hot_y": last.hot_y}
        guest.promises.append(Promise(CtrlType.MOVE_CURSOR, pos=_place(output, x, y), **members))
    yield from kms.move_cursor(guest.bench.driver, output, x - 32, y - 32)


def _place(output: Output, x: int, y: int) -> CursorPos:
    """What is left of the picture, or above, has the 32 bits of a negative number."""
    return CursorPos(scanout_id=output.index, x=(x - 32) % (1 << 32), y=(y - 32) % (1 << 32))


CALLS: dict[str, Callable[..., Op[None] | None]] = {
    "screen": screen,
    "framebuffer": framebuffer,
    "remove_framebuffer": remove_framebuffer,
    "crtc": crtc,
    "flip": flip,
    "dirty": dirty,
    "cursor": cursor,
    "move": move,
}
NEEDS: dict[str, str] = {
    "screen": "files",
    "framebuffer": "objects",
    **dict.fromkeys(("remove_framebuffer", "crtc", "dirty", "cursor"), "framebuffers"),
    "flip": "shown",
    "move": "pointed",
}
