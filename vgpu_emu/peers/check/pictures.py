"""Pictures of a screen: PNG as our servers write it, PPM as QEMU does."""

import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

_PPM = re.compile(rb"P6\s+([0-9]{1,5})\s+([0-9]{1,5})\s+255\s")


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
    header = _PPM.match(data)
    if header is None:
        raise ValueError("no binary PPM file")
    width, height = int(header[1]), int(header[2])
    if len(data) != header.end() + width * height * 3:
        raise ValueError("a PPM file that is cut short")
    return Picture(width, height, 3, data[header.end() :])


def right_bands(picture: Picture) -> str:
    """Of eight vertical bands, the corners of the colour cube from black to white, those that have their colour."""
    right = 0
    for band in range(8):
        x = (2 * band + 1) * picture.width // 16
        # below the cursor
        colour = picture.at(x, picture.height - 10)
        right += colour == tuple(255 if band >> bit & 1 else 0 for bit in (2, 1, 0))
    return f"{right} of 8 bands"


def text(picture: Picture) -> str:
    """Whether it looks like a text console: some light pixels, and most are black."""
    places = range(0, len(picture.pixels) - 2, picture.step)
    lit = sum(picture.pixels[place : place + 3] != b"\0\0\0" for place in places) / max(len(places), 1)
    return "text" if 0.001 < lit < 0.4 else f"{lit:.1%} of the pixels lit"


#: what the guest's program shows, by the name under which it tells, and how it is looked at
LOOKS: dict[str, Callable[[Picture], str]] = {"screen": right_bands, "console": text}
SHOULD_SHOW = {"screen": "8 of 8 bands", "console": "text"}
