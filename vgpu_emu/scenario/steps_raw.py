"""Messages that no driver would send: any structure with any members, or any bytes."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, field

from vgpu_emu.scenario import words
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import Size, Step
from vgpu_emu.scenario.things import Allocation, StepError
from vgpu_emu.scenario.wire import build, capacity_for
from vgpu_emu.scenario.world import World
from vgpu_emu.trace.hextext import bytes_from_hex
from vgpu_emu.trace.log import QUEUE_NUMBERS
from vgpu_wire.control import CtrlType
from vgpu_wire.errors import WireError

#: members that may name what a step has given, and what kind of thing that is
_NAMED = {"resource_id": "object", "ctx_id": "file", "blob_id": "allocation"}
_CREATES = {
    CtrlType.RESOURCE_CREATE_2D.value,
    CtrlType.RESOURCE_CREATE_3D.value,
    CtrlType.RESOURCE_CREATE_BLOB.value,
}


class Told(NamedTuple):
    """A request that is said: its bytes, the queue's number, and the bytes that the device may write."""

    data: bytes
    queue: int
    capacity: int


#: bytes of an answer: more than any message has
MAX_CAPACITY = 16 << 20


class Raw(Step, frozen=True, kw_only=True, tag="raw"):
    """A request as it is, past the driver: `message` with `fields`, or `bytes`.

    What it creates no program gives back: it may be left at the end. Members are called as in C; those of the header
    stand beside the others. resource_id, ctx_id and blob_id may be names. Counts and sizes of what follows are filled
    in, if they are not said. Its answer is what came at once: of a fenced request that has to wait, nothing.
    """

    message: Annotated[words.CommandName | int | None, Meta(description="The type of the request.")] = None
    fields: Annotated[dict[str, Any], Meta(description="Members, such as { resource_id = 5, offset = 0x1000 }.")] = (
        field(default_factory=dict)
    )
    bytes_: Annotated[str | None, Meta(description="The whole request, in hex.")] = field(default=None, name="bytes")
    cut: Annotated[Size | None, Meta(description="Send only so many bytes of it.")] = None
    append: Annotated[str, Meta(description="Send these bytes behind it, in hex.")] = ""
    queue: Literal["controlq", "cursorq"] | None = None
    capacity: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_CAPACITY)] | None,
        Meta(description="Bytes that the device may write; else, what it needs."),
    ] = None

    def __post_init__(self) -> None:
        if (self.message is None) == (self.bytes_ is None):
            raise ValueError("it is either a message or bytes")
        for text in (self.bytes_ or "", self.append):
            bytes_from_hex(text)

    def references(self) -> Iterator[tuple[str, str, str]]:
        for member, kind in _NAMED.items():
            if isinstance(self.fields.get(member), str):
                yield f"fields.{member}", self.fields[member], kind

    async def act(self, world: World) -> Given:
        chain = self.told(self._numbers(world))
        self._remember(world, int.from_bytes(chain.data[:4], "little"))
        head = world.send(chain.queue, chain.data, chain.capacity)
        await world.quiet()
        return Given(head=head)

    def told(self, numbers: Mapping[str, Any] | None = None) -> Told:
        """What is sent. numbers: the members, if names are among them. Raises StepError."""
        data = (self._bytes(self.fields if numbers is None else numbers) + bytes_from_hex(self.append))[: self.cut]
        number = int.from_bytes(data[:4], "little")
        queue = self.queue or ("cursorq" if number in _CURSOR else "controlq")
        capacity = self.capacity if self.capacity is not None else capacity_for(number)
        return Told(data, QUEUE_NUMBERS[queue], capacity)

    def _bytes(self, numbers: Mapping[str, Any]) -> bytes:
        if self.bytes_ is not None:
            return bytes_from_hex(self.bytes_)
        try:
            return build(self.message or 0, numbers)
        except (WireError, TypeError, ValueError) as error:
            raise StepError("fields", str(error)) from None

    def _numbers(self, world: World) -> Mapping[str, Any]:
        """The members with ids for names."""
        numbers = dict(self.fields)
        for member, name, kind in self.references():
            numbers[member.removeprefix("fields.")] = _id_of(world, name, kind)
        return numbers

    def _remember(self, world: World, number: int) -> None:
        """What it creates, no program will give back."""
        if number in _CREATES and isinstance(resource_id := self.fields.get("resource_id"), int):
            world.raw_resources.add(resource_id)
        if number == CtrlType.CTX_CREATE and isinstance(ctx_id := self.fields.get("ctx_id"), int):
            world.raw_contexts.add(ctx_id)


_CURSOR = {CtrlType.UPDATE_CURSOR.value, CtrlType.MOVE_CURSOR.value}


def _id_of(world: World, name: str, kind: str) -> int:
    if kind == "object":
        return world.resource_id(name)
    if kind == "file":
        return world.file(name).ctx_id or 0
    return world.find(name, Allocation).blob_id
