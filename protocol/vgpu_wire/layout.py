"""What a layout is, the record that has one, and the ways to look into a record by the names of C."""

import struct
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, ClassVar, NamedTuple, Self

import construct
import msgspec

from vgpu_wire.errors import WireError
from vgpu_wire.terms import Records

#: a memoryview must be contiguous and of bytes
Buffer = bytes | bytearray | memoryview


class Member(NamedTuple):
    """One member of a structure: its attribute, its name in C, its place, and the construct term that defines it."""

    attribute: str
    name: str
    offset: int
    #: bytes; of a tail, those of one element
    size: int
    term: Any
    #: the record class of a nested structure or of an array's elements
    record: "type[Record] | None" = None
    #: the header, whose members the record class inherits
    inherited: bool = False
    #: a part whose length the message decides: the last member, or none
    tail: bool = False
    #: the attribute that counts the tail's elements; None: all that is there
    counter: str | None = None

    @property
    def nested(self) -> bool:
        return self.record is not None and isinstance(self.term, construct.Struct)

    def formats(self) -> list[str]:
        """struct's words for it: one for each integer, byte array and array of structures in it."""
        if self.record is not None:
            return self.record.layout.formats if self.nested else [f"{self.size}s"]
        if isinstance(self.term, construct.FormatField):
            return [_letter(self.term)]
        if isinstance(self.term, construct.Bytes):
            return [f"{self.size}s"]
        return [_letter(self.term.subcon)] * self.term.count


def _letter(term: Any) -> str:
    """struct's letter for a little endian integer. construct says L where I is the same 4 bytes, packed faster."""
    return str(term.fmtstr).removeprefix("<").replace("L", "I")


class Layout:
    """The layout of one C structure: its name, the size of its fixed part in bytes, its members in order.

    `struct` is the same thing as a construct Struct. `tail` is the variable part, if the structure has one. `packer`
    packs the leaves of the fixed part, in order, by `formats`.
    """

    def __init__(self, name: str, members: Sequence[Member]) -> None:
        self.name = name
        self.members = tuple(members)
        self.tail = next((m for m in members if m.tail), None)
        self.size: int = sum(m.size for m in members if not m.tail)
        self.struct: Any = construct.Struct(*[m.name / m.term for m in members])
        self.formats: list[str] = [fmt for m in members if not m.tail for fmt in m.formats()]
        self.packer = struct.Struct("<" + "".join(self.formats))


class Record(msgspec.Struct, frozen=True, gc=False):
    """A structure as a value. Raw integers, nothing interpreted; two records with equal members are equal."""

    layout: ClassVar[Layout]

    @classmethod
    def parse(cls, data: Buffer) -> Self:
        """The record in exactly these bytes. Raises WireError if they are too few or too many."""
        raise NotImplementedError

    def build(self) -> bytes:
        """Its bytes. Raises WireError if a member does not fit."""
        raise NotImplementedError


class Leaf(NamedTuple):
    """A member that is not itself a structure, as seen from the outermost one."""

    path: str
    offset: int
    member: Member
    attributes: tuple[str, ...]

    def of(self, record: Record) -> Any:
        return reduce(getattr, self.attributes, record)


def leaves(cls: type[Record]) -> Iterator[Leaf]:
    """Every leaf of the fixed part, in order: ``hdr.type`` at 0, ``hdr.flags`` at 4 ..."""
    for member in cls.layout.members:
        step = () if member.inherited else (member.attribute,)
        if member.nested and member.record is not None:
            for leaf in leaves(member.record):
                yield Leaf(
                    f"{member.name}.{leaf.path}", member.offset + leaf.offset, leaf.member, step + leaf.attributes
                )
        elif not member.tail:
            yield Leaf(member.name, member.offset, member, step)


def to_fields(record: Record, cls: type[Record] | None = None) -> dict[str, Any]:
    """The record as nested plain values under their C names: ``{"hdr": {"type": 0x208, ...}, "resource_id": 5, ...}``.

    Integers stay raw, byte arrays are bytes, arrays are lists: what ``cls.layout.struct`` parses and builds.
    """
    fields: dict[str, Any] = {}
    for member in (cls or type(record)).layout.members:
        if member.inherited:
            fields[member.name] = to_fields(record, member.record)
        else:
            fields[member.name] = _plain(getattr(record, member.attribute))
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return to_fields(value)
    if isinstance(value, int | bytes):
        return value
    return [_plain(element) for element in value]


def unread(cls: type[Record], data: Buffer) -> WireError:
    """Why `data` is no `cls`: the member in which it ends, or where it should have ended."""
    layout, size = cls.layout, len(data)
    for leaf in leaves(cls):
        if leaf.offset + leaf.member.size > size:
            detail = f"the message ends after {size} bytes, the structure has {layout.size}"
            return WireError("truncated", f"{layout.name}.{leaf.path}", leaf.offset, detail)
    tail = layout.tail
    if tail is None or tail.counter is None:
        detail = f"the message has {size} bytes, the structure {layout.size}"
        return WireError("trailing", layout.name, layout.size, detail)
    place = next(leaf for leaf in leaves(cls) if leaf.path == tail.counter)
    count = int.from_bytes(data[place.offset : place.offset + place.member.size], "little")
    end = layout.size + count * tail.size
    detail = f"the message has {size} bytes, with {tail.counter} {count} it should have {end}"
    if size > end:
        return WireError("trailing", f"{layout.name}.{tail.name}", end, detail)
    index = (size - layout.size) // tail.size
    return WireError("truncated", f"{layout.name}.{tail.name}[{index}]", layout.size + index * tail.size, detail)


def unfit(record: Record) -> WireError:
    """Why `record` has no bytes: the member whose value does not fit."""
    layout = record.layout
    for leaf in leaves(type(record)):
        path, value = f"{layout.name}.{leaf.path}", leaf.of(record)
        error = _unfit_element(leaf.member, value, path, leaf.offset)
        if error is not None:
            return error
        if not _fits(leaf.member, value):
            return WireError("value", path, leaf.offset, f"{value!r} is no value for {leaf.member.size} bytes")
    tail = layout.tail
    assert tail is not None, f"{record!r} fits"
    path, value = f"{layout.name}.{tail.name}", getattr(record, tail.attribute)
    error = _unfit_element(tail, value, path, layout.size)
    if error is not None:
        return error
    if tail.record is None and not isinstance(value, Buffer):
        return WireError("value", path, layout.size, f"{value!r} is no byte array")
    assert tail.counter is not None, f"{record!r} fits"
    detail = f"{tail.counter} says {getattr(record, tail.counter)}, {len(value)} are there"
    return WireError("count", path, layout.size, detail)


def _fits(member: Member, value: Any) -> bool:
    """Whether `value` has the bytes of `member`, an integer or an array of fixed length."""
    if member.record is not None:
        return bool(len(value) * member.record.layout.size == member.size)
    if isinstance(member.term, construct.Bytes):
        return isinstance(value, bytes | bytearray) and len(value) == member.size
    try:
        member.term.build(value)
    except (construct.ConstructError, TypeError):
        return False
    return True


def _unfit_element(member: Member, value: Any, path: str, offset: int) -> WireError | None:
    """Why an element of an array of structures has no bytes, as seen from the structure that holds the array."""
    if member.record is None or isinstance(value, Records):
        return None
    for index, element in enumerate(value):
        try:
            element.build()
        except WireError as error:
            inside, place = error.path.partition(".")[2], offset + index * member.record.layout.size
            return WireError(error.kind, f"{path}[{index}].{inside}", place + error.offset, error.detail)
    return None
