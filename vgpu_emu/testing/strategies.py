"""Strategies for Hypothesis: every structure of the wire, requests and answers by type, programs of the fuzzer.

They are functions, so that Hypothesis is loaded when one is called. Examples are records and programs, which shrink
towards zeros, few entries and few steps.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import construct

from vgpu_wire.control import FIRST_RESPONSE, CtrlHdr
from vgpu_wire.layout import Layout, Member, Record
from vgpu_wire.messages import MESSAGES
from vgpu_wire.terms import Records

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from vgpu_emu.fuzz.actions import Program

R = TypeVar("R", bound=Record)
#: elements of an array whose length the message decides
MAX_ELEMENTS = 8
#: bytes that are not zero at the start of a long byte array
MAX_BYTES = 64


def records(cls: type[R]) -> "SearchStrategy[R]":
    """Any value of a structure that has bytes: counters agree with what they count. A message keeps its type."""
    from hypothesis import strategies as st

    members = {m.attribute: _member(m) for m in _own(cls.layout) if not m.tail and m.attribute != "type"}
    tail = cls.layout.tail
    if tail is not None:
        members[tail.attribute] = _tail(tail)
    return st.builds(_made, st.just(cls), st.fixed_dictionaries(members))


def messages(*, numbers: Sequence[int] = tuple(MESSAGES)) -> "SearchStrategy[CtrlHdr]":
    """A message of one of these types: requests and responses if nothing is said."""
    from hypothesis import strategies as st

    return st.sampled_from(list(numbers)).flatmap(_of_type)


def requests() -> "SearchStrategy[CtrlHdr]":
    """A request of any type."""
    return messages(numbers=[number for number in MESSAGES if number < FIRST_RESPONSE])


def responses() -> "SearchStrategy[CtrlHdr]":
    """An answer of any type."""
    return messages(numbers=[number for number in MESSAGES if number >= FIRST_RESPONSE])


def programs(*, length: int = 20) -> "SearchStrategy[Program]":
    """Programs that mostly make sense, with live ids: what `vgpu-emu fuzz` makes, cut short and with steps left out."""
    from hypothesis import strategies as st

    return st.tuples(st.integers(0, 1 << 32), st.lists(st.booleans(), max_size=length)).map(
        lambda drawn: _program(*drawn)
    )


def _of_type(number: int) -> "SearchStrategy[CtrlHdr]":
    from msgspec.structs import replace

    return records(MESSAGES[number]).map(lambda record: replace(record, type=number))


def _own(layout: Layout) -> list[Member]:
    """Every member, those of an inherited header too."""
    found: list[Member] = []
    for member in layout.members:
        found += _own(member.record.layout) if member.inherited and member.record is not None else [member]
    return found


def _member(member: Member) -> "SearchStrategy[Any]":
    from hypothesis import strategies as st

    if member.nested and member.record is not None:
        return records(member.record)
    if member.record is not None:
        return _filled(records(member.record), member.record(), member.size // member.record.layout.size)
    if isinstance(member.term, construct.Bytes):
        size = member.size
        return st.binary(max_size=min(size, MAX_BYTES)).map(lambda start: start.ljust(size, b"\0"))
    if isinstance(member.term, construct.Array):
        bits = 8 * member.size // member.term.count
        return _filled(st.integers(0, (1 << bits) - 1), 0, member.term.count)
    return _integer(member)


def _filled(element: "SearchStrategy[Any]", rest: Any, count: int) -> "SearchStrategy[tuple[Any, ...]]":
    """So many elements, of which the first few are drawn."""
    from hypothesis import strategies as st

    drawn = st.lists(element, max_size=min(count, MAX_ELEMENTS))
    return drawn.map(lambda first: (*first, *[rest] * (count - len(first))))


def _integer(member: Member) -> "SearchStrategy[int]":
    from hypothesis import strategies as st

    bits = 8 * member.size
    if member.term.fmtstr[-1].islower():
        return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
    return st.integers(0, (1 << bits) - 1)


def _tail(member: Member) -> "SearchStrategy[Any]":
    from hypothesis import strategies as st

    if member.record is None:
        return st.binary(max_size=MAX_ELEMENTS * 8)
    cls = member.record
    return st.lists(records(cls), max_size=MAX_ELEMENTS).map(lambda found: Records.of(cls, found))


def _made(cls: type[R], members: dict[str, Any]) -> R:
    tail = cls.layout.tail
    if tail is not None and tail.counter is not None:
        counter = next(m.attribute for m in _own(cls.layout) if m.name == tail.counter)
        members = {**members, counter: len(members[tail.attribute])}
    return cls(**members)


def _program(seed: int, kept: list[bool]) -> "Program":
    from random import Random

    from vgpu_emu.fuzz.actions import Program
    from vgpu_emu.fuzz.generate import Swarm
    from vgpu_emu.fuzz.trial import Conditions, explore

    swarm = Swarm(Random(seed))
    made = explore(swarm, swarm.setup, len(kept), Conditions()).program
    return Program(made.setup, tuple(step for step, keep in zip(made.steps, kept, strict=False) if keep))
