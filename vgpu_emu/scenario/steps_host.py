"""What the host does: its programs see the same memory, and its drivers change their minds."""

from typing import Annotated, ClassVar

from msgspec import Meta, field

from vgpu_emu.scenario.insides import change_exporter, host_memory
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import InsideStep, Name, Size, check_stored, stored, wanted_length
from vgpu_emu.scenario.words import ExporterName, MapInfoName
from vgpu_emu.scenario.world import World
from vgpu_wire.blob import MapCache


class HostRead(InsideStep, frozen=True, kw_only=True, tag="host-read"):
    """The renderer loads bytes of its buffer; without `length`, as many as are expected."""

    takes: ClassVar[dict[str, str]] = {"of": "object"}

    of: Name
    at: Size = 0
    length: Size | None = None

    async def act(self, world: World) -> Given:
        memory = host_memory(world.inside, world.resource_id(self.of))
        return Given(data=memory.read(self.at, wanted_length(self, self.length)))


class HostWrite(InsideStep, frozen=True, kw_only=True, tag="host-write"):
    """The renderer stores bytes into its buffer."""

    takes: ClassVar[dict[str, str]] = {"of": "object"}

    of: Name
    at: Size = 0
    text: str | None = None
    bytes_: Annotated[str | None, Meta(description="In hex.")] = field(default=None, name="bytes")

    def __post_init__(self) -> None:
        check_stored(self.text, self.bytes_)

    async def act(self, world: World) -> Given:
        memory = host_memory(world.inside, world.resource_id(self.of))
        memory.write(self.at, stored(self.text, self.bytes_))
        return Given()


class HostChange(InsideStep, frozen=True, kw_only=True, tag="host-change"):
    """The host changes: `of` is from now on a buffer of this exporter, the renderer guesses another way, or its and the
    VMM's descriptors are limited."""

    takes: ClassVar[dict[str, str]] = {"of": "object"}

    of: Name | None = None
    exporter: ExporterName | None = None
    guess: MapInfoName | None = None
    max_fds: Annotated[Size | None, Meta(description="Descriptors that each process may have open.")] = None

    def __post_init__(self) -> None:
        if (self.of is None) != (self.exporter is None):
            raise ValueError("of and exporter go together")

    async def act(self, world: World) -> Given:
        parts = world.inside.parts
        if self.of is not None and self.exporter is not None:
            change_exporter(world.inside, world.resource_id(self.of), self.exporter)
        if self.guess is not None:
            parts.renderer.guess = MapCache[self.guess.upper()]
        if self.max_fds is not None:
            parts.kernel.max_fds = self.max_fds
        return Given()
