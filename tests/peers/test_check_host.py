"""Looking at the host's side: memory found in another process's memfds, pictures of a screen, QEMU's monitor."""

import json
import os
import struct
import zlib
from pathlib import Path

import pytest
import trio

from vgpu_emu.peers.check.memory import ANSWER, answer_greeting
from vgpu_emu.peers.check.pictures import read_png, read_ppm, right_bands, text
from vgpu_emu.peers.check.qmp import screendump
from vgpu_emu.vmm.picture import Picture

GREETING = b"hello of blob 77"


def test_greeting_is_found_and_answered_in_a_sparse_memfd(nothing_left: None) -> None:
    memory = os.memfd_create("bar")
    try:
        os.ftruncate(memory, 8 << 30)
        os.pwrite(memory, GREETING, (5 << 30) + 0x1000)
        assert answer_greeting(os.getpid(), GREETING)
        assert os.pread(memory, len(ANSWER) + 1, (5 << 30) + 0x1000 + 64) == ANSWER + b"\0"
    finally:
        os.close(memory)


def test_greeting_that_only_the_guest_s_ram_holds_does_not_count(nothing_left: None) -> None:
    memory = os.memfd_create("memory-backend-memfd")
    try:
        os.pwrite(memory, GREETING, 0)
        assert not answer_greeting(os.getpid(), GREETING)
        assert os.fstat(memory).st_size == len(GREETING)
    finally:
        os.close(memory)


@pytest.mark.parametrize("before", [0, (1 << 20) - 5, 3 << 20])
def test_greeting_is_found_wherever_it_lies(before: int) -> None:
    memory = os.memfd_create("blob")
    try:
        os.pwrite(memory, bytes(before) + GREETING, 0)
        assert answer_greeting(os.getpid(), GREETING)
    finally:
        os.close(memory)


RED, BLUE = b"\xff\0\0\xff", b"\0\0\xff\xff"


def test_picture_of_our_server_is_read() -> None:
    picture = read_png(Picture(2, 1, RED + BLUE).png())
    assert (picture.at(0, 0), picture.at(1, 0)) == ((255, 0, 0), (0, 0, 255))


def png(kind: int, lines: bytes, interlaced: int = 0) -> bytes:
    header = b"\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 1, 1, 8, kind, 0, 0, interlaced) + bytes(4)
    data = zlib.compress(lines)
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", len(data)) + b"IDAT" + data + bytes(4)


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", png(6, b"\1" + RED), png(6, b"\0" + RED, 1), png(3, b"\0\0"), png(6, b"\0" + RED[:2])]
)
def test_picture_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="PNG file"):
        read_png(data)


def test_picture_of_qemu_is_read() -> None:
    picture = read_ppm(b"P6\n2 1\n255\n" + RED[:3] + BLUE[:3])
    assert (picture.width, picture.height) == (2, 1)
    assert (picture.at(0, 0), picture.at(1, 0)) == ((255, 0, 0), (0, 0, 255))


@pytest.mark.parametrize("data", [b"", b"P5 1 1 255 x", b"P6\n2 2\n255\nshort"])
def test_other_pictures_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="PPM file"):
        read_ppm(data)


def bands(order: range) -> bytes:
    """Vertical bands 16 pixels wide, each a corner of the colour cube."""
    line = b"".join(bytes(255 * (band >> bit & 1) for bit in (2, 1, 0)) * 16 for band in order)
    return b"P6\n128 32\n255\n" + line * 32


def test_bands_are_counted() -> None:
    assert right_bands(read_ppm(bands(range(8)))) == "8 of 8 bands"
    # the wrong way round none is right
    assert right_bands(read_ppm(bands(range(7, -1, -1)))) == "0 of 8 bands"


def test_a_console_is_mostly_black_but_not_all() -> None:
    black = bytearray(64 * 64 * 3)
    head = b"P6\n64 64\n255\n"
    assert text(read_ppm(head + black)) == "0.0% of the pixels lit"
    black[:300] = b"\xaa" * 300
    assert text(read_ppm(head + black)) == "text"
    assert text(read_ppm(bands(range(8)))) == "87.5% of the pixels lit"


async def monitor(listener: trio.SocketListener, answer: dict[str, object], heard: list[dict[str, object]]) -> None:
    """As QEMU's: a greeting, an answer to each command, and events whenever it likes."""
    stream = await listener.accept()
    async with stream:
        await stream.send_all(b'{"QMP": {"version": {}, "capabilities": []}}\r\n')
        replies: list[dict[str, object]] = [{"return": {}}, answer]
        for reply in replies:
            heard.append(json.loads(await stream.receive_some()))
            await stream.send_all(b'{"event": "RESUME"}\r\n' + json.dumps(reply).encode() + b"\r\n")


async def dump(folder: Path, answer: dict[str, object]) -> list[dict[str, object]]:
    heard: list[dict[str, object]] = []
    with trio.socket.socket(trio.socket.AF_UNIX) as server:
        await server.bind(str(folder / "qmp"))
        server.listen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(monitor, trio.SocketListener(server), answer, heard)
            await screendump(folder / "qmp", folder / "screen.ppm")
    return heard


async def test_monitor_is_asked_for_the_screen(tmp_path: Path) -> None:
    heard = await dump(tmp_path, {"return": {}})
    assert [command["execute"] for command in heard] == ["qmp_capabilities", "screendump"]
    assert heard[1]["arguments"] == {"filename": str(tmp_path / "screen.ppm")}


async def test_monitor_that_refuses_is_quoted(tmp_path: Path) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="QEMU: no surface")):
        await dump(tmp_path, {"error": {"desc": "no surface"}})
