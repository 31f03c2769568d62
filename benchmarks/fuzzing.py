"""What a program of the fuzzer costs beside its bare bytes, and beside the same program on trio's tasks."""

import struct
from collections.abc import Callable
from random import Random
from typing import Any

from benchmarks.harness import Benchmark, cost_ratio, loop
from vgpu_emu.fuzz import machine_trial, trial
from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.link.chain import Chain, Used
from vgpu_wire.layout import leaves
from vgpu_wire.messages import MESSAGES

#: steps of a program
_LENGTH = 20
_PROGRAMS = 60
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_STRICT = trial.Conditions()
#: unpacks a message, and packs it again
_Bare = Callable[[], bytes]


class _Recorder:
    """What crosses the queues, as a seam sees it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def link(self, wire: object) -> "_Recording":
        return _Recording(wire, self.messages)


class _Recording(Wrapper):
    def __init__(self, wire: object, messages: list[bytes]) -> None:
        super().__init__(wire)
        self.messages = messages

    def available(self, chain: Chain) -> Any:
        self.messages.append(chain.readable)
        return self.inner.available(chain)

    def used(self, used: Used) -> Any:
        self.messages.append(used.written)
        return self.inner.used(used)


def _explore(number: int, conditions: trial.Conditions = _STRICT) -> trial.Result:
    swarm = Swarm(Random(f"benchmark {number}"))
    return trial.explore(swarm, swarm.setup, _LENGTH, conditions)


def _bare(data: bytes) -> _Bare | None:
    """The fixed part alone, by hand; None: there is none."""
    message = MESSAGES.get(int.from_bytes(data[:4], "little"))
    if message is None or len(data) < message.layout.size:
        return None
    sizes = [leaf.member.size for leaf in leaves(message)]
    form = struct.Struct("<" + "".join(_CODES.get(size, f"{size}s") for size in sizes))
    return lambda: form.pack(*form.unpack_from(data))


def _against_bytes() -> float:
    recorder = _Recorder()
    for number in range(_PROGRAMS):
        assert _explore(number, trial.Conditions(defects=(recorder,))).found is None
    bare = [work for work in map(_bare, recorder.messages) if work is not None]

    def programs() -> None:
        for number in range(_PROGRAMS):
            _explore(number)

    def messages() -> None:
        for work in bare:
            work()

    return cost_ratio(loop(programs, 1), loop(messages, 20), 15)


def _against_trio() -> float:
    programs = [_explore(number).program for number in range(_PROGRAMS)]

    def each(run: Callable[[Program], trial.Result]) -> Callable[[], None]:
        def work() -> None:
            for program in programs:
                assert run(program).found is None

        return work

    return cost_ratio(loop(each(machine_trial.once), 1), loop(each(trial.run), 1), 9)


BENCHMARKS = [
    Benchmark(
        "fuzz-core",
        "20-step programs, made up and judged / bare unpack and pack of their requests and answers",
        8,
        "lower",
        _against_bytes,
    ),
    Benchmark(
        "fuzz-trio",
        "rate of the same programs, judged, in one thread / a trio.run of a machine for each",
        20,
        "higher",
        _against_trio,
    ),
]
