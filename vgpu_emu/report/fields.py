"""A message taken apart: every member with its place, its bytes, its value and the word for it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from vgpu_emu.trace.words import WORDS
from vgpu_wire.context_stream import stream_commands
from vgpu_wire.dmabuf import DMA_BUF_IOCTL_INFO, DmaBufInfo
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Member, Record
from vgpu_wire.render import CmdSubmit
from vgpu_wire.renderer_link import Answer, Ioctl, Submit

#: elements of an array, and 16-byte lines of a byte array, that are shown; what is left out is counted
MAX_ELEMENTS, MAX_LINES = 16, 16
_WIDTH = 16


class Field(NamedTuple):
    """offset: from the start of the message. path: the member's name in C, from the outermost structure."""

    offset: int
    data: bytes
    path: str
    value: str
    words: str = ""

    @property
    def hex(self) -> str:
        """The bytes; a long run of zeros at the end is counted."""
        kept = self.data.rstrip(b"\0")
        zeros = len(self.data) - len(kept)
        return self.data.hex(" ") if zeros <= _WIDTH else f"{kept.hex(' ')} 00 x {zeros}".strip()


def fields(record: Record, data: bytes, asked: Record | None = None) -> list[Field]:
    """Every member of a message, in order. data: its bytes. asked: what it answers, and what an answer is read by."""
    return list(_members(type(record), record, data, 0, "", asked))


def raw(data: bytes, offset: int = 0, path: str = "") -> Iterator[Field]:
    """Bytes without a structure, sixteen a line."""
    for start in range(0, min(len(data), MAX_LINES * _WIDTH), _WIDTH):
        line = data[start : start + _WIDTH]
        yield Field(offset + start, line, f"{path}[{start}]" if path else "", "", _ascii(line))
    if len(data) > MAX_LINES * _WIDTH:
        yield Field(offset + MAX_LINES * _WIDTH, b"", "", f"{len(data) - MAX_LINES * _WIDTH} bytes more")


def _members(
    cls: type[Record], record: Record, data: bytes, base: int, prefix: str = "", asked: Record | None = None
) -> Iterator[Field]:
    """The members of one structure. base: where it starts in the message."""
    for member in cls.layout.members:
        place, path = base + member.offset, f"{prefix}{member.name}"
        inside = data[member.offset : None if member.tail else member.offset + member.size]
        if member.inherited and member.record is not None:
            yield from _members(member.record, record, inside, place, f"{path}.")
            continue
        value = getattr(record, member.attribute)
        if member.nested and member.record is not None:
            yield from _members(member.record, value, inside, place, f"{path}.")
        elif member.record is not None:
            yield from _elements(member.record, value, inside, place, path)
        elif member.tail:
            yield from _payload(_contents(record, inside, asked), inside, place, path)
        else:
            yield Field(place, inside, path, *_shown(cls, member, value))


def _shown(cls: type[Record], member: Member, value: Any) -> tuple[str, str]:
    """A value and its words: ``776 = 0x308``, ``RESOURCE_MAP_BLOB``."""
    if isinstance(value, bytes):
        return "", _ascii(value.rstrip(b"\0"))
    if not isinstance(value, int):
        return ", ".join(map(str, value)), ""
    words = WORDS.get((cls.layout.name, member.name))
    return (str(value) if value < 10 else f"{value} = {value:#x}"), (words(value) if words else "")


def _elements(cls: type[Record], elements: Sequence[Any], data: bytes, base: int, path: str) -> Iterator[Field]:
    size = cls.layout.size
    for index, element in enumerate(elements[:MAX_ELEMENTS]):
        start = index * size
        yield from _members(cls, element, data[start : start + size], base + start, f"{path}[{index}].")
    if len(elements) > MAX_ELEMENTS:
        yield Field(base + MAX_ELEMENTS * size, b"", "", f"{len(elements) - MAX_ELEMENTS} elements more")


def _contents(record: Record, data: bytes, asked: Record | None) -> list[Record]:
    """What the bytes at the end of a message are, where that is known: an ioctl's argument, a context's commands."""
    ioctl = asked if isinstance(record, Answer) else record
    try:
        if isinstance(ioctl, Ioctl) and ioctl.request == DMA_BUF_IOCTL_INFO:
            return [DmaBufInfo.parse(data)]
        if isinstance(record, CmdSubmit | Submit):
            return list(stream_commands(data))
    except WireError:
        pass
    return []


def _payload(contents: list[Record], data: bytes, base: int, path: str) -> Iterator[Field]:
    if not contents:
        yield from raw(data, base, path)
    for index, part in enumerate(contents[:MAX_ELEMENTS]):
        size = part.layout.size
        yield from _members(type(part), part, data[:size], base, f"{path}[{index}].")
        data, base = data[size:], base + size
    if len(contents) > MAX_ELEMENTS:
        yield Field(base, b"", "", f"{len(contents) - MAX_ELEMENTS} commands more")


def _ascii(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
