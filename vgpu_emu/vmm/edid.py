"""An EDID for a scanout: the 128-byte base block of VESA E-EDID 1.4, with its size as the preferred timing."""

import struct
from functools import lru_cache
from typing import NamedTuple

_MAGIC = bytes.fromhex("00ffffffffffff00")
#: three letters of five bits, big endian
_MANUFACTURER = sum((ord(letter) - ord("A") + 1) << shift for letter, shift in zip("VGE", (10, 5, 0), strict=True))
#: EDID 1.4; digital, 8 bits a colour, DisplayPort
_VERSION, _DIGITAL = (1, 4), 0xA5
#: gamma 2.2; sRGB is the default colour space, the first timing is the preferred and native one
_GAMMA, _FEATURES = 120, 0x06
#: the chromaticity of sRGB
_SRGB = bytes.fromhex("ee91a3544c99260f5054")
_UNUSED_TIMINGS = bytes.fromhex("0101") * 8
_DOTS_PER_INCH, _MM_PER_INCH = 96, 25.4
#: no side of a display is shorter
_LEAST_MM = 100
#: what 12 bits of a detailed timing hold, and its clock of 16 bits in units of 10 kHz
_MAX_PIXELS, _MAX_CLOCK = 4095, 65535
_REFRESH = 60
#: pixels of a frame, shown or not: a clock of less than 10 MHz is taken for no timing
_LEAST_FRAME = 10_000_000 // _REFRESH + 1
#: digital separate sync, horizontal positive, vertical negative: what reduced blanking means
_POSITIVE_HSYNC = 0x1A


class _Blanking(NamedTuple):
    """Lines or columns that are not shown: front porch, sync, all."""

    front: int
    sync: int
    total: int


#: VESA CVT with reduced blanking
_HORIZONTAL, _MIN_VERTICAL_BLANK = _Blanking(48, 32, 160), 460e-6


@lru_cache
def edid_block(width: int, height: int) -> bytes:
    """128 bytes for a display of this size in pixels; of more than 4095 a side, 4095 are described."""
    width, height = min(width, _MAX_PIXELS), min(height, _MAX_PIXELS)
    mm = [max(round(side / _DOTS_PER_INCH * _MM_PER_INCH), _LEAST_MM) for side in (width, height)]
    block = _MAGIC + struct.pack(">H", _MANUFACTURER) + struct.pack("<HIBB", 1, 0, 0xFF, 2026 - 1990)
    block += bytes(_VERSION) + struct.pack(
        "<BBBBB", _DIGITAL, *[min(side // 10, 255) for side in mm], _GAMMA, _FEATURES
    )
    block += _SRGB + bytes(3) + _UNUSED_TIMINGS
    block += (
        _timing(width, height, *mm) + _text(0xFC, "vgpu-emu") + _text(0xFE, "no GPU inside") + _descriptor(0x10, b"")
    )
    block += bytes([0])
    return block + bytes([-sum(block) % 256])


def _timing(width: int, height: int, width_mm: int, height_mm: int) -> bytes:
    """A detailed timing descriptor: 18 bytes, numbers of 12 bits cut into a low byte and a high nibble."""
    vertical = _vertical(height)
    columns = _blank(_HORIZONTAL, width, height + vertical.total)
    lines = _blank(vertical, height, width + columns)
    clock = (width + columns) * (height + lines) * _REFRESH // 10_000
    return struct.pack(
        "<H16B",
        min(clock, _MAX_CLOCK),
        width & 0xFF,
        columns & 0xFF,
        _high(width, columns),
        height & 0xFF,
        lines & 0xFF,
        _high(height, lines),
        _HORIZONTAL.front,
        _HORIZONTAL.sync,
        vertical.front << 4 | vertical.sync,
        0,
        width_mm & 0xFF,
        height_mm & 0xFF,
        _high(width_mm, height_mm),
        0,
        0,
        _POSITIVE_HSYNC,
    )


def _blank(blanking: _Blanking, shown: int, other: int) -> int:
    """Lines or columns that are not shown; of a small display more, so that its frame is large enough."""
    return max(blanking.total, min(-(-_LEAST_FRAME // other) - shown, _MAX_PIXELS))


def _high(first: int, second: int) -> int:
    return first >> 8 << 4 | second >> 8


def _vertical(height: int) -> _Blanking:
    """Blank lines so that they take 460 us of a frame."""
    line = (1 / _REFRESH - _MIN_VERTICAL_BLANK) / height
    return _Blanking(3, 6, max(int(_MIN_VERTICAL_BLANK / line) + 1, 3 + 6 + 6))


def _descriptor(tag: int, data: bytes) -> bytes:
    return bytes([0, 0, 0, tag, 0]) + data.ljust(13, b"\0")


def _text(tag: int, text: str) -> bytes:
    """A display descriptor of up to 13 characters, ended by a line feed if there is room."""
    return _descriptor(tag, (text.encode() + b"\n").ljust(13)[:13])
