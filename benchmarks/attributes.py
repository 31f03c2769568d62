"""The coherency model against a plain dict of lines, and what alias checking adds to the device's work."""

import time
from random import Random

from benchmarks.harness import Benchmark, Timed, cost_ratio
from vgpu_emu.attributes.coherency import LINE
from vgpu_emu.attributes.platform import platform
from vgpu_emu.attributes.walkthrough import stage
from vgpu_emu.vocabulary import HostAttribute, Pgprot

ACCESSES, LINES, WORD = 100_000, 4096, 8
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


BENCHMARKS = [
    Benchmark(
        "coherency",
        "100,000 accesses to 4,096 lines in the coherency model / on a dict of bytearrays",
        4.0,
        "lower",
        _coherency,
    ),
]
