"""Bytes as a structure of the wire: the first says which one, 0 that the message's own type does; the rest are it.

What is read is written again as the same bytes, and construct reads the same; what is refused, construct refuses.
"""

import importlib
import pkgutil
from collections.abc import Iterator

import construct

import vgpu_wire
from vgpu_emu.fuzz.engines.target import Target
from vgpu_emu.fuzz.engines.wanted import planted, wanted
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.trace.listing import listing
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Record, to_fields
from vgpu_wire.messages import parse_message


def _records() -> Iterator[type[Record]]:
    for info in pkgutil.iter_modules(vgpu_wire.__path__, "vgpu_wire."):
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, type) and issubclass(value, Record) and value.__module__ == info.name:
                yield value


#: every structure, in an order that stays when another one comes behind them
RECORDS = sorted((cls for cls in _records() if "layout" in cls.__dict__), key=lambda cls: cls.layout.name)
DEFECTS = wanted("record")


def run_wire(data: bytes) -> None:
    """Raises Finding."""
    if not data:
        return
    kind, body = data[0] % (len(RECORDS) + 1), data[1:]
    try:
        record = RECORDS[kind - 1].parse(body) if kind else parse_message(body)
    except WireError as error:
        _refused(kind, body, error)
    else:
        _accepted(planted(DEFECTS, "record", record), body)


def _accepted(record: Record, body: bytes) -> None:
    name = record.layout.name
    if record.build() != body:
        raise Finding("I5", f"{name} comes back as other bytes")
    if record.layout.struct.build(to_fields(record)) != body:
        raise Finding("I5", f"construct makes other bytes of the members of {name}")
    for _ in listing(record):
        pass


def _refused(kind: int, body: bytes, error: WireError) -> None:
    """A place in it, or where it ends, and no structure of construct's either, but for what follows it."""
    if not 0 <= error.offset <= max(len(body), error.offset if error.kind == "value" else len(body)):
        raise Finding("I5", f"the error is at {error.offset} of {len(body)} bytes: {error}")
    if not kind:
        return
    layout = RECORDS[kind - 1].layout
    try:
        fields = layout.struct.parse(body)
    except construct.ConstructError:
        return
    if layout.struct.build(fields) == body:
        raise Finding("I5", f"construct takes a {layout.name} that is refused here: {error}")


WIRE = Target("wire", run_wire)
