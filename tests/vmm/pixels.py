"""Pixels as slowly and plainly as they can be computed, and a PNG reader of its own: what pictures are compared with.

Nothing here is the device's: formats are spelled by their names, images are dictionaries from a place to four bytes.
"""

import struct
import zlib
from collections.abc import Iterable
from random import Random

#: a place in an image: x, y
Place = tuple[int, int]
Rgba = tuple[int, int, int, int]


def channels(name: str) -> list[str]:
    """The letters of a format's name, byte by byte: B8G8R8X8_UNORM -> B, G, R, X."""
    return [letter for letter in name.removesuffix("_UNORM") if letter.isalpha()]


def colour(pixel: bytes, name: str) -> Rgba:
    """The colour that four bytes of this format stand for; X is no alpha, such a pixel is opaque."""
    value = dict(zip(channels(name), pixel, strict=True))
    return value["R"], value["G"], value["B"], value.get("A", 255)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes in which no two stretches look alike."""
    return Random(seed).randbytes(size)


class Guest:
    """A guest's backing, byte by byte: its entries are (guest physical address, bytes)."""

    def __init__(self, memory: bytes, entries: Iterable[tuple[int, int]]) -> None:
        self.bytes = [memory[addr + i] for addr, length in entries for i in range(length)]

    def pixel(self, place: int, size: int = 4) -> bytes:
        return bytes(self.bytes[place : place + size])


class Host:
    """An image of the host: black until something is transferred."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pixels = {(x, y): bytes(4) for y in range(height) for x in range(width)}

    def transfer(self, guest: Guest, rect: tuple[int, int, int, int], offset: int) -> None:
        """TRANSFER_TO_HOST_2D: the backing's lines are as long as the image's; `offset` is where the rectangle is."""
        x, y, width, height = rect
        for row in range(height):
            for column in range(width):
                self.pixels[x + column, y + row] = guest.pixel(offset + (row * self.width + column) * 4)

    @property
    def bytes(self) -> bytes:
        return b"".join(self.pixels[x, y] for y in range(self.height) for x in range(self.width))


def read_png(data: bytes) -> tuple[int, int, list[list[Rgba]]]:
    """Width, height and lines of an 8-bit RGBA PNG that is not interlaced; every chunk's sum is checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: list[tuple[bytes, bytes]] = []
    place = 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (crc,) = struct.unpack_from(">I", data, place + 8 + length)
        assert zlib.crc32(kind + body) == crc
        chunks.append((kind, body))
        place += 12 + length
    assert [kind for kind, _ in chunks if kind != b"IDAT"] == [b"IHDR", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert rest == [8, 6, 0, 0, 0]
    raw = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    return width, height, _unfiltered(raw, width, height)


def _unfiltered(raw: bytes, width: int, height: int) -> list[list[Rgba]]:
    stride = width * 4 + 1
    assert len(raw) == stride * height
    lines, above = [], bytes(width * 4)
    for y in range(height):
        kind, line = raw[y * stride], bytearray(raw[y * stride + 1 : (y + 1) * stride])
        for i in range(len(line)):
            left, up, corner = (line[i - 4] if i >= 4 else 0), above[i], (above[i - 4] if i >= 4 else 0)
            line[i] = (line[i] + (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]) & 0xFF
        above = bytes(line)
        lines.append([(line[i], line[i + 1], line[i + 2], line[i + 3]) for i in range(0, len(line), 4)])
    return lines


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))
