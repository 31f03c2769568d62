"""The fast codec: Python functions around one precompiled struct.Struct, written for one record class.

For virtio_gpu_set_scanout they come out as (a tail adds a few lines)::

    def parse(data):
        try:
            v0, v1, ..., v11 = unpack(data)
        except error:
            raise unread(cls, data) from None
        return SetScanout(v0, v1, v2, v3, v4, v5, Rect(v6, v7, v8, v9), v10, v11)

    def build(m):
        try:
            if m.hdr_padding is zero0:
                return pack_zeros(m.type, ..., m.ring_idx, m.r.x, ...)
            if len(m.hdr_padding) != 3:
                raise error
            return pack(m.type, ..., m.ring_idx, m.hdr_padding, m.r.x, ...)
        except (error, TypeError, WireError):
            raise unfit(m) from None

struct cuts or fills a byte array of the wrong length without a word, hence the check; a record whose byte arrays are
the zeros that it was born with needs none, and packs them as pad bytes. Other arrays are checked before that. The
WireError is that of an array's element; `unfit` tells its place in the whole.
"""

import struct
from typing import Any

import construct

from vgpu_wire.errors import WireError
from vgpu_wire.layout import Member, Record, leaves, unfit, unread
from vgpu_wire.terms import Records


class _Code:
    """What the functions are made of, collected from the members of one record class."""

    def __init__(self, cls: type[Record]) -> None:
        self.cls = cls
        self.packed: list[str] = []
        #: expressions that say that the length of a byte array, of another array is wrong
        self.checks: list[str] = []
        self.array_checks: list[str] = []
        #: place in layout.formats and packed -> expression that says that the byte array there is its zero default
        self.zeros: dict[int, str] = {}
        self.env: dict[str, Any] = {"Records": Records, "error": struct.error, "WireError": WireError}
        self.env |= {"unread": unread, "unfit": unfit, "cls": cls}
        self.arguments = self.structure(cls, "m")

    def leaf(self, source: str) -> str:
        self.packed.append(source)
        return f"v{len(self.packed) - 1}"

    def structure(self, cls: type[Record], source: str) -> str:
        """Add all members of `cls`; the arguments that make it from the unpacked values."""
        self.env[cls.__name__] = cls
        defaults = dict(zip(cls.__struct_fields__, cls.__struct_defaults__, strict=True))
        return ", ".join(
            self.member(m, source if m.inherited else f"{source}.{m.attribute}", defaults.get(m.attribute))
            for m in cls.layout.members
            if not m.tail
        )

    def member(self, member: Member, source: str, default: Any) -> str:
        term, record = member.term, member.record
        if isinstance(term, construct.FormatField):
            return self.leaf(source)
        if isinstance(term, construct.Bytes):
            if default == bytes(member.size):
                self.env[f"zero{len(self.zeros)}"] = default
                self.zeros[len(self.packed)] = f"{source} is zero{len(self.zeros)}"
            self.checks.append(f"len({source}) != {member.size}")
            return self.leaf(source)
        if record is None:
            self.array_checks.append(f"len({source}) != {term.count}")
            elements = [self.leaf(f"{source}[{i}]") for i in range(term.count)]
            return f"({', '.join(elements)},)"
        if member.inherited:
            return self.structure(record, source)
        if member.nested:
            return f"{record.__name__}({self.structure(record, source)})"
        raw = self.array(record, source)
        self.array_checks.append(f"len({raw}) != {member.size}")
        return f"Records({record.__name__}, {self.leaf(raw)})"

    def array(self, record: type[Record], source: str) -> str:
        self.env[record.__name__] = record
        return f"Records.of({record.__name__}, {source}).raw"

    def parse_lines(self) -> list[str]:
        size, tail, name = self.cls.layout.size, self.cls.layout.tail, self.cls.__name__
        names = ", ".join(f"v{i}" for i in range(len(self.packed)))
        failed = ["    except error:", "        raise unread(cls, data) from None"]
        if tail is None and self.arguments == names:
            return ["    try:", f"        return {name}(*unpack(data))", *failed]
        if tail is None:
            return ["    try:", f"        {names} = unpack(data)", *failed, f"    return {name}({self.arguments})"]
        lines = ["    if type(data) is not bytes:", "        data = bytes(memoryview(data))"]
        lines += ["    try:", f"        {names} = unpack_from(data)", *failed]
        if tail.counter is not None:
            counter = [leaf.path for leaf in leaves(self.cls)].index(tail.counter)
            lines += [f"    if len(data) != {size} + v{counter} * {tail.size}:", "        raise unread(cls, data)"]
        rest = f"data[{size}:]"
        if tail.record is not None:
            self.env[tail.record.__name__] = tail.record
            rest = f"Records({tail.record.__name__}, memoryview(data)[{size}:])"
        return [*lines, f"    return {name}({self.arguments}, {rest})"]

    def build_lines(self) -> list[str]:
        tail, append, lines = self.cls.layout.tail, "", ["    try:"]
        if tail is not None:
            source = f"m.{tail.attribute}"
            lines.append(f"        tail = {self.array(tail.record, source) if tail.record else source}")
            append = " + tail"
            if tail.counter is not None:
                lines += [f"        if len(tail) != m.{tail.counter} * {tail.size}:", "            raise error"]
        if self.array_checks:
            lines += [f"        if {' or '.join(self.array_checks)}:", "            raise error"]
        if self.zeros:
            rest = ", ".join(source for place, source in enumerate(self.packed) if place not in self.zeros)
            lines.append(f"        if {' and '.join(self.zeros.values())}:")
            lines.append(f"            return pack_zeros({rest}){append}")
        if self.checks:
            lines += [f"        if {' or '.join(self.checks)}:", "            raise error"]
        lines.append(f"        return pack({', '.join(self.packed)}){append}")
        return [*lines, "    except (error, TypeError, WireError):", "        raise unfit(m) from None"]

    def compile(self) -> None:
        """Put ``parse(data)`` and ``build(record)`` in their places."""
        packer, formats = self.cls.layout.packer, enumerate(self.cls.layout.formats)
        padded = "".join(fmt.replace("s", "x") if place in self.zeros else fmt for place, fmt in formats)
        self.env |= {"unpack": packer.unpack, "unpack_from": packer.unpack_from, "pack": packer.pack}
        self.env["pack_zeros"] = struct.Struct(f"<{padded}").pack
        lines = ["def parse(data):", *self.parse_lines(), "def build(m):", *self.build_lines()]
        exec(compile("\n".join(lines), f"<codec of {self.cls.layout.name}>", "exec"), self.env)
        setattr(self.cls, "parse", staticmethod(self.env["parse"]))  # noqa: B010 - type checkers forbid the assignment
        setattr(self.cls, "build", self.env["build"])  # noqa: B010


class _Uncompiled:
    """Stands where a function will be. Writing all of them at import would cost as much as the rest of the import."""

    def __init__(self, cls: type[Record], name: str) -> None:
        self.cls = cls
        self.name = name

    def __get__(self, record: Record | None, cls: type[Record]) -> Any:
        _Code(self.cls).compile()
        return getattr(cls if record is None else record, self.name)


def attach_codec(cls: type[Record]) -> None:
    """Give `cls` its `parse` and `build`, written when one of them is first looked up."""
    for name in ("parse", "build"):
        setattr(cls, name, _Uncompiled(cls, name))
