"""One definition, two codecs: from an annotated class derive construct's Struct and a precompiled struct.Struct.

``@wire("virtio_gpu_rect", 16)`` walks the class's annotations. construct's Struct (``Rect.layout.struct``) is the
definition that others can use and the oracle of the tests; `Rect.parse` and `Rect.build` are generated functions around
one ``struct.unpack``. Both are made at import; what cannot be derived, or has another size than stated, fails there.

Padding is a member like any other, and unknown bits stay in their integers, so build(parse(x)) == x for all x.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar, get_args, get_origin

import construct

from vgpu_wire.codegen import attach_codec
from vgpu_wire.layout import Layout, Member, Record

Owner = TypeVar("Owner", bound=Record)

#: the little endian integers among construct's terms, by struct's letters
_INTEGERS = {f"<{letter}" for letter in "bBhHlLqQ"}


def wire(name: str, size: int, *, renamed: dict[str, str] | None = None) -> Callable[[type[Owner]], type[Owner]]:
    """Derive both codecs for the C structure `name`, whose fixed part has `size` bytes.

    renamed: attribute -> C name, for the two names that a header and a body both use.
    """

    def decorate(cls: type[Owner]) -> type[Owner]:
        cls.layout = Layout(name, list(_members(cls, renamed or {})))
        _check_tail(cls.layout)
        if cls.layout.size != size:
            raise TypeError(f"{name}: derived {cls.layout.size} bytes, stated {size}")
        attach_codec(cls)
        return cls

    return decorate


def _members(cls: type[Record], renamed: dict[str, str]) -> Iterator[Member]:
    offset = 0
    header: type[Any] = cls.__mro__[1]
    if "layout" in header.__dict__:
        yield Member("", "hdr", 0, header.layout.size, header.layout.struct, header, inherited=True)
        offset = header.layout.size
    inherited = header.__struct_fields__
    for attribute, annotation in cls.__annotations__.items():
        if attribute in inherited or attribute == "layout":
            continue
        member = _member(attribute, renamed.get(attribute, attribute), offset, annotation)
        offset += member.size
        yield member


def _member(attribute: str, name: str, offset: int, annotation: Any) -> Member:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return Member(attribute, name, offset, annotation.layout.size, annotation.layout.struct, annotation)
    if get_origin(annotation) is not Annotated:
        raise TypeError(f"{attribute}: {annotation} says nothing about the wire")
    python_type, term = get_args(annotation)[:2]
    record = next((a for a in get_args(python_type) if isinstance(a, type) and issubclass(a, Record)), None)
    if isinstance(term, construct.Bytes) and callable(term.length):
        return Member(attribute, name, offset, 1, term, tail=True, counter=_counted_by(term.length))
    if isinstance(term, construct.Array) and callable(term.count):
        if record is None or term.subcon is not record.layout.struct:
            raise TypeError(f"{attribute}: {annotation} is no array of a record class")
        size, count = record.layout.size, _counted_by(term.count)
        return Member(attribute, name, offset, size, term, record, tail=True, counter=count)
    if term is construct.GreedyBytes:
        return Member(attribute, name, offset, 1, term, tail=True)
    if _is_integer(term) or isinstance(term, construct.Bytes) or _is_array(term, record):
        return Member(attribute, name, offset, term.sizeof(), term, record)
    raise TypeError(f"{attribute}: no fast codec for {term!r}")


def _is_integer(term: Any) -> bool:
    return isinstance(term, construct.FormatField) and term.fmtstr in _INTEGERS


def _is_array(term: Any, record: type[Record] | None) -> bool:
    if not isinstance(term, construct.Array):
        return False
    return _is_integer(term.subcon) if record is None else term.subcon is record.layout.struct


def _check_tail(layout: Layout) -> None:
    """Only the last member may be of variable length, and a member before it must count it."""
    for member in layout.members[:-1]:
        if member.tail:
            raise TypeError(f"{layout.name}: {member.name} has no fixed length and is not the last member")
    tail = layout.tail
    if tail is not None and tail.counter is not None:
        counters = {member.name for member in layout.members if _is_integer(member.term)}
        if tail.counter not in counters:
            raise TypeError(f"{layout.name}: no integer {tail.counter} counts {tail.name}")


class _AskedError(Exception):
    """Carries the name of the member that was asked for."""


class _Asker(dict[str, int]):
    def __missing__(self, key: str) -> int:
        raise _AskedError(key)


def _counted_by(path: Any) -> str:
    """The member that an expression like ``construct.this.nr_entries`` reads."""
    try:
        path(_Asker())
    except _AskedError as asked:
        return str(asked)
    raise TypeError(f"{path!r} does not name a member")
