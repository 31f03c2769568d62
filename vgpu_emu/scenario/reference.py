"""What a scenario file may say, for people: read from the records, so that it is what the decoder takes."""

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, get_args

import msgspec

from vgpu_emu.faults.plan import FAULTS
from vgpu_emu.scenario.catalogue import AnyStep
from vgpu_emu.scenario.expect import Expect
from vgpu_emu.scenario.mistakes import a
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.steps import Step

#: words that are listed; of more, some
_MANY = 8
#: a whole file that shows how one is written
EXAMPLE = """\
id = "map-blob@wc-is-kept"
why = "A write-combined buffer that the guest maps cached loses data on some machines."
profile = "crosvm"
platform = "amd"

[[step]]
do = "create-blob"
exporter = "wc"
size = 0x10000
as = "blob"

[[step]]
do = "mmap"
of = "blob"
as = "view"
expect = { map_info = "wc", pgprot = "writecombine" }

[[step]]
do = "write"
of = "view"
text = "drawn by the guest"

[[step]]
do = "host-read"
of = "blob"
expect.text = "drawn by the guest"
"""


class Member(NamedTuple):
    """takes: what may stand there. default: in TOML's words; of one that has to be there, none."""

    name: str
    takes: str
    default: str
    is_needed: bool
    says: str


class Table(NamedTuple):
    """A step, a fault, or a table of the file. gives: of a step, the kind of thing that `as` names."""

    name: str
    says: str
    members: list[Member]
    gives: str = ""


@cache
def steps() -> list[Table]:
    """Every step, by its name."""
    found = [_table(step, _tag(step), step.gives) for step in get_args(AnyStep)]
    return sorted(found, key=lambda table: table.name)


@cache
def faults() -> list[Table]:
    return [_table(fault, _tag(fault)) for fault in FAULTS]


def file_table() -> Table:
    return _table(Scenario, "file")


def expect_table() -> Table:
    return _table(Expect, "expect")


def tables() -> Iterator[Table]:
    """The tables inside of the file, with what they have."""
    info: Any = msgspec.inspect.type_info(Scenario)
    for field in info.fields:
        if isinstance(field.type, msgspec.inspect.StructType):
            yield _table(field.type.cls, field.encode_name)


def _tag(cls: type[msgspec.Struct]) -> str:
    return str(cls.__struct_config__.tag)


def _table(cls: type[msgspec.Struct], name: str, gives: str = "") -> Table:
    info: Any = msgspec.inspect.type_info(cls)
    beside = {"as", "comment", "expect"} if issubclass(cls, Step) else set()
    members = [_member(cls, field) for field in info.fields if field.encode_name not in beside]
    return Table(name, inspect.cleandoc(cls.__doc__ or ""), members, gives)


def _member(cls: type[msgspec.Struct], field: Any) -> Member:
    takes: dict[str, str] = getattr(cls, "takes", {})
    says = _description(field.type)
    default = "" if field.required or isinstance(field.default, msgspec.Struct) else _in_toml(field.default)
    kind = takes.get(field.name)
    words = _named(kind, hasattr(_inner(field.type), "item_type")) if kind else _words(field.type)
    return Member(field.encode_name, words, default, field.required, says)


def _named(kind: str, many: bool) -> str:
    """Whose name may stand there: ``the name of an object``"""
    what = "anything" if kind == "*" else a(kind)
    return f"list of names, each of {what}" if many else f"the name of {what}"


def _inner(node: Any) -> Any:
    return _inner(node.type) if isinstance(node, msgspec.inspect.Metadata) else node


def _description(node: Any) -> str:
    if isinstance(node, msgspec.inspect.Metadata):
        return str((node.extra_json_schema or {}).get("description", "")) or _description(node.type)
    return ""


def _in_toml(value: Any) -> str:
    """A default; nothing for what says nothing."""
    if value in (None, msgspec.NODEFAULT, "", (), []) or isinstance(value, msgspec.Struct):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return hex(value) if value >= 0x1000 else str(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_in_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


_PLAIN = {
    "IntType": "number",
    "FloatType": "number",
    "StrType": "text",
    "BoolType": "true or false",
    "DictType": "table",
    "AnyType": "anything",
}


def _words(node: Any) -> str:
    """What may stand there."""
    if isinstance(node, msgspec.inspect.Metadata):
        return _words(node.type)
    if isinstance(node, msgspec.inspect.LiteralType):
        return _some([str(value) for value in node.values])
    if isinstance(node, msgspec.inspect.StructType):
        return "table"
    if isinstance(node, msgspec.inspect.UnionType):
        inner = [_words(each) for each in node.types if not isinstance(each, msgspec.inspect.NoneType)]
        return " or ".join(dict.fromkeys(inner))
    if isinstance(node, msgspec.inspect.TupleType):
        return f"[{', '.join(map(_words, node.item_types))}]"
    if hasattr(node, "item_type"):
        return f"list of {_words(node.item_type)}"
    return _PLAIN[type(node).__name__]


def _some(words: list[str]) -> str:
    return ", ".join(words) if len(words) <= _MANY else f"{', '.join(words[:3])} ..."
