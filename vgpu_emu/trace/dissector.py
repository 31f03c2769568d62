"""A dissector for Wireshark, in Lua, written from the wire definitions: every message, every member, every word.

The text is tables, and dissector.lua, which walks them. A field is called as in C, with dots: ``virtio_gpu.map_info``,
``virtio_gpu.hdr.ctx_id``, ``virtio_gpu.entries.addr``; what several structures have under one name is one field.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any, NamedTuple

import construct

from vgpu_emu.trace.log import GUEST, HOST, QUEUE_NAMES, VMM
from vgpu_emu.trace.words import WORDS, BitsOf, names_of
from vgpu_wire.control import FIRST_ERROR, FIRST_RESPONSE, CtrlHdr, CtrlType, Unknown
from vgpu_wire.layout import Member, Record, leaves
from vgpu_wire.messages import MESSAGES
from vgpu_wire.renderer_link import QUESTIONS, Answer, Op, Question, Signal


class _Lua(str):
    """An expression, not text."""

    __slots__ = ()


def _table_of(names: Mapping[int, str]) -> str:
    inside = (f'[{number:#x}] = "{name}"' for number, name in names.items())
    return f"{{ {', '.join(inside)} }}"


def _table(**values: Any) -> _Lua:
    return _Lua(f"{{ {', '.join(_assignments(values))} }}")


def _assignments(values: Mapping[str, Any]) -> Iterator[str]:
    """What is true, a number, text or an expression; what is false is left out."""
    for name, value in values.items():
        if isinstance(value, bool):
            if value:
                yield f"{name} = true"
        elif isinstance(value, str) and not isinstance(value, _Lua):
            yield f'{name} = "{value}"'
        else:
            yield f"{name} = {value}"


def _list(items: Iterable[str]) -> _Lua:
    return _Lua(f"{{ {', '.join(items)} }}")


class Kind(NamedTuple):
    """A dissector: what its messages start with and, by the number in their first four bytes, what they are."""

    name: str
    title: str
    header: type[Record]
    structures: Mapping[int, type[Record]] = {}
    names: Mapping[int, str] = {}
    unknown: type[Record] | None = None
    #: who asks, who answers
    ends: tuple[str, str] = (VMM, HOST)
    #: what else dissector.lua wants to know, as it is written there
    more: str = ""


_SERIAL = next(leaf.offset for leaf in leaves(Question) if leaf.path == "serial")
_LINK = f'link = "renderer", serial = {_SERIAL}'
KINDS = (
    Kind(
        "virtio_gpu",
        "virtio-gpu",
        CtrlHdr,
        MESSAGES,
        {number: name for number, name in names_of(CtrlType).items() if number in MESSAGES},
        Unknown,
        (GUEST, VMM),
        f"first_answer = {FIRST_RESPONSE:#x}, first_error = {FIRST_ERROR:#x}, "
        f'link = "queue", queues = {_table_of(QUEUE_NAMES)}',
    ),
    Kind(
        "vgpu_emu_question",
        "renderer question",
        Question,
        {op.value: structure for op, structure in QUESTIONS.items()},
        names_of(Op),
        Question,
        more=f"{_LINK}, direction = 0",
    ),
    Kind("vgpu_emu_answer", "renderer answer", Answer, more=f"{_LINK}, direction = 1"),
    Kind("vgpu_emu_signal", "fence signal", Signal, more="direction = 1"),
)
_HEAD = """\
-- A dissector for virtio-gpu (virtio 1.4, 5.7) and for vgpu-emu's own link between VMM and renderer.
-- Written by vgpu-emu dissector from the wire definitions: change those, not this.
-- wireshark -X lua_script:virtio_gpu.lua FILE.pcapng, or put it among Wireshark's personal Lua plugins.
"""


def dissector() -> str:
    """The text of the Lua script."""
    engine = files("vgpu_emu.trace").joinpath("dissector.lua").read_text(encoding="utf-8")
    parts = "\n".join(_Writer(kind).text() for kind in KINDS)
    return f"{_HEAD}\nlocal kinds = {{}}\n\n{parts}\n{engine}"


class _Writer:
    """The tables of one dissector: N, of names; F, of fields; S, of structures.

    names, fields: how one is made -> its number.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.names: dict[str, int] = {}
        self.fields: dict[str, int] = {}

    def text(self) -> str:
        kind = self.kind
        classes = dict.fromkeys([kind.header, *kind.structures.values(), *([kind.unknown] if kind.unknown else [])])
        structures = [f"{cls.__name__} = {self.structure(cls)}" for cls in classes]
        numbers = [f"[{number:#06x}] = S.{cls.__name__}" for number, cls in kind.structures.items()]
        about = [f'name = "{kind.name}", title = "{kind.title}", {kind.more}', f"header = S.{kind.header.__name__}"]
        about += [f"names = {_table_of(kind.names)}", "fields = F", f'ends = {{ "{kind.ends[0]}", "{kind.ends[1]}" }}']
        if kind.unknown is not None:
            about += [f"structures = {_lines(numbers)}", f"unknown = S.{kind.unknown.__name__}"]
        tables = {"N": self.names, "F": self.fields, "S": structures}
        written = "".join(f"local {name} = {_lines(items)}\n" for name, items in tables.items())
        return f"do\n{written}table.insert(kinds, {_lines(about)})\nend\n"

    def structure(self, cls: type[Record]) -> str:
        layout = cls.layout
        # a structure that others inherit is shown as they show it
        above = "hdr." if self.kind.structures and cls is self.kind.header else ""
        members = [self.member(cls, member, above) for member in layout.members if not member.tail]
        ends = [_table(path=leaf.path, offset=leaf.offset, size=leaf.member.size) for leaf in leaves(cls)]
        tail = {"tail": self.tail(cls, layout.tail)} if layout.tail else {}
        return _table(name=layout.name, size=layout.size, members=_list(members), leaves=_list(ends), **tail)

    def member(self, cls: type[Record], member: Member, above: str) -> str:
        """above: the path of what it is in, with a dot."""
        path = above + member.name
        place = {"name": member.name, "offset": member.offset}
        if member.record is not None:
            size = member.size if member.nested else member.record.layout.size
            count = {} if member.nested else {"count": member.size // size}
            return _table(**place, size=size, **count, **self.inner(path, member, member.record))
        if isinstance(member.term, construct.Bytes):
            field = self.field("bytes", path, member.name)
            return _table(**place, size=member.size, field=field, bytes=True, text=member.name == "debug_name")
        if isinstance(member.term, construct.Array):
            size, count = member.size // member.term.count, {"count": member.term.count}
            return _table(**place, size=size, **count, **self.integer(cls, member, path, size))
        told = above == "" or path == "hdr.ctx_id"
        quiet = not told or member.name in {"padding", "reserved"}
        return _table(**place, size=member.size, quiet=quiet, **self.integer(cls, member, path, member.size))

    def inner(self, path: str, member: Member, record: type[Record]) -> dict[str, str]:
        members = [self.member(record, each, f"{path}.") for each in record.layout.members]
        return {"field": self.field("none", path, member.name), "of": record.layout.name, "members": _list(members)}

    def tail(self, cls: type[Record], tail: Member) -> str:
        here: dict[str, Any] = {"name": tail.name, "size": tail.size}
        if tail.counter is not None:
            here["counter"] = next(leaf.offset for leaf in leaves(cls) if leaf.path == tail.counter)
        if tail.record is not None:
            return _table(**here, **self.inner(tail.name, tail, tail.record))
        return _table(**here, field=self.field("bytes", tail.name, tail.name))

    def integer(self, cls: type[Record], member: Member, path: str, size: int) -> dict[str, str]:
        """Its field; of a number whose bits, or a part of it, have names, the fields of those too."""
        words, kind = WORDS.get((cls.layout.name, member.name)), f"uint{size * 8}"
        if words is None:
            return {"field": self.field(kind, path, member.name, "base.DEC_HEX" if size == 8 else "base.DEC")}
        if isinstance(words, BitsOf):
            bits = [self.bit(path, str(flag.name), size, flag) for flag in words.flags]
            return {"field": self.field(kind, path, member.name, "base.HEX"), "bits": _list(bits)}
        names = self.named(words.names)
        inner: dict[str, str] = {"field": self.field(kind, path, member.name, "base.HEX", names), "names": names}
        if words.mask < 1 << 32:
            part = self.field(kind, f"{path}.value", member.name, "base.HEX", names, f"{words.mask:#x}")
            inner["bits"] = _list([part])
        return inner

    def bit(self, path: str, name: str, size: int, flag: int) -> str:
        return self.field("bool", f"{path}.{name.lower()}", name, str(size * 8), "nil", f"{int(flag):#x}")

    def named(self, names: Mapping[int, str]) -> _Lua:
        return _Lua(f"N[{self.names.setdefault(_table_of(names), len(self.names) + 1)}]")

    def field(self, kind: str, path: str, name: str, *more: str) -> _Lua:
        arguments = ", ".join((f'"{self.kind.name}.{path}"', f'"{name}"', *more))
        made = f"ProtoField.{kind}({arguments})"
        return _Lua(f"F[{self.fields.setdefault(made, len(self.fields) + 1)}]")


def _lines(items: Iterable[str]) -> str:
    return "{\n" + "".join(f"    {item},\n" for item in items) + "}"
