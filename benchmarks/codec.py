"""The wire layer against the bare struct module and construct's compiled mode."""

import struct
import timeit

import construct

from benchmarks.harness import Benchmark, Timed, cost_ratio
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob
from vgpu_wire.messages import parse_message
from vgpu_wire.resource import MemEntry

#: the same 40 bytes, as somebody who writes the format by hand would
_BARE = struct.Struct("<IIQIB3sIIQ")
_MAP_BLOB = ResourceMapBlob(flags=1, fence_id=7, ctx_id=1, resource_id=5, offset=0x10000)


def _statement(statement: str, number: int = 4000, **names: object) -> Timed:
    """A statement in a loop without a call around it: calls would hide a good part of what is compared."""
    timer = timeit.Timer(statement, globals=names)
    return lambda: timer.timeit(number) / number


def _parse() -> float:
    data = _MAP_BLOB.build()
    bare = _statement("unpack_from(data)", unpack_from=_BARE.unpack_from, data=data)
    return cost_ratio(_statement("parse(data)", parse=ResourceMapBlob.parse, data=data), bare, 150)


def _build() -> float:
    values = dict(zip("abcdefghi", _BARE.unpack(_MAP_BLOB.build()), strict=True))
    bare = _statement("pack(a, b, c, d, e, f, g, h, i)", pack=_BARE.pack, **values)
    return cost_ratio(_statement("m.build()", m=_MAP_BLOB), bare, 150)


def _construct_compiled() -> float:
    data = _MAP_BLOB.build()
    compiled = construct.Struct(*ResourceMapBlob.layout.struct.subcons).compile()
    slow = _statement("m = parse(data); m.hdr.type; m.resource_id; m.offset", 300, parse=compiled.parse, data=data)
    fast = _statement("m = parse(data); m.type; m.resource_id; m.offset", parse=ResourceMapBlob.parse, data=data)
    return 1 / cost_ratio(fast, slow, 60)


def _many_entries() -> float:
    def message(count: int) -> bytes:
        entries = [MemEntry(addr=i << 12, length=4096) for i in range(count)]
        return ResourceCreateBlob(
            resource_id=1, blob_mem=1, nr_entries=count, size=count << 12, entries=entries
        ).build()

    one, many = (_statement("parse(data)", 1000, parse=parse_message, data=message(n)) for n in (1, 4096))
    return cost_ratio(many, one, 100)


BENCHMARKS = [
    Benchmark("parse", "RESOURCE_MAP_BLOB to a record / bare unpack_from", 2.0, "lower", _parse),
    Benchmark("build", "RESOURCE_MAP_BLOB from a record / bare pack", 1.4, "lower", _build),
    Benchmark(
        "construct",
        "rate of parsing and reading three fields / construct's compiled mode",
        30.0,
        "higher",
        _construct_compiled,
    ),
    Benchmark("entries", "RESOURCE_CREATE_BLOB parse, 4096 entries / 1 entry", 1.2, "lower", _many_entries),
]
