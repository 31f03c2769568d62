"""The coherency model against a plain dict of lines, and what alias checking adds to the device's work."""

import time
from random import Random

from msgspec.structs import replace

from benchmarks.harness import Benchmark, Timed, cost_ratio, loop
from benchmarks.pipeline import ROOMY
from vgpu_emu.assembly import size_only
from vgpu_emu.attributes.coherency import LINE
from vgpu_emu.attributes.platform import platform
from vgpu_emu.attributes.walkthrough import stage
from vgpu_emu.guest.file import HINT_DEFER_MAPPING, DrmFile
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.link.chain import Chain
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.blob import ResourceMapBlob, ResourceUnmapBlob, RespMapInfo
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlType
from vgpu_wire.device import CONTROLQ
from vgpu_wire.messages import parse_message

ACCESSES, LINES, WORD = 100_000, 4096, 8
#: the answers of a map/unmap pair that worked
_DONE = (CtrlType.RESP_OK_MAP_INFO, CtrlType.RESP_OK_NODATA)
#: who, where, and a word to write; None: it reads one
Access = tuple[str, int, bytes | None]


def _accesses() -> list[Access]:
    """Half of them writes, by any of three parties, in no order."""
    chance = Random(4)
    parties, places = ("host", "guest", "gpu"), range(0, LINES * LINE, WORD)
    words = (chance.randbytes(WORD) if chance.random() < 0.5 else None for _ in range(ACCESSES))
    return [(chance.choice(parties), chance.choice(places), word) for word in words]


def _on_a_dict(accesses: list[Access]) -> Timed:
    def timed() -> float:
        lines = {number: bytearray(LINE) for number in range(LINES)}
        start = time.process_time()
        for _who, address, data in accesses:
            line, place = address >> 6, address & 63
            if data is None:
                lines[line][place : place + WORD]
            else:
                lines[line][place : place + len(data)] = data
        return time.process_time() - start

    return timed


def _on_the_model(accesses: list[Access], host: HostAttribute) -> Timed:
    def timed() -> float:
        parties = stage(platform("amd"), host, Pgprot.CACHED).parties
        seen = [(parties[who], address, data) for who, address, data in accesses]
        start = time.process_time()
        for party, address, data in seen:
            if data is None:
                party.read(address, WORD)
            else:
                party.write(address, data)
        return time.process_time() - start

    return timed


def _coherency() -> float:
    """The dearer of two buffers: two caches and a device that snoops, and a cached guest beside two that bypass it."""
    accesses = _accesses()
    plain = _on_a_dict(accesses)
    buffers = (HostAttribute.CACHED, HostAttribute.WC)
    return max(cost_ratio(_on_the_model(accesses, host), plain, 25) for host in buffers)


def _map_and_unmap(watched: bool, live: int) -> Timed:
    """RESOURCE_MAP_BLOB and RESOURCE_UNMAP_BLOB, checked, asked about, answered and logged, beside `live` mappings."""
    machine = Lockstep(replace(ROOMY, platform=platform("amd") if watched else None))
    file = DrmFile(machine.driver)
    cmd = StreamAlloc(exporter=ExporterKind.WC.value, blob_id=1, size=PAGE_SIZE).build()
    create = file.resource_create_blob(size=PAGE_SIZE, blob_id=1, cmd=cmd, blob_hints=HINT_DEFER_MAPPING)
    resource_id = file.object(machine.run(create)).resource_id
    free = live // 2
    for place in (*range(free), *range(free + 1, live + 1)):
        buf = machine.parts.kernel.dma_buf_export(size_only(PAGE_SIZE, ""), EXPORTERS[ExporterKind.WC])
        machine.parts.region.map(place * PAGE_SIZE, PAGE_SIZE, buf.memory)
    requests = (
        ResourceMapBlob(resource_id=resource_id, offset=free * PAGE_SIZE),
        ResourceUnmapBlob(resource_id=resource_id),
    )
    chains = [Chain(0, CONTROLQ, request.build(), RespMapInfo.layout.size) for request in requests]

    def pair() -> None:
        for chain in chains:
            machine.submit(chain)

    answers = [machine.submit(chain) for chain in chains]
    assert [parse_message(used.written).type for used in answers if used is not None] == list(_DONE)
    timed = loop(pair, 200)

    def forgetful() -> float:
        machine.log.clear()
        return timed()

    return forgetful


def _aliases() -> float:
    lives = (1_000, 100_000)
    return max(cost_ratio(_map_and_unmap(True, live), _map_and_unmap(False, live), 25) for live in lives)


BENCHMARKS = [
    Benchmark(
        "coherency",
        "100,000 accesses to 4,096 lines in the coherency model / on a dict of bytearrays",
        4.0,
        "lower",
        _coherency,
    ),
    Benchmark(
        "aliases",
        "a map/unmap pair of the device with the alias checker / without, beside 1e3 and 1e5 mappings",
        1.5,
        "lower",
        _aliases,
    ),
]
