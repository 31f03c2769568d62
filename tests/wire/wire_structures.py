"""The record classes of vgpu_wire, found by looking: a structure that is added later is tested like the others."""

import importlib
import pkgutil
from collections.abc import Iterator
from random import Random
from typing import TypeGuard

import vgpu_wire
from vgpu_wire.layout import Record, leaves


def _found() -> Iterator[type[Record]]:
    for info in pkgutil.iter_modules(vgpu_wire.__path__, "vgpu_wire."):
        for value in vars(importlib.import_module(info.name)).values():
            if _is_record(value) and value.__module__ == info.name:
                yield value


def _is_record(value: object) -> TypeGuard[type[Record]]:
    return isinstance(value, type) and issubclass(value, Record) and "layout" in value.__dict__


#: every record class, those of the emulator's own protocols included
RECORDS = sorted(_found(), key=lambda cls: (cls.__module__, cls.__name__))


def _is_header_in_another_shape(cls: type[Record]) -> bool:
    first = cls.layout.members[0]
    return first.record is not None and first.record.layout.name == cls.layout.name


#: C name -> record class, of the structures that others have defined
STRUCTURES = {
    cls.layout.name: cls
    for cls in RECORDS
    if cls.layout.name.startswith(("virtio_gpu_", "dma_buf_", "vring_")) and not _is_header_in_another_shape(cls)
}


def random_bytes(cls: type[Record], random: Random, count: int) -> bytes:
    """Random bytes that `cls` accepts: the counter of its array, if it has one, says `count`, and so many follow."""
    data, tail = bytearray(random.randbytes(cls.layout.size)), cls.layout.tail
    if tail is None:
        return bytes(data)
    for leaf in leaves(cls):
        if leaf.path == tail.counter:
            data[leaf.offset : leaf.offset + leaf.member.size] = count.to_bytes(leaf.member.size, "little")
    return bytes(data) + random.randbytes(count * tail.size)
