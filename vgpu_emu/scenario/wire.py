"""Requests out of named members: words become numbers, tables structures, and counts are filled in."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from vgpu_emu.scenario import words
from vgpu_emu.scenario.mistakes import nearest
from vgpu_emu.trace.hextext import bytes_from_hex
from vgpu_wire.control import CtrlType, Unknown
from vgpu_wire.layout import Member, Record
from vgpu_wire.messages import MESSAGES, OK_RESPONSE

#: device-writable bytes of a request whose answer has no fixed size
_OPEN_ENDED = 0x1000
#: member -> what makes a number of its word, and the words
_WORDS: dict[str, tuple[Callable[[Any], int], Any]] = {
    "format": (words.picture_format, words.FormatName),
    "blob_mem": (words.blob_mem, words.MemName),
    "blob_flags": (words.blob_flags, words.FlagName),
    "capset_id": (words.capset, words.CapsetName),
    "context_init": (words.capset, words.CapsetName),
}


def build(message: words.CommandName | int, fields: Mapping[str, Any]) -> bytes:
    """The bytes of a request, with the count that is said, right or wrong.

    Raises ValueError for a member that it has not, WireError for one that does not fit.
    """
    number = message if isinstance(message, int) else CtrlType[message].value
    structure = MESSAGES.get(number, Unknown)
    values = {"type": number, **fields}
    said = [(member, values.pop(member.name)) for member in _counts(structure) if member.name in values]
    data = _record(structure, values).build()
    for member, count in said:
        data = data[: member.offset] + _number(count, member) + data[member.offset + member.size :]
    return data


def _counts(structure: type[Record]) -> list[Member]:
    """The members that say how many elements follow."""
    counters = {member.counter for member in structure.layout.members}
    return [member for member in structure.layout.members if member.attribute in counters]


def _number(value: Any, member: Member) -> bytes:
    if not isinstance(value, int) or not 0 <= value < 1 << 8 * member.size:
        raise ValueError(f"{member.name} is a number below {1 << 8 * member.size:#x}")
    return value.to_bytes(member.size, "little")


def capacity_for(number: int) -> int:
    """The device-writable bytes that an answer needs."""
    answer = MESSAGES[OK_RESPONSE.get(number, CtrlType.RESP_OK_NODATA)].layout
    return _OPEN_ENDED if answer.tail is not None else answer.size


def _record(structure: type[Record], fields: Mapping[str, Any]) -> Record:
    members = _members(structure)
    for name in fields:
        if name not in members:
            raise ValueError(f"{structure.layout.name} has no {name}{nearest(name, members)}")
    values = {members[name].attribute: _value(members[name], value) for name, value in fields.items()}
    for member in structure.layout.members:
        if member.counter is not None and member.attribute in values:
            values.setdefault(member.counter, len(values[member.attribute]))
    return structure(**values)


def _members(structure: type[Record]) -> dict[str, Member]:
    """By name: the members of the header beside the others. Where a name is in both, the header's is hdr.flags."""
    members: dict[str, Member] = {}
    for member in structure.layout.members:
        if member.inherited and member.record is not None:
            members.update({inner.name: inner for inner in member.record.layout.members})
    own = {member.name: member for member in structure.layout.members if not member.inherited}
    return {**members, **own, **{f"hdr.{name}": member for name, member in members.items()}}


def _value(member: Member, value: Any) -> Any:
    if isinstance(value, Mapping) and member.record is not None:
        return _record(member.record, value)
    if isinstance(value, list) and member.record is not None:
        return [_record(member.record, each) if isinstance(each, Mapping) else each for each in value]
    if isinstance(value, str | list) and member.name in _WORDS:
        return _word(member, value)
    if isinstance(value, str):
        return _padded(member, value)
    return tuple(value) if isinstance(value, list) else value


def _word(member: Member, value: str | list[str]) -> int:
    number_of, known = _WORDS[member.name]
    try:
        return number_of(value)
    except KeyError:
        word = value if isinstance(value, str) else " ".join(map(str, value))
        raise ValueError(f"{member.name} {word} has no number{nearest(word, get_args(known))}") from None


def _padded(member: Member, text: str) -> bytes:
    """Of a byte array of fixed length the text, filled up with zeros; of the bytes at the end the hex digits."""
    return bytes_from_hex(text) if member.tail else text.encode().ljust(member.size, b"\0")
