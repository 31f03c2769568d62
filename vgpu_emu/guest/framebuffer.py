"""Framebuffers: an object, looked at as a picture (virtgpu_display.c, drm_framebuffer.c)."""

from errno import EINVAL, ENOENT
from typing import TYPE_CHECKING

from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import GemHandle
from vgpu_wire.display import SetScanoutBlob
from vgpu_wire.resource import Format

if TYPE_CHECKING:
    from vgpu_emu.guest.open_file import OpenFile

#: DRM_FORMAT_XRGB8888 and DRM_FORMAT_ARGB8888 -> what a little endian guest calls them on the wire
XRGB8888, ARGB8888 = (int.from_bytes(name, "little") for name in (b"XR24", b"AR24"))
FORMATS = {XRGB8888: Format.B8G8R8X8_UNORM.value, ARGB8888: Format.B8G8R8A8_UNORM.value}
BYTES_PER_PIXEL = 4
_MIN_SIDE, _MAX_SIDE = 32, 8192


class Framebuffer:
    """struct drm_framebuffer. pitch, offset: bytes. refs: the file, and each plane that shows it."""

    def __init__(self, file: "OpenFile", gem: GemObject, width: int, height: int, pitch: int, fourcc: int) -> None:
        self.file = file
        self.gem = gem
        self.width = width
        self.height = height
        self.pitch = pitch
        self.offset = 0
        self.format = FORMATS[fourcc]
        self.refs = 1
        gem.get()

    def get(self) -> None:
        self.refs += 1

    def put(self) -> Op[None]:
        self.refs -= 1
        if not self.refs:
            yield from self.gem.put()

    def remove(self) -> Op[None]:
        """DRM_IOCTL_MODE_RMFB: planes that show it are switched off first (drm_framebuffer_remove)."""
        from vgpu_emu.guest.kms import hide

        self.file.framebuffers.remove(self)
        for output in self.file.driver.outputs:
            yield from hide(self.file.driver, output, self)
        yield from self.put()

    def scanout_blob(self) -> SetScanoutBlob:
        """SET_SCANOUT_BLOB, as far as it is about the framebuffer."""
        planes = (0, 0, 0)
        return SetScanoutBlob(
            resource_id=self.gem.resource_id,
            width=self.width,
            height=self.height,
            format=self.format,
            strides=(self.pitch, *planes),
            offsets=(self.offset, *planes),
        )


def add_fb(
    file: "OpenFile", handle: GemHandle, width: int, height: int, *, pitch: int | None = None, fourcc: int = XRGB8888
) -> Framebuffer:
    """DRM_IOCTL_MODE_ADDFB2. pitch: bytes a line, by default without a gap.

    Raises OSError: EINVAL for a size or pitch that the device cannot have, or an unknown handle; ENOENT for another
    format than the two that planes show.
    """
    file.require_device()
    pitch = width * BYTES_PER_PIXEL if pitch is None else pitch
    if not (_MIN_SIDE <= width <= _MAX_SIDE and _MIN_SIDE <= height <= _MAX_SIDE) or pitch < width * BYTES_PER_PIXEL:
        raise OSError(EINVAL, f"a framebuffer of {width}x{height} pixels, {pitch} bytes a line")
    if fourcc not in FORMATS:
        raise OSError(ENOENT, f"format {fourcc:#x}")
    gem = file.handles.get(handle)
    if gem is None:
        raise OSError(EINVAL, f"no GEM handle {handle}")
    framebuffer = Framebuffer(file, gem, width, height, pitch, fourcc)
    file.framebuffers.append(framebuffer)
    return framebuffer
