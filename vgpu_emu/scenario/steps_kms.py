"""What is shown on the displays: framebuffers, modes, page flips, the cursor."""

from typing import Annotated, ClassVar

from msgspec import Meta

from vgpu_emu.guest import kms
from vgpu_emu.guest.framebuffer import ARGB8888, XRGB8888, Framebuffer, add_fb
from vgpu_emu.guest.outputs import Output
from vgpu_emu.guest.waiting import Op
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import GuestStep, Name, Size
from vgpu_emu.scenario.things import Object, StepError
from vgpu_emu.scenario.world import World
from vgpu_wire.control import CtrlType

_FOURCC = {"xrgb8888": XRGB8888, "argb8888": ARGB8888}


class AddFb(GuestStep, frozen=True, kw_only=True, tag="add-fb"):
    """DRM_IOCTL_MODE_ADDFB2: an object, looked at as a picture."""

    gives: ClassVar[str] = "framebuffer"
    takes: ClassVar[dict[str, str]] = {"of": "object"}

    of: Name
    width: Size
    height: Size
    pitch: Annotated[
        Size | None, Meta(description="Bytes a line; without it, those of the object or of its pixels.")
    ] = None
    format: Annotated[str | int, Meta(description="xrgb8888, argb8888, or any number.")] = "xrgb8888"

    def call(self, world: World) -> Op[Given]:
        yield from world.probed()
        thing = world.find(self.of, Object)
        fourcc = self.format if isinstance(self.format, int) else _FOURCC.get(self.format)
        if fourcc is None:
            raise StepError("format", f"{self.format} is not one of {', '.join(_FOURCC)}")
        pitch = self.pitch if self.pitch is not None else thing.pitch or None
        return Given(named=add_fb(thing.file, thing.handle, self.width, self.height, pitch=pitch, fourcc=fourcc))


class RemoveFb(GuestStep, frozen=True, kw_only=True, tag="remove-fb"):
    """DRM_IOCTL_MODE_RMFB: whatever shows it shows nothing."""

    takes: ClassVar[dict[str, str]] = {"of": "framebuffer"}
    commands: ClassVar[tuple[int, ...]] = (CtrlType.SET_SCANOUT.value,)

    of: Name

    def call(self, world: World) -> Op[Given]:
        yield from world.find(self.of, Framebuffer).remove()
        return Given()


class _OutputStep(GuestStep, frozen=True, kw_only=True):
    """of: what is shown; None: nothing."""

    takes: ClassVar[dict[str, str]] = {"of": "framebuffer"}

    output: Annotated[int, Meta(ge=0, description="Which display, from 0 on.")] = 0
    of: Name | None = None

    def shown(self, world: World) -> Framebuffer | None:
        return None if self.of is None else world.find(self.of, Framebuffer)

    def where(self, world: World) -> Output:
        outputs = world.machine.driver.outputs
        if self.output >= len(outputs):
            raise StepError("output", f"there is no output {self.output}, there are {len(outputs)}")
        return outputs[self.output]


class SetCrtc(_OutputStep, frozen=True, kw_only=True, tag="set-crtc"):
    """DRM_IOCTL_MODE_SETCRTC: show a framebuffer from (x, y) on; without `of`, the display is switched off."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.SET_SCANOUT.value, CtrlType.SET_SCANOUT_BLOB.value)

    x: int = 0
    y: int = 0
    mode: Annotated[tuple[int, int] | None, Meta(description="[width, height]; without it, the framebuffer's.")] = None

    def call(self, world: World) -> Op[Given]:
        yield from world.probed()
        output = self.where(world)
        yield from kms.set_crtc(world.machine.driver, output, self.shown(world), x=self.x, y=self.y, mode=self.mode)
        return Given()


class PageFlip(_OutputStep, frozen=True, kw_only=True, tag="page-flip"):
    """DRM_IOCTL_MODE_PAGE_FLIP: show another framebuffer of the same size."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.SET_SCANOUT.value, CtrlType.SET_SCANOUT_BLOB.value)

    of: Name
    event: Annotated[bool, Meta(description="The file gets an event when it is done.")] = False

    def call(self, world: World) -> Op[Given]:
        yield from world.probed()
        framebuffer = world.find(self.of, Framebuffer)
        yield from kms.page_flip(world.machine.driver, self.where(world), framebuffer, event=self.event)
        return Given()


class Dirty(GuestStep, frozen=True, kw_only=True, tag="dirty"):
    """DRM_IOCTL_MODE_DIRTYFB: the program has drawn; `clips` are [x1, y1, x2, y2], none: everywhere."""

    takes: ClassVar[dict[str, str]] = {"of": "framebuffer"}
    commands: ClassVar[tuple[int, ...]] = (CtrlType.RESOURCE_FLUSH.value,)

    of: Name
    clips: tuple[kms.Clip, ...] = ()

    def call(self, world: World) -> Op[Given]:
        yield from kms.dirty(world.machine.driver, world.find(self.of, Framebuffer), self.clips)
        return Given()


class SetCursor(_OutputStep, frozen=True, kw_only=True, tag="set-cursor"):
    """DRM_IOCTL_MODE_CURSOR2: the cursor's picture, place and hot spot; without `of`, there is none."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.UPDATE_CURSOR.value,)

    x: int = 0
    y: int = 0
    hot: tuple[int, int] = (0, 0)

    def call(self, world: World) -> Op[Given]:
        yield from world.probed()
        driver, output, (hot_x, hot_y) = world.machine.driver, self.where(world), self.hot
        yield from kms.set_cursor(driver, output, self.shown(world), x=self.x, y=self.y, hot_x=hot_x, hot_y=hot_y)
        return Given()


class MoveCursor(GuestStep, frozen=True, kw_only=True, tag="move-cursor"):
    """DRM_IOCTL_MODE_CURSOR with DRM_MODE_CURSOR_MOVE"""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.MOVE_CURSOR.value,)

    output: Annotated[int, Meta(ge=0)] = 0
    x: int
    y: int

    def call(self, world: World) -> Op[Given]:
        yield from world.probed()
        outputs = world.machine.driver.outputs
        if self.output >= len(outputs):
            raise StepError("output", f"there is no output {self.output}, there are {len(outputs)}")
        yield from kms.move_cursor(world.machine.driver, outputs[self.output], self.x, self.y)
        return Given()
