"""What a scanout must show: pixels of images, and of blobs in guest memory."""

from collections.abc import Callable
from functools import partial

from vgpu_emu.fuzz.model.images import pixel_bytes
from vgpu_emu.fuzz.model.world import BYTES_PER_PIXEL, Resource, Scanout, World
from vgpu_wire.blob import BlobMem
from vgpu_wire.resource import Format

#: format -> its channels, in the order of its bytes; X is no channel
_CHANNELS = {fmt.value: fmt.name.partition("_")[0][::2] for fmt in Format}


def picture(world: World, scanout: Scanout) -> bytes | None:
    """Red, green, blue and alpha of every pixel. None: it shows nothing, or what there is no reference for."""
    if scanout.shown is None:
        return None
    resource_id, r, fmt, stride, offset = scanout.shown
    resource = world.resources[resource_id]
    read = _reader(world, resource)
    if read is None or fmt not in _CHANNELS or not r.width or not r.height:
        return None
    stride = stride if resource.kind == "blob" else resource.width * BYTES_PER_PIXEL
    places = range(offset + r.y * stride, offset + (r.y + r.height) * stride, stride)
    lines = [read(place + r.x * BYTES_PER_PIXEL, r.width * BYTES_PER_PIXEL) for place in places]
    return _rgba(b"".join(lines), _CHANNELS[fmt])


def _reader(world: World, resource: Resource) -> Callable[[int, int], bytes] | None:
    """What gives bytes of a resource, by place and length; None: what is on the host is the renderer's."""
    if resource.kind != "blob":
        whole = pixel_bytes(resource) == BYTES_PER_PIXEL
        return (lambda place, length: bytes(resource.pixels[place : place + length])) if whole else None
    if resource.blob_mem == BlobMem.HOST3D:
        return None
    return partial(world.gather, resource) if resource.stretches else lambda _place, length: bytes(length)


def _rgba(pixels: bytes, channels: str) -> bytes:
    shown = bytearray(b"\xff" * len(pixels))
    for place, channel in enumerate("RGBA"):
        if channel in channels:
            shown[place::BYTES_PER_PIXEL] = pixels[channels.index(channel) :: BYTES_PER_PIXEL]
    return bytes(shown)
