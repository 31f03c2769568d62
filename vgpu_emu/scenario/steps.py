"""What all steps have in common: a name for their result, what they expect, and the names that they refer to."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from vgpu_emu.guest.waiting import Op
from vgpu_emu.scenario.expect import Expect
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.things import StepError, resource_of
from vgpu_emu.scenario.words import NAME_PATTERN
from vgpu_emu.trace.hextext import bytes_from_hex

if TYPE_CHECKING:
    from vgpu_emu.guest.file import DrmFile
    from vgpu_emu.scenario.world import World

#: seconds after which a call that has not returned never will: no timeout of the driver is half as long
FOREVER = 600.0
#: a count of bytes or pixels; TOML has hex literals for it
Size = Annotated[int, Meta(ge=0)]
#: of virtual time: some thirty years, the end of which a run still reaches
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]


#: members that are no part of what a step does
_BESIDE = {"as", "comment", "expect", "steps"}


class Step(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", forbid_unknown_fields=True):
    """gives: the kind of thing that `as` names. takes: member -> the kind of thing that it must name.

    commands: what the step is about, for ``expect.response``; nothing, if that is no command.
    """

    gives: ClassVar[str] = ""
    takes: ClassVar[dict[str, str]] = {}
    commands: ClassVar[tuple[int, ...]] = ()
    #: `trace` and `never` are about the whole run, not the step alone
    looks_back: ClassVar[bool] = False
    #: seconds that it may take
    patience: ClassVar[float] = FOREVER

    as_: Annotated[Name | None, Meta(description="A name for the result.")] = msgspec.field(default=None, name="as")
    comment: Annotated[str, Meta(description="Why this step; it is shown in the ladder.")] = ""
    expect: Expect = Expect()

    async def act(self, world: "World") -> Given:
        """Do it. Raises OSError as the guest's call does, StepError for what makes no sense."""
        raise NotImplementedError

    def inner(self) -> "Iterator[tuple[str, Step]]":
        """Steps inside of this one, with their paths."""
        yield from ()

    def references(self) -> "Iterator[tuple[str, str, str]]":
        """Every name that the step refers to: (member, name, the kind of thing that it must be)."""
        for member, kind in self.takes.items():
            names = getattr(self, member)
            for name in [names] if isinstance(names, str) else names or ():
                yield member, name, kind

    def about(self, world: "World") -> int | None:
        """The resource that the step is about, if it names one."""
        of = getattr(self, "of", None)
        return resource_of(world.names.get(of)) if isinstance(of, str) else None

    @property
    def title(self) -> str:
        """``mmap of blob, length 4096, as view``"""
        said = [f"{name} {_shown(value)}" for name, value in self._said() if name not in _BESIDE]
        return " ".join([str(type(self).__struct_config__.tag), ", ".join(said)]).strip() + (
            f" as {self.as_}" if self.as_ else ""
        )

    def _said(self) -> Iterator[tuple[str, Any]]:
        """The members that are not as by default, by the names that they have in the file."""
        for member in _members(type(self)):
            value = getattr(self, member.name)
            if value != member.default and value not in ((), [], {}, None):
                yield member.encode_name, value


@cache
def _members(step: type[Step]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(step)


class InsideStep(Step, frozen=True, kw_only=True):
    """A look into VMM or host, or a change there: what no guest does. Of a real device neither is possible."""


class GuestStep(Step, frozen=True, kw_only=True):
    """A call of the guest's kernel."""

    async def act(self, world: "World") -> Given:
        return await world.run(self.call(world))

    def call(self, world: "World") -> Op[Given]:
        raise NotImplementedError


class FileStep(GuestStep, frozen=True, kw_only=True):
    """A call on an open file."""

    takes: ClassVar[dict[str, str]] = {"file": "file"}

    file: Annotated[Name | None, Meta(description="The open file; without it, the one that is always there.")] = None

    def opened(self, world: "World") -> "DrmFile":
        return world.file(self.file)


def _shown(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0x1000:
        return hex(value)
    if isinstance(value, dict):
        return _written(value)
    return " ".join(map(_shown, value)) if isinstance(value, list | tuple) else str(value)


def _written(value: Any) -> str:
    """As in the file."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_written(part)}" for name, part in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else _shown(value)


def stored(text: str | None, in_hex: str | None) -> bytes:
    """The bytes that a step writes."""
    return text.encode() if text is not None else bytes_from_hex(in_hex or "")


def check_stored(text: str | None, in_hex: str | None) -> None:
    """Raises ValueError unless it is one of the two, and hex is hex."""
    if (text is None) == (in_hex is None):
        raise ValueError("a step that writes has either text or bytes")
    bytes_from_hex(in_hex or "")


def wanted_length(step: "Step", length: int | None) -> int:
    """How much a step reads: what it says, else as much as it expects."""
    if length is not None:
        return length
    expected = step.expect.text.encode() if step.expect.text is not None else bytes_from_hex(step.expect.bytes_ or "")
    if not expected:
        raise StepError("length", "a step that reads has a length, or expects bytes or text")
    return len(expected)
