"""What a scanout shows: as pixels, and as a PNG file (ISO/IEC 15948; the standard library has its compression)."""

import struct
import zlib
from collections.abc import Iterator

import msgspec

from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.displays import Cursor, Framebuffer
from vgpu_emu.vmm.state import Blob, Image
from vgpu_wire.display import CURSOR_SIZE, Rect
from vgpu_wire.resource import Format

BYTES_PER_PIXEL = 4
#: format -> where in a pixel its red, green, blue and alpha are; None: opaque
CHANNELS: dict[int, tuple[int, int, int, int | None]] = {
    Format.B8G8R8A8_UNORM.value: (2, 1, 0, 3),
    Format.B8G8R8X8_UNORM.value: (2, 1, 0, None),
    Format.A8R8G8B8_UNORM.value: (1, 2, 3, 0),
    Format.X8R8G8B8_UNORM.value: (1, 2, 3, None),
    Format.R8G8B8A8_UNORM.value: (0, 1, 2, 3),
    Format.X8B8G8R8_UNORM.value: (3, 2, 1, None),
    Format.A8B8G8R8_UNORM.value: (3, 2, 1, 0),
    Format.R8G8B8X8_UNORM.value: (0, 1, 2, None),
}

#: formats whose bytes are those of x8r8g8b8 on a little endian machine
_BGRA = frozenset({Format.B8G8R8A8_UNORM.value, Format.B8G8R8X8_UNORM.value})


class Picture(msgspec.Struct, frozen=True):
    """Pixels: 4 bytes each, red, green, blue, alpha; line by line from the top left."""

    width: int
    height: int
    rgba: bytes

    def png(self) -> bytes:
        """The picture as a PNG file: 8 bits a channel, RGBA, not interlaced."""
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 6, 0, 0, 0)
        line = self.width * BYTES_PER_PIXEL
        # every line starts with its filter: 0, none
        lines = b"".join(b"\0" + self.rgba[y * line : (y + 1) * line] for y in range(self.height))
        chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines, 6)) + _chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def rgba(pixels: bytes, pixel_format: int) -> bytes:
    """Pixels of a virtio-gpu format (unknown: read as B8G8R8X8) as red, green, blue, alpha."""
    channels = CHANNELS.get(pixel_format, CHANNELS[Format.B8G8R8X8_UNORM.value])
    converted = bytearray(b"\xff" * len(pixels))
    for target, source in enumerate(channels):
        if source is not None:
            converted[target::BYTES_PER_PIXEL] = pixels[source::BYTES_PER_PIXEL]
    return bytes(converted)


def scanout_picture(device: Device, scanout_id: int) -> Picture | None:
    """What this scanout shows now; None: nothing. Raises IndexError for a scanout that the device does not have."""
    shown = device.displays.scanouts[scanout_id].shown
    if shown is None or not shown.rect.width or not shown.rect.height:
        return None
    pixels = b"".join(_lines(device, shown, shown.rect))
    return Picture(shown.rect.width, shown.rect.height, rgba(pixels, shown.format))


def scanout_pixels(device: Device, shown: Framebuffer, r: Rect) -> bytes:
    """A rectangle of what a scanout shows, in pixels of the resource: x8r8g8b8, line by line without gaps."""
    return x8r8g8b8(b"".join(_lines(device, shown, r)), shown.format)


def cursor_pixels(device: Device, cursor: Cursor) -> bytes | None:
    """The cursor's image, 64 x 64 pixels a8r8g8b8; None: there is none."""
    resource = device.resources.get(cursor.resource_id)
    if isinstance(resource, Image):
        fits, pixel_format = (resource.width, resource.height) == (CURSOR_SIZE, CURSOR_SIZE), resource.format
    else:
        fits = resource is not None and resource.size >= CURSOR_SIZE * CURSOR_SIZE * BYTES_PER_PIXEL
        pixel_format = Format.B8G8R8A8_UNORM.value
    if resource is None or not fits:
        return None
    whole = Rect(width=CURSOR_SIZE, height=CURSOR_SIZE)
    shown = Framebuffer(resource.resource_id, whole, pixel_format, CURSOR_SIZE * BYTES_PER_PIXEL)
    return x8r8g8b8(b"".join(_lines(device, shown, whole)), pixel_format)


def x8r8g8b8(pixels: bytes, pixel_format: int) -> bytes:
    """Pixels of a virtio-gpu format as blue, green, red, alpha."""
    if pixel_format in _BGRA:
        return pixels
    converted = bytearray(rgba(pixels, pixel_format))
    converted[0::BYTES_PER_PIXEL], converted[2::BYTES_PER_PIXEL] = (
        converted[2::BYTES_PER_PIXEL],
        converted[0::BYTES_PER_PIXEL],
    )
    return bytes(converted)


def _lines(device: Device, shown: Framebuffer, r: Rect) -> Iterator[bytes]:
    resource = device.resources[shown.resource_id]
    length = r.width * BYTES_PER_PIXEL
    for y in range(r.y, r.y + r.height):
        if isinstance(resource, Image):
            place = (y * resource.width + r.x) * BYTES_PER_PIXEL
            # a 3D image may have smaller pixels than a picture
            yield bytes(resource.pixels[place : place + length]).ljust(length, b"\0")
        else:
            place = shown.offset + y * shown.stride + r.x * BYTES_PER_PIXEL
            yield _blob_bytes(device, resource, place, length)


def _blob_bytes(device: Device, blob: Blob, place: int, length: int) -> bytes:
    """Bytes of a blob; zeros where the VMM has no memory of it, or less than was said."""
    if blob.exported is not None:
        return blob.exported.memory.read(place, length)
    if blob.backing is not None:
        return blob.backing.read(device.memory, place, length).ljust(length, b"\0")
    return bytes(length)
