"""The two codecs of vgpu_wire agree with each other, and each with itself, whatever the bytes and values are."""

import io
from collections.abc import Iterator
from random import Random
from typing import Any

import construct
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_structures import RECORDS, random_bytes

from vgpu_wire.control import CtrlHdr, HeaderOnly, Unknown
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Leaf, Record, leaves, to_fields
from vgpu_wire.messages import MESSAGES, parse_message

few = settings(max_examples=10, derandomize=True, database=None, deadline=None)
many = settings(few, max_examples=200)
every_record = pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)

SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.integers(0, 5)


def _by_construct(cls: type[Record], data: bytes) -> dict[str, Any] | None:
    """What construct reads from exactly these bytes; None if it refuses them."""
    stream = io.BytesIO(data)
    try:
        parsed = cls.layout.struct.parse_stream(stream)
    except construct.ConstructError:
        return None
    return _plain(parsed) if stream.tell() == len(data) else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items() if name != "_io"}
    return [_plain(element) for element in value] if isinstance(value, list) else value


def _by_us(cls: type[Record], data: bytes) -> dict[str, Any] | None:
    try:
        return to_fields(cls.parse(data))
    except WireError:
        return None


@every_record
@few
@given(seed=SEEDS, count=COUNTS)
def test_built_bytes_are_the_parsed_bytes(cls: type[Record], seed: int, count: int) -> None:
    data = random_bytes(cls, Random(seed), count)
    assert cls.parse(data).build() == data


@every_record
@few
@given(seed=SEEDS, count=COUNTS)
def test_construct_reads_the_same_fields(cls: type[Record], seed: int, count: int) -> None:
    data = random_bytes(cls, Random(seed), count)
    ours = _by_us(cls, data)
    assert ours is not None
    assert ours == _by_construct(cls, data)


@every_record
def test_construct_accepts_and_refuses_the_same_lengths(cls: type[Record]) -> None:
    whole = random_bytes(cls, Random(cls.__name__), 2)
    for data in (*(whole[:end] for end in range(len(whole))), whole + b"\0", whole + bytes(16)):
        assert _by_us(cls, data) == _by_construct(cls, data)


@every_record
def test_refusal_names_a_place_at_which_the_bytes_end_or_should_have_ended(cls: type[Record]) -> None:
    whole = random_bytes(cls, Random(cls.__name__), 2)
    for end in range(cls.layout.size):
        with pytest.raises(WireError) as refused:
            cls.parse(whole[:end])
        assert refused.value.kind == "truncated"
        assert refused.value.path.startswith(f"{cls.layout.name}.")
        leaf = next(leaf for leaf in leaves(cls) if f"{cls.layout.name}.{leaf.path}" == refused.value.path)
        assert refused.value.offset == leaf.offset <= end < leaf.offset + leaf.member.size


def _fields(cls: type[Record], random: Random, count: int) -> dict[str, Any]:
    """Random values for every member, those at the ends of their ranges among them."""
    counter = cls.layout.tail.counter if cls.layout.tail else None
    fields: dict[str, Any] = {}
    for member in cls.layout.members:
        if member.name == counter:
            fields[member.name] = count
        elif member.tail:
            elements = [_value(member.record, member.size, random) for _ in range(count)]
            fields[member.name] = elements if member.record else b"".join(elements)
        elif isinstance(member.term, construct.Array):
            size = member.size // member.term.count
            fields[member.name] = tuple(_element(member, size, random) for _ in range(member.term.count))
        else:
            fields[member.name] = _element(member, member.size, random)
    return fields


def _value(record: type[Record] | None, size: int, random: Random) -> Any:
    return _fields(record, random, 0) if record else random.randbytes(size)


def _element(member: Any, size: int, random: Random) -> Any:
    if member.record or isinstance(member.term, construct.Bytes):
        return _value(member.record, size, random)
    term = member.term.subcon if isinstance(member.term, construct.Array) else member.term
    low = -(1 << size * 8 - 1) if term.fmtstr[-1].islower() else 0
    return random.choice([low, low + (1 << size * 8) - 1, low + random.randrange(1 << size * 8)])


def _record(cls: type[Record], fields: dict[str, Any]) -> Record:
    """The record of these fields, made as a caller makes one: by its attributes."""
    values: dict[str, Any] = {}
    for member in cls.layout.members:
        value = fields[member.name]
        if member.inherited and member.record:
            header = _record(member.record, value)
            values |= {name: getattr(header, name) for name in header.__struct_fields__}
        elif member.nested and member.record:
            values[member.attribute] = _record(member.record, value)
        elif member.record:
            values[member.attribute] = [_record(member.record, element) for element in value]
        else:
            values[member.attribute] = value
    return cls(**values)


@every_record
@few
@given(seed=SEEDS, count=COUNTS)
def test_construct_builds_the_same_bytes(cls: type[Record], seed: int, count: int) -> None:
    fields = _fields(cls, Random(seed), count)
    record = _record(cls, fields)
    assert record.build() == cls.layout.struct.build(fields)
    assert cls.parse(record.build()) == record


def _parsed_or_refused(data: bytes) -> CtrlHdr | WireError:
    try:
        return parse_message(data)
    except WireError as error:
        return error


@many
@given(data=st.binary(max_size=120), number=st.sampled_from([*map(int, MESSAGES), 0, 0x10E, 0x1107, 0x11FF, 2**32 - 1]))
def test_message_is_built_as_it_was_parsed_or_refused(data: bytes, number: int) -> None:
    data = number.to_bytes(4, "little") + data
    result = _parsed_or_refused(data)
    if isinstance(result, WireError):
        assert result.offset < len(data) if result.kind == "trailing" else result.offset <= len(data)
    else:
        assert result.build() == data
        assert type(result) is MESSAGES.get(number, Unknown)


@pytest.mark.parametrize("cls", [*dict.fromkeys(MESSAGES.values()), Unknown], ids=lambda cls: cls.__name__)
@few
@given(seed=SEEDS, count=COUNTS)
def test_every_well_formed_message_is_accepted(cls: type[CtrlHdr], seed: int, count: int) -> None:
    number = next((number for number, structure in MESSAGES.items() if structure is cls), 0x0999)
    data = int(number).to_bytes(4, "little") + random_bytes(cls, Random(seed), count)[4:]
    message = parse_message(data)
    assert type(message) is cls
    assert message.build() == data


def test_unknown_message_keeps_its_tail() -> None:
    message = parse_message(b"\xff\x01\x00\x00" + bytes(20) + b"whatever it is")
    assert isinstance(message, Unknown)
    assert message.tail == b"whatever it is"


def _spoilt(leaf: Leaf) -> Iterator[Any]:
    """Values that the member cannot hold."""
    term, size = leaf.member.term, leaf.member.size
    if isinstance(term, construct.Bytes):
        yield from (bytes(size - 1), bytes(size + 1), b"", "x" * size, size)
    elif isinstance(term, construct.Array):
        one = 0 if leaf.member.record is None else leaf.member.record()
        yield from ((one,) * (term.count - 1), (one,) * (term.count + 1), ())
    else:
        is_signed = term.fmtstr[-1].islower()
        yield from (-(1 << size * 8 - 1) - 1, 1 << size * 8 - 1) if is_signed else (-1, 1 << size * 8)
        yield from (None, "1", 1.0)


def _with(record: Record, attributes: tuple[str, ...], value: Any) -> Record:
    """`record` with the member that `attributes` lead to replaced."""
    first, *rest = attributes
    inner = _with(getattr(record, first), tuple(rest), value) if rest else value
    return type(record)(**{name: getattr(record, name) for name in record.__struct_fields__} | {first: inner})


@every_record
def test_value_that_does_not_fit_is_refused_by_path_and_offset(cls: type[Record]) -> None:
    for born in (cls(), cls.parse(random_bytes(cls, Random(cls.__name__), 0))):
        for leaf in leaves(cls):
            for value in _spoilt(leaf):
                with pytest.raises(WireError) as refused:
                    _with(born, leaf.attributes, value).build()
                found = (refused.value.kind, refused.value.path, refused.value.offset)
                assert found == ("value", f"{cls.layout.name}.{leaf.path}", leaf.offset), value


def test_header_without_a_body_is_a_message_of_its_own_class() -> None:
    assert type(parse_message((0x100).to_bytes(4, "little") + bytes(20))) is HeaderOnly
