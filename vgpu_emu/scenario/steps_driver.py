"""The driver and its open files: probe, open, close, the kernel's console."""

from typing import Annotated, ClassVar

from msgspec import Meta, field

from vgpu_emu.guest.console import Console
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.kms import Clip
from vgpu_emu.guest.waiting import Op
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import GuestStep, Name, Size, Step
from vgpu_emu.scenario.things import StepError
from vgpu_emu.scenario.world import World
from vgpu_emu.trace.hextext import bytes_from_hex
from vgpu_wire.control import CtrlType


class GuestWrite(Step, frozen=True, kw_only=True, tag="guest-write"):
    """The guest writes into its own memory, past all drivers; EFAULT where it has none."""

    address: Size
    bytes_: Annotated[str, Meta(description="In hex.")] = field(name="bytes")

    def __post_init__(self) -> None:
        bytes_from_hex(self.bytes_)

    async def act(self, world: World) -> Given:
        world.machine.driver.pages.memory.write(self.address, bytes_from_hex(self.bytes_))
        return Given()


class Probe(GuestStep, frozen=True, kw_only=True, tag="probe"):
    """The driver finds out what the device has: capsets, EDIDs, displays. Steps that need it do it unasked.

    value: capsets, outputs ([width, height] of those with a display), edids (which outputs have one).
    """

    commands: ClassVar[tuple[int, ...]] = (CtrlType.GET_DISPLAY_INFO.value,)

    def call(self, world: World) -> Op[Given]:
        yield from world.probed(again=True)
        driver = world.machine.driver
        return Given(
            value={
                "capsets": [capset.id for capset in driver.capsets.known],
                "outputs": [list(output.size) for output in driver.outputs if output.is_connected],
                "edids": [output.index for output in driver.outputs if output.edid is not None],
            }
        )


class Open(GuestStep, frozen=True, kw_only=True, tag="open"):
    """A program opens /dev/dri/renderD128: with VIRGL, a context of its own."""

    gives: ClassVar[str] = "file"

    comm: Annotated[str, Meta(description="The program's name, of which 15 bytes name its context.")] = "vgpu-emu"

    def call(self, world: World) -> Op[Given]:
        return Given(named=world.open(self.comm))
        yield  # nothing is sent before it is needed


class Close(GuestStep, frozen=True, kw_only=True, tag="close"):
    """The program closes the file, with all handles and the context."""

    takes: ClassVar[dict[str, str]] = {"of": "file"}
    commands: ClassVar[tuple[int, ...]] = (CtrlType.CTX_DESTROY.value,)

    of: Annotated[Name | None, Meta(description="The file; without it, the one that is always there.")] = None

    def call(self, world: World) -> Op[Given]:
        file: DrmFile = world.file(self.of)
        yield from file.close()
        return Given()


class ReadEvent(GuestStep, frozen=True, kw_only=True, tag="read-event"):
    """read(2) of the file: the type of the oldest event; EAGAIN if there is none."""

    takes: ClassVar[dict[str, str]] = {"of": "file"}

    of: Name | None = None

    def call(self, world: World) -> Op[Given]:
        return Given(value=world.file(self.of).read_event())
        yield  # it never sleeps


class StartConsole(GuestStep, frozen=True, kw_only=True, tag="start-console"):
    """The kernel's own screen takes all displays, as after boot."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.SET_SCANOUT.value,)

    def call(self, world: World) -> Op[Given]:
        yield from world.probed()
        console = Console(world.machine.driver)
        world.files.append(console.file)
        yield from console.start()
        return Given()


class Print(GuestStep, frozen=True, kw_only=True, tag="print"):
    """Something is printed on the console; `clips` are [x1, y1, x2, y2], none: everywhere."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.RESOURCE_FLUSH.value,)

    clips: tuple[Clip, ...] = ()

    def call(self, world: World) -> Op[Given]:
        console = world.machine.driver.console
        if console is None:
            raise StepError("do", "there is no console before a step start-console")
        yield from console.damage(self.clips)
        return Given()
