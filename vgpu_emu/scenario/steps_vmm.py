"""What the VMM and its user do: displays that come and go; and what is to be seen from inside."""

from typing import Annotated, ClassVar

from msgspec import Meta

from vgpu_emu.scenario.insides import screen, state
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import Size, Step, StepError
from vgpu_emu.scenario.world import World
from vgpu_wire.control import CtrlType

_Scanout = Annotated[int, Meta(ge=0, description="Which display, from 0 on.")]


class Plug(Step, frozen=True, kw_only=True, tag="plug"):
    """The VMM's user plugs in a display, or resizes one: the guest is interrupted, and asks."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.GET_DISPLAY_INFO.value,)

    scanout: _Scanout = 0
    width: Size
    height: Size

    async def act(self, world: World) -> Given:
        try:
            world.machine.parts.device.displays.plug(self.scanout, self.width, self.height)
        except (IndexError, ValueError) as refused:
            raise StepError("scanout", str(refused)) from None
        world.machine.config_interrupt()
        return Given()


class Unplug(Step, frozen=True, kw_only=True, tag="unplug"):
    """The VMM's user unplugs a display: the guest is interrupted, and asks."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.GET_DISPLAY_INFO.value,)

    scanout: _Scanout = 0

    async def act(self, world: World) -> Given:
        try:
            world.machine.parts.device.displays.unplug(self.scanout)
        except IndexError as refused:
            raise StepError("scanout", str(refused)) from None
        world.machine.config_interrupt()
        return Given()


class Screen(Step, frozen=True, kw_only=True, tag="screen"):
    """A look at a display: its size, and a pixel as red, green, blue, alpha; no size: nothing is shown."""

    scanout: _Scanout = 0
    x: Size = 0
    y: Size = 0

    async def act(self, world: World) -> Given:
        picture = screen(world.machine.parts, self.scanout)
        if picture is None:
            return Given(value={"width": 0, "height": 0})
        start = (self.y * picture.width + self.x) * 4
        size = {"width": picture.width, "height": picture.height}
        return Given(value=size, data=picture.rgba[start : start + 4])


class Check(Step, frozen=True, kw_only=True, tag="check"):
    """A look at everything: `trace` and `never` are about the whole run, `value` is the state of all three parties."""

    looks_back: ClassVar[bool] = True

    async def act(self, world: World) -> Given:
        return Given(value=state(world.machine.parts))
