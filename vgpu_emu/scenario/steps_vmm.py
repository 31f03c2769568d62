"""What the VMM and its user do: displays that come and go, restarts; and what is to be seen from inside."""

from typing import Annotated, ClassVar

from msgspec import Meta, json

from vgpu_emu.restarting import ALL, rebind, restart
from vgpu_emu.scenario import words
from vgpu_emu.scenario.insides import screen, snapshot, state
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import InsideStep, Name, Size
from vgpu_emu.scenario.things import StepError
from vgpu_emu.scenario.words import FeatureName
from vgpu_emu.scenario.world import World
from vgpu_emu.vmm.displays import Displays
from vgpu_emu.vmm.snapshot_state import SnapshotError
from vgpu_wire.control import CtrlType

_Pixels = Annotated[int, Meta(ge=1, lt=1 << 32)]
_Scanout = Annotated[int, Meta(ge=0, description="Which display, from 0 on.")]


class Plug(InsideStep, frozen=True, kw_only=True, tag="plug"):
    """The VMM's user plugs in a display, or resizes one: the guest is interrupted, and asks."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.GET_DISPLAY_INFO.value,)

    scanout: _Scanout = 0
    width: _Pixels
    height: _Pixels

    async def act(self, world: World) -> Given:
        _displays(world, self.scanout).plug(self.scanout, self.width, self.height)
        world.inside.config_interrupt()
        return Given()


class Unplug(InsideStep, frozen=True, kw_only=True, tag="unplug"):
    """The VMM's user unplugs a display: the guest is interrupted, and asks."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.GET_DISPLAY_INFO.value,)

    scanout: _Scanout = 0

    async def act(self, world: World) -> Given:
        _displays(world, self.scanout).unplug(self.scanout)
        world.inside.config_interrupt()
        return Given()


def _displays(world: World, scanout: int) -> Displays:
    displays = world.inside.parts.device.displays
    if scanout >= len(displays.scanouts):
        raise StepError("scanout", f"there is no scanout {scanout}")
    return displays


class TakeSnapshot(InsideStep, frozen=True, kw_only=True, tag="snapshot"):
    """The VMM's state as it is now, in numbers; `as` keeps it for restart-vmm.

    value: scanouts, images, blobs, contexts, fences.
    """

    gives: ClassVar[str] = "snapshot"

    async def act(self, world: World) -> Given:
        data = snapshot(world.inside)
        return Given(named=data, value={name: len(part) for name, part in json.decode(data).items() if _counts(part)})


class RestartVmm(InsideStep, frozen=True, kw_only=True, tag="restart-vmm"):
    """The VMM ends, and another goes on from its last state, or from a snapshot. Guest and renderer live on."""

    takes: ClassVar[dict[str, str]] = {"of": "snapshot"}

    of: Annotated[Name | None, Meta(description="The snapshot; without it, the state at the end.")] = None

    async def act(self, world: World) -> Given:
        try:
            await restart(world.inside, None if self.of is None else world.find(self.of, bytes))
        except SnapshotError as refused:
            raise StepError("of", str(refused)) from None
        return Given()


class Rebind(InsideStep, frozen=True, kw_only=True, tag="rebind"):
    """The driver is unbound and bound again: the device is reset, open files are of no use any more (ENODEV)."""

    features: Annotated[
        list[FeatureName] | None,
        Meta(description="What the driver knows now: it accepts what is offered of them. Without it, it knows all."),
    ] = None

    async def act(self, world: World) -> Given:
        try:
            await rebind(world.inside, ALL if self.features is None else words.features(self.features))
        except ValueError as refused:
            raise StepError("do" if self.features is None else "features", str(refused)) from None
        return Given()


def _counts(part: object) -> bool:
    return isinstance(part, list)


class Screen(InsideStep, frozen=True, kw_only=True, tag="screen"):
    """A look at a display: its size, and a pixel.

    value: width, height; 0 if nothing is shown. bytes: red, green, blue, alpha of the pixel at (x, y).
    """

    scanout: _Scanout = 0
    x: Size = 0
    y: Size = 0

    async def act(self, world: World) -> Given:
        picture = screen(world.inside, self.scanout)
        if picture is None:
            return Given(value={"width": 0, "height": 0})
        start = (self.y * picture.width + self.x) * 4
        size = {"width": picture.width, "height": picture.height}
        return Given(value=size, data=picture.rgba[start : start + 4])


class Check(InsideStep, frozen=True, kw_only=True, tag="check"):
    """A look at everything: `trace` and `never` are about the whole run, `value` is the state of all three parties.

    value: guest (in_flight, outputs), vmm (resources, contexts, fences, mapped, scanouts: enabled, shows, updates, and
    cursor: x, y, shows), host (contexts, resources, dma_bufs, vmm_fds).
    """

    looks_back: ClassVar[bool] = True

    async def act(self, world: World) -> Given:
        return Given(value=state(world.inside))
