"""What the device's scanouts show, told to a front-end that shows it: new sizes, new pixels, the cursor.

The guest never waits for the screen: what it draws meanwhile goes into the same update.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import trio

from vgpu_emu.link.chain import Chain
from vgpu_emu.peers.serving import ProtocolError
from vgpu_emu.peers.stream import StreamError
from vgpu_emu.peers.vhost_user.gpu_link import GpuLink
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.displays import Cursor, Framebuffer
from vgpu_emu.vmm.picture import cursor_pixels, scanout_pixels
from vgpu_wire.control import CtrlType
from vgpu_wire.display import GetEdid, Rect, RespDisplayInfo, RespEdid
from vgpu_wire.errors import WireError
from vgpu_wire.vhost_user import U64
from vgpu_wire.vhost_user_gpu import (
    CursorPos,
    CursorUpdate,
    EdidRequest,
    GpuProtocolFeature,
    GpuRequest,
    GpuScanout,
    GpuUpdate,
)

_EDID_BIT = 1 << GpuProtocolFeature.EDID
#: pixels; what a front-end says beyond that is no size of a display
MAX_SIDE = 16384


def _type(number: CtrlType) -> bytes:
    return number.value.to_bytes(4, "little")


class Screen:
    """device: whose scanouts. link: where they are told. `run` is a task beside the guest's."""

    def __init__(self, device: Device, link: GpuLink) -> None:
        self._device = device
        self._link = link
        self._features = 0
        self._changed = trio.Event()
        #: scanout -> what the front-end was told
        self._sizes: dict[int, tuple[int, int]] = {}
        self._shown: dict[int, Framebuffer | None] = {}
        self._cursors: dict[int, Cursor] = {}
        #: of the displays' changes
        self._seen = 0

    # -- beside the guest's requests

    async def before(self, chain: Chain) -> None:
        """Before the device answers what displays there are, the front-end is asked."""
        question = _QUESTIONS.get(chain.readable[:4])
        if question is not None:
            try:
                await question(self, chain.readable)
            except (StreamError, ProtocolError, WireError):
                # the device answers what it knows itself
                return

    def look(self) -> None:
        """Something else may be on a screen."""
        if self._device.displays.changes != self._seen:
            self._seen = self._device.displays.changes
            self._changed.set()

    async def _ask_modes(self, _request: bytes = b"") -> None:
        info = await self._link.ask(GpuRequest.GET_DISPLAY_INFO, RespDisplayInfo)
        if info is None:
            return
        for scanout, mode in zip(self._device.displays.scanouts, info.pmodes, strict=False):
            fits = 0 < mode.r.width <= MAX_SIDE and 0 < mode.r.height <= MAX_SIDE
            scanout.enabled = bool(mode.enabled) and fits
            if fits:
                scanout.x, scanout.y, scanout.width, scanout.height = mode.r.x, mode.r.y, mode.r.width, mode.r.height

    async def _ask_edid(self, data: bytes) -> None:
        if not self._features & _EDID_BIT:
            return
        number = GetEdid.parse(data[: GetEdid.layout.size]).scanout
        if self._device.displays.find(number) is None:
            return
        answer = await self._link.ask(GpuRequest.GET_EDID, RespEdid, EdidRequest(number))
        if answer is not None and 0 < answer.size <= len(answer.edid):
            self._device.displays.edids[number] = answer.edid[: answer.size]

    # -- the task

    async def run(self) -> None:
        """Tell whatever is new, for ever; the link's own task runs beside it. Raises StreamError, ProtocolError."""
        await self._negotiate()
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            for number in range(len(self._device.displays.scanouts)):
                await self._show(number)
                await self._show_cursor(number)

    async def _negotiate(self) -> None:
        offered = await self._link.ask(GpuRequest.GET_PROTOCOL_FEATURES, U64)
        self._features = offered.value & _EDID_BIT if offered is not None else 0
        await self._link.tell(GpuRequest.SET_PROTOCOL_FEATURES, U64(self._features))
        await self._ask_modes()

    async def _show(self, number: int) -> None:
        shown = self._device.displays.scanouts[number].shown
        size = (shown.rect.width, shown.rect.height) if shown is not None else (0, 0)
        damage = self._device.displays.flushed.pop(number, None)
        if shown != self._shown.get(number):
            self._shown[number] = shown
            damage = shown.rect if shown is not None else None
        if size != self._sizes.get(number, (0, 0)):
            self._sizes[number] = size
            await self._link.tell(GpuRequest.SCANOUT, GpuScanout(number, *size))
        if shown is not None and damage is not None:
            await self._update(number, shown, damage)

    async def _update(self, number: int, shown: Framebuffer, damage: Rect) -> None:
        r = _intersection(damage, shown.rect)
        if r is None or self._device.displays.scanouts[number].shown != shown:
            return
        x, y = r.x - shown.rect.x, r.y - shown.rect.y
        pixels = scanout_pixels(self._device, shown, r)
        await self._link.tell(GpuRequest.UPDATE, GpuUpdate(number, x, y, r.width, r.height, pixels))

    async def _show_cursor(self, number: int) -> None:
        displays = self._device.displays
        cursor, is_new = displays.scanouts[number].cursor, number in displays.new_cursors
        displays.new_cursors.discard(number)
        if cursor == self._cursors.get(number, Cursor()) and not is_new:
            return
        self._cursors[number] = cursor
        pos = CursorPos(number, cursor.x, cursor.y)
        pixels = cursor_pixels(self._device, cursor)
        if pixels is None:
            await self._link.tell(GpuRequest.CURSOR_POS_HIDE, pos)
        elif is_new:
            await self._link.tell(GpuRequest.CURSOR_UPDATE, CursorUpdate(pos, cursor.hot_x, cursor.hot_y, pixels))
        else:
            await self._link.tell(GpuRequest.CURSOR_POS, pos)


def _intersection(one: Rect, other: Rect) -> Rect | None:
    x, y = max(one.x, other.x), max(one.y, other.y)
    right = min(one.x + one.width, other.x + other.width)
    bottom = min(one.y + one.height, other.y + other.height)
    return Rect(x, y, right - x, bottom - y) if right > x and bottom > y else None


_QUESTIONS: Mapping[bytes, Callable[[Screen, bytes], Awaitable[None]]] = MappingProxyType(
    {_type(CtrlType.GET_DISPLAY_INFO): Screen._ask_modes, _type(CtrlType.GET_EDID): Screen._ask_edid}
)
