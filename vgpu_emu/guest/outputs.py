"""Outputs: what the device says of each scanout, and what the driver shows on it (virtgpu_display.c)."""

from typing import TYPE_CHECKING

import msgspec

from vgpu_wire.device import MAX_SCANOUTS
from vgpu_wire.display import DisplayOne, Rect, RespDisplayInfo, RespEdid, UpdateCursor

if TYPE_CHECKING:
    from vgpu_emu.guest.framebuffer import Framebuffer

#: the size that output 0 has until the device says otherwise
DEFAULT_SIZE = (1024, 768)
_EDID_BLOCK = 128
_EDID_MAGIC = bytes.fromhex("00ffffffffffff00")


class Plane(msgspec.Struct):
    """struct drm_plane_state. src: the part of the framebuffer that is shown, in pixels, also when that is gone."""

    framebuffer: "Framebuffer | None" = None
    src: Rect = Rect()


class Output(msgspec.Struct):
    """struct virtio_gpu_output: one scanout, its connector, its CRTC and its planes.

    info: the last answer to GET_DISPLAY_INFO. edid: the last good one, None: none. mode: width and height in pixels of
    the mode that is set; None: the CRTC is off. needs_modeset: the next update of the plane says SET_SCANOUT again.
    """

    index: int
    info: DisplayOne = DisplayOne()
    edid: bytes | None = None
    mode: tuple[int, int] | None = None
    needs_modeset: bool = False
    primary: Plane = msgspec.field(default_factory=Plane)
    cursor: Plane = msgspec.field(default_factory=Plane)
    #: what was last sent on the cursorq for it
    cursor_command: UpdateCursor = UpdateCursor()

    @property
    def is_connected(self) -> bool:
        return bool(self.info.enabled)

    @property
    def size(self) -> tuple[int, int]:
        """The size that the device wants, in pixels; 1024x768 if it has none to say."""
        return (self.info.r.width, self.info.r.height) if self.info.r.width and self.info.r.height else DEFAULT_SIZE


class Outputs(list[Output]):
    """vgdev->outputs. is_pending: an answer to GET_DISPLAY_INFO is on its way. hotplugs: how often one has come."""

    def __init__(self) -> None:
        super().__init__()
        self.is_pending = False
        self.hotplugs = 0

    def make(self, number: int) -> None:
        """vgdev_output_init, for as many as the device has, 16 at most. The first one is on before anybody asked."""
        self[:] = [Output(index) for index in range(min(number, MAX_SCANOUTS))]
        if self:
            self[0].info = DisplayOne(r=Rect(width=DEFAULT_SIZE[0], height=DEFAULT_SIZE[1]), enabled=1)

    def set_display_info(self, buffer: bytes) -> None:
        """virtio_gpu_cmd_get_display_info_cb: the answer's type is not looked at, so an error switches all off."""
        answer = RespDisplayInfo.parse(buffer)
        for output, info in zip(self, answer.pmodes, strict=False):
            output.info = info
        self.is_pending = False
        self.hotplugs += 1

    def set_edid(self, index: int, buffer: bytes) -> None:
        """virtio_gpu_cmd_get_edid_cb: an answer without a whole, valid block leaves the output without an EDID."""
        answer = RespEdid.parse(buffer)
        block = answer.edid[:_EDID_BLOCK]
        is_valid = answer.size >= _EDID_BLOCK and block.startswith(_EDID_MAGIC) and not sum(block) % 256
        self[index].edid = answer.edid[: min(answer.size, len(answer.edid))] if is_valid else None
