"""The host's side, looked at from outside: the memory that a server maps into its guest, and the picture on a screen."""

import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import trio

#: how QEMU calls the guest's RAM
_RAM = "memory-backend-memfd"
_CHUNK = 1 << 20
ANSWER = b"seen, and answered, on the host"
#: behind the greeting, in bytes; the guest's program looks there
_ANSWER_AT = 64


def answer_greeting(pid: int, greeting: bytes) -> bool:
    """Find the greeting in a memfd of the process that is not the guest's RAM, and write an answer behind it.

    Neither the process nor the guest takes part: what is found is the memory that both have.
    """
    for path in _memfds(pid):
        with open(path, "r+b", buffering=0) as memory:
            place = _find(memory.fileno(), greeting)
            if place is not None:
                os.pwrite(memory.fileno(), ANSWER + b"\0", place + _ANSWER_AT)
                return True
    return False


def _memfds(pid: int) -> Iterator[str]:
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        try:
            target = os.readlink(path)
        except FileNotFoundError:
            continue
        if target.startswith("/memfd:") and _RAM not in target:
            yield path


def _find(descriptor: int, wanted: bytes) -> int | None:
    """Where in a file, whose holes are not read, these bytes are."""
    end, start = os.fstat(descriptor).st_size, 0
    while start < end:
        try:
            start = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError:
            return None
        found = os.pread(descriptor, _CHUNK, start).find(wanted)
        if found >= 0:
            return start + found
        start += _CHUNK - len(wanted)
    return None


class Picture(NamedTuple):
    """pixels: red, green, blue and whatever else, `step` bytes each, line by line."""

    width: int
    height: int
    step: int
    pixels: bytes

    def at(self, x: int, y: int) -> tuple[int, int, int]:
        place = (y * self.width + x) * self.step
        red, green, blue = self.pixels[place : place + 3]
        return red, green, blue


def read_png(data: bytes) -> Picture:
    """A PNG file of 8 bits a channel, not interlaced, whose lines have no filter: what serve writes.

    Raises ValueError for any other.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 33:
        raise ValueError("no PNG file")
    width, height, depth, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    step = {2: 3, 6: 4}.get(kind, 0)
    lines = zlib.decompress(_image_data(data))
    length = width * step + 1
    if depth != 8 or not step or interlaced or len(lines) != height * length or any(lines[::length]):
        raise ValueError("a PNG file of another kind")
    return Picture(width, height, step, b"".join(lines[y * length + 1 : (y + 1) * length] for y in range(height)))


def _image_data(data: bytes) -> bytes:
    chunks, place = [], 8
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IDAT":
            chunks.append(data[place + 8 : place + 8 + length])
        place += length + 12
    return b"".join(chunks)


def read_ppm(data: bytes) -> Picture:
    """A binary PPM file, as QEMU's screendump writes it. Raises ValueError for anything else."""
    words = data.split(maxsplit=4)
    if len(words) < 5 or words[0] != b"P6" or words[3] != b"255":
        raise ValueError("no binary PPM file")
    width, height = int(words[1]), int(words[2])
    pixels = data[-width * height * 3 :]
    return Picture(width, height, 3, pixels)


async def screendump(qmp: Path, target: Path) -> None:
    """Have QEMU write its screen to a PPM file (QMP screendump). Raises OSError if it will not."""
    stream = await trio.open_unix_socket(str(qmp))
    async with stream:
        await _answered(stream)
        for command, arguments in (("qmp_capabilities", {}), ("screendump", {"filename": str(target)})):
            await stream.send_all(json.dumps({"execute": command, "arguments": arguments}).encode())
            answer = await _answered(stream)
            if "error" in answer:
                raise OSError(f"QEMU: {answer['error']['desc']}")


async def _answered(stream: trio.SocketStream) -> dict[str, dict[str, str]]:
    """The next message that is no event."""
    text = b""
    while True:
        text += await stream.receive_some(65536) or b'{"error": {"desc": "gone"}}\n'
        for line in text.splitlines():
            try:
                message: dict[str, dict[str, str]] = json.loads(line)
            except ValueError:
                continue
            if "event" not in message:
                return message
