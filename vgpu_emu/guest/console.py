"""The kernel's own console: a DRM client with one framebuffer, there before and after all programs (drm_fbdev_*.c)."""

from typing import TYPE_CHECKING

from vgpu_emu.guest import kms
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.framebuffer import Framebuffer, add_fb
from vgpu_emu.guest.waiting import Op

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vgpu_emu.guest.driver import Driver
    from vgpu_emu.guest.outputs import Output


class Console:
    """comm: the task that loaded the driver, which names the console's context where opening an object makes one."""

    def __init__(self, driver: "Driver", comm: str = "modprobe") -> None:
        self.driver = driver
        self.file = DrmFile(driver, comm, is_client=True)
        self.framebuffer: Framebuffer | None = None

    def start(self) -> Op[None]:
        """drm_client_setup: a dumb buffer of the largest output's size, shown on each; its handle is not kept.

        Raises OSError: ENOMEM. Without a connected output there is nothing to start.
        """
        outputs = self._connected()
        if not outputs:
            return
        width, height = (max(sizes) for sizes in zip(*(output.size for output in outputs), strict=True))
        buffer = yield from self.file.create_dumb(width, height)
        self.framebuffer = add_fb(self.file, buffer.handle, width, height, pitch=buffer.pitch)
        yield from self.file.gem_close(buffer.handle)
        self.driver.console = self
        yield from self.restore()

    def restore(self) -> Op[None]:
        """drm_client_dev_restore: the outputs are the console's again, without cursors."""
        for output in self._connected():
            yield from kms.set_cursor(self.driver, output, None)
            yield from kms.set_crtc(self.driver, output, self.framebuffer, mode=output.size)

    def damage(self, clips: "Sequence[kms.Clip]" = ()) -> Op[None]:
        """Something was printed: the worker that tells the device. Nothing is said while a program has the screen."""
        if self.framebuffer is not None:
            yield from kms.dirty(self.driver, self.framebuffer, clips)

    def _connected(self) -> "list[Output]":
        return [output for output in self.driver.outputs if output.is_connected]
