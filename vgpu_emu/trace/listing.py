"""A message as a packet listing: every member, nested as in C, its number with the word for it.

Arrays of structures and byte arrays are cut short unless asked for whole.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from vgpu_emu.trace.words import WORDS
from vgpu_wire.layout import Member, Record
from vgpu_wire.terms import Records

#: of an array of structures so many elements are shown, of a byte array so many bytes; also the bytes of a row
FIRST_ELEMENTS = 4
FIRST_BYTES = 16
_NAME_WIDTH = 20


class Row(NamedTuple):
    """A line of the listing. depth: of nesting. offset, size: bytes, from the start of the message."""

    depth: int
    offset: int
    size: int
    name: str
    shown: str


def listing(record: Record, *, offsets: bool = False, full: bool = False) -> Iterator[str]:
    """The lines for a message that was parsed. full: arrays are shown whole.

    offsets: each member is on a line, with its offset and size in bytes; else a structure of plain members is one line.
    """
    for row in _Lister(offsets, full).structure(record, type(record), 0, 0):
        place = f"{row.offset:7} {row.size:5}" if offsets else ""
        name = "  " * (row.depth + 1) + row.name
        yield f"{place}{name:<{_NAME_WIDTH}}  {row.shown}".rstrip()


def shown_bytes(data: bytes) -> str:
    """A row of bytes, in hex and, if they are more than padding, as text."""
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data)
    return f"{data.hex()}  |{text}|" if len(data) > 4 else data.hex()


class _Lister(NamedTuple):
    apart: bool
    full: bool

    def structure(self, record: Record, cls: type[Record], base: int, depth: int) -> Iterator[Row]:
        """Rows for the members that `record` has of `cls`, itself or the header that it inherits from."""
        for member in cls.layout.members:
            value = record if member.inherited else getattr(record, member.attribute)
            offset = base + member.offset
            if isinstance(value, int):
                yield Row(depth, offset, member.size, member.name, _number(cls, member, value))
            elif isinstance(value, bytes):
                yield from self.byte_array(member.name, value, offset, depth)
            elif isinstance(value, tuple):
                yield Row(depth, offset, member.size, member.name, ", ".join(map(str, value)))
            elif isinstance(value, Records):
                yield from self.array(member.name, value, offset, depth)
            elif member.record is not None:
                yield from self.nested(Row(depth, offset, member.size, member.name, ""), value, member.record)

    def nested(self, head: Row, record: Record, cls: type[Record]) -> Iterator[Row]:
        rows = list(self.structure(record, cls, head.offset, head.depth + 1))
        if self.apart or any(row.depth > head.depth + 1 for row in rows):
            yield from (head, *rows)
        else:
            yield head._replace(shown=", ".join(map(_beside, rows)))

    def array(self, name: str, value: Records[Any], offset: int, depth: int) -> Iterator[Row]:
        size, count = value.record.layout.size, len(value)
        yield Row(depth, offset, count * size, name, f"{count} x {value.record.layout.name}")
        shown = count if self.full else min(count, FIRST_ELEMENTS)
        for index in range(shown):
            head = Row(depth + 1, offset + index * size, size, f"[{index}]", "")
            yield from self.nested(head, value[index], value.record)
        if shown < count:
            yield Row(depth + 1, offset + shown * size, (count - shown) * size, "...", f"{count - shown} more")

    def byte_array(self, name: str, value: bytes, offset: int, depth: int) -> Iterator[Row]:
        cut = not self.full and len(value) > FIRST_BYTES
        more = f"  and {len(value) - FIRST_BYTES} bytes more" if cut else ""
        yield Row(depth, offset, len(value), name, shown_bytes(value[:FIRST_BYTES]) + more)
        for start in range(FIRST_BYTES, 0 if cut else len(value), FIRST_BYTES):
            row = value[start : start + FIRST_BYTES]
            yield Row(depth, offset + start, len(row), "", shown_bytes(row))


def _number(cls: type[Record], member: Member, value: int) -> str:
    words = WORDS.get((cls.layout.name, member.name))
    if words is not None:
        return f"{value:#x} {words(value)}"
    return f"{value} ({value:#x})" if value > 0xFF else str(value)


def _beside(row: Row) -> str:
    """The row as a part of a line; a structure in a structure gets brackets."""
    return f"{row.name} ({row.shown})" if ", " in row.shown else f"{row.name} {row.shown}"
