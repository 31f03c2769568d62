"""The GPU socket of a vhost-user front-end: what displays it has, and what it is told that they show."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import pytest
import trio
import trio.testing
from vhost_kit import RAM, F, Frontend, frontend

from vgpu_emu.peers.serving import ProtocolError
from vgpu_emu.peers.stream import FdStream
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, CURSORQ
from vgpu_wire.display import (
    DisplayOne,
    GetEdid,
    Rect,
    ResourceFlush,
    RespDisplayInfo,
    RespEdid,
    SetScanout,
    UpdateCursor,
)
from vgpu_wire.layout import Record
from vgpu_wire.resource import (
    Format,
    MemEntry,
    ResourceAttachBacking,
    ResourceCreate2D,
    ResourceUnref,
    TransferToHost2D,
)
from vgpu_wire.vhost_user import U64, VringState
from vgpu_wire.vhost_user_gpu import (
    GPU_REPLY,
    CursorPos,
    CursorUpdate,
    EdidRequest,
    GpuHeader,
    GpuRequest,
    GpuScanout,
    GpuUpdate,
)

pytestmark = pytest.mark.usefixtures("nothing_left")
R = TypeVar("R", bound=Record)
G = GpuRequest
WIDE = RespDisplayInfo(pmodes=[DisplayOne(r=Rect(0, 0, 1280, 800), enabled=1)] + [DisplayOne()] * 15)
EDID = RespEdid(size=128, edid=bytes(range(128)) + bytes(896))
#: where the guest has pixels
PIXELS = RAM // 4


class Display(NamedTuple):
    """The front-end's end of the GPU socket."""

    stream: FdStream

    async def next(self) -> tuple[GpuHeader, bytes]:
        data, fds = await self.stream.receive_start(GpuHeader.layout.size)
        fds.close()
        header = GpuHeader.parse(data)
        return header, await self.stream.receive_rest(header.size)

    async def expect(self, request: GpuRequest, payload: type[R]) -> R:
        header, data = await self.next()
        assert (header.request, header.flags) == (request, 0)
        return payload.parse(data)

    async def answer(self, request: GpuRequest, reply: Record) -> None:
        header, _ = await self.next()
        assert header.request == request
        data = reply.build()
        await self.stream.send(GpuHeader(request, GPU_REPLY, len(data)).build() + data)

    async def negotiate(self, features: int = 3) -> None:
        """As QEMU does it, with an EDID and without dma-bufs."""
        await self.answer(G.GET_PROTOCOL_FEATURES, U64(features))
        assert await self.expect(G.SET_PROTOCOL_FEATURES, U64) == U64(features & 1)
        await self.answer(G.GET_DISPLAY_INFO, WIDE)


@asynccontextmanager
async def with_display() -> AsyncIterator[tuple[Frontend, Display]]:
    async with frontend() as (peer, _):
        await peer.set_up()
        ours, theirs = socket.socketpair()
        with theirs:
            assert await peer.tell(F.GPU_SET_SOCKET, fds=[theirs.fileno()]) == 0
        display = Display(FdStream(trio.socket.from_stdlib_socket(ours)))
        try:
            yield peer, display
        finally:
            display.stream.close()


async def _show(peer: Frontend, width: int = 32, height: int = 16) -> bytes:
    """A picture on scanout 0: its pixels."""
    pixels = os.urandom(width * height * 4)
    peer.maps.memory.write(PIXELS, pixels)
    answers = await peer.run(
        ResourceCreate2D(resource_id=1, format=Format.B8G8R8X8_UNORM.value, width=width, height=height),
        ResourceAttachBacking(resource_id=1, nr_entries=1, entries=[MemEntry(addr=PIXELS, length=len(pixels))]),
        TransferToHost2D(resource_id=1, r=Rect(0, 0, width, height)),
        SetScanout(resource_id=1, r=Rect(0, 0, width, height)),
    )
    assert {message.type for message in answers} == {CtrlType.RESP_OK_NODATA}
    return pixels


async def test_guest_is_told_of_the_displays_that_the_front_end_has() -> None:
    async with with_display() as (peer, display):
        await display.negotiate()
        peer.kick(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value), GetEdid(scanout=0))
        await display.answer(G.GET_DISPLAY_INFO, WIDE)
        header, data = await display.next()
        assert (header.request, EdidRequest.parse(data)) == (G.GET_EDID, EdidRequest(0))
        await display.stream.send(GpuHeader(G.GET_EDID, GPU_REPLY, EDID.layout.size).build() + EDID.build())
        info, edid = await peer.answers()
        assert isinstance(info, RespDisplayInfo)
        assert isinstance(edid, RespEdid)
        assert (info.pmodes[0], edid.edid) == (WIDE.pmodes[0], EDID.edid)


async def test_front_end_without_edid_is_not_asked_for_one() -> None:
    async with with_display() as (peer, display):
        await display.negotiate(features=0)
        (edid,) = await peer.run(GetEdid(scanout=0))
        assert isinstance(edid, RespEdid)
        assert edid.edid[:8] == b"\0\xff\xff\xff\xff\xff\xff\0"


async def test_picture_is_told_whole_and_then_what_is_flushed() -> None:
    async with with_display() as (peer, display):
        await display.negotiate()
        pixels = await _show(peer)
        assert await display.expect(G.SCANOUT, GpuScanout) == GpuScanout(0, 32, 16)
        assert await display.expect(G.UPDATE, GpuUpdate) == GpuUpdate(0, 0, 0, 32, 16, pixels)
        await peer.run(ResourceFlush(resource_id=1, r=Rect(4, 2, 3, 2)))
        lines = b"".join(pixels[(y * 32 + 4) * 4 : (y * 32 + 7) * 4] for y in (2, 3))
        assert await display.expect(G.UPDATE, GpuUpdate) == GpuUpdate(0, 4, 2, 3, 2, lines)
        await peer.run(ResourceUnref(resource_id=1))
        assert await display.expect(G.SCANOUT, GpuScanout) == GpuScanout(0, 0, 0)


async def test_flushes_that_nobody_has_told_yet_become_one_update() -> None:
    async with with_display() as (peer, display):
        await display.negotiate()
        await _show(peer)
        await display.next()
        await display.next()
        await peer.run(
            ResourceFlush(resource_id=1, r=Rect(0, 0, 2, 2)),
            ResourceFlush(resource_id=1, r=Rect(8, 6, 2, 2)),
        )
        update = await display.expect(G.UPDATE, GpuUpdate)
        assert (update.x, update.y, update.width, update.height) == (0, 0, 10, 8)


async def test_pixels_of_another_format_are_told_as_x8r8g8b8() -> None:
    async with with_display() as (peer, display):
        await display.negotiate()
        peer.maps.memory.write(PIXELS, bytes([1, 2, 3, 4]) * 256)
        await peer.run(
            ResourceCreate2D(resource_id=1, format=Format.R8G8B8X8_UNORM.value, width=16, height=16),
            ResourceAttachBacking(resource_id=1, nr_entries=1, entries=[MemEntry(addr=PIXELS, length=1024)]),
            TransferToHost2D(resource_id=1, r=Rect(0, 0, 16, 16)),
            SetScanout(resource_id=1, r=Rect(0, 0, 16, 16)),
        )
        await display.next()
        update = await display.expect(G.UPDATE, GpuUpdate)
        assert update.data[:4] == bytes([3, 2, 1, 255])


async def test_cursor_is_told_with_its_image_then_its_place() -> None:
    async with with_display() as (peer, display):
        await display.negotiate()
        await peer.start_queue(CURSORQ)
        image = os.urandom(64 * 64 * 4)
        peer.maps.memory.write(PIXELS, image)
        await peer.run(
            ResourceCreate2D(resource_id=2, format=Format.B8G8R8A8_UNORM.value, width=64, height=64),
            ResourceAttachBacking(resource_id=2, nr_entries=1, entries=[MemEntry(addr=PIXELS, length=len(image))]),
            TransferToHost2D(resource_id=2, r=Rect(0, 0, 64, 64)),
        )
        await peer.run(UpdateCursor(resource_id=2, hot_x=3, hot_y=4), queue=CURSORQ)
        assert await display.expect(G.CURSOR_UPDATE, CursorUpdate) == CursorUpdate(CursorPos(0, 0, 0), 3, 4, image)
        move = UpdateCursor(type=CtrlType.MOVE_CURSOR.value)
        from msgspec.structs import replace

        await peer.run(replace(move, pos=replace(move.pos, x=7, y=9)), queue=CURSORQ)
        assert await display.expect(G.CURSOR_POS, CursorPos) == CursorPos(0, 7, 9)
        await peer.run(UpdateCursor(), queue=CURSORQ)
        assert await display.expect(G.CURSOR_POS_HIDE, CursorPos) == CursorPos(0, 0, 0)


async def test_queue_stops_while_the_front_end_is_asked_for_its_displays() -> None:
    """It answers nothing while it waits for the queue: the guest is told what the device knows."""
    async with with_display() as (peer, display):
        await display.negotiate()
        peer.kick(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value))
        await trio.testing.wait_all_tasks_blocked(0.002)
        assert await peer.ask(F.GET_VRING_BASE, VringState(CONTROLQ, 0)) == VringState(CONTROLQ, 1)
        (info,) = await peer.answers()
        assert isinstance(info, RespDisplayInfo)
        assert info.pmodes[0].r.width == 1280


async def test_display_that_closes_its_socket_leaves_the_guest_running() -> None:
    async with with_display() as (peer, display):
        await display.negotiate()
        display.stream.close()
        await trio.testing.wait_all_tasks_blocked(0.002)
        await _show(peer)
        assert len(await peer.run(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value))) == 1


@pytest.mark.parametrize(
    "data",
    [
        GpuHeader(G.GET_EDID, GPU_REPLY, 0).build(),
        GpuHeader(G.GET_PROTOCOL_FEATURES, 0, 0).build(),
        GpuHeader(G.GET_PROTOCOL_FEATURES, GPU_REPLY, 1 << 30).build(),
        GpuHeader(G.GET_PROTOCOL_FEATURES, GPU_REPLY, 4).build() + bytes(4),
    ],
)
async def test_display_that_talks_nonsense_ends_the_session(data: bytes) -> None:
    async with frontend() as (peer, ending):
        await peer.set_up()
        ours, theirs = socket.socketpair()
        with theirs, ours:
            assert await peer.tell(F.GPU_SET_SOCKET, fds=[theirs.fileno()]) == 0
            ours.sendall(data)
            await ending.over.wait()
    assert isinstance(ending.error, ProtocolError)


async def test_size_that_no_display_has_is_not_believed() -> None:
    huge = RespDisplayInfo(pmodes=[DisplayOne(r=Rect(0, 0, 1 << 31, 800), enabled=1)] + [DisplayOne()] * 15)
    async with with_display() as (peer, display):
        await display.negotiate()
        peer.kick(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value))
        await display.answer(G.GET_DISPLAY_INFO, huge)
        (info,) = await peer.answers()
        assert isinstance(info, RespDisplayInfo)
        assert info.pmodes[0].enabled == 0
