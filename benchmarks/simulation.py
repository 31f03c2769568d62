"""What a run under a seed costs beside the least that trio and pytest-trio do."""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import trio

from benchmarks.harness import Benchmark, quiet
from vgpu_emu.assembly import Config, size_only
from vgpu_emu.faults.drawing import draw
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.simulation import Simulation
from vgpu_wire.context_stream import ExporterKind, StreamAlloc, StreamWork

SMALL = Config(guest_memory=1 << 16, host_visible=1 << 16, backing=size_only)
_SEEDS = count(1)
#: a scenario that makes a blob and maps it
SCENARIO = Path(__file__).parents[1] / "scenarios" / "map-blob" / "attribute.vgpu.toml"


async def _nothing() -> None:
    pass


async def _sixteen_commands(seed: int) -> None:
    """A context and two blobs, made, mapped, one of them worked with, closed: 16 commands, under two drawn faults."""
    plan = draw(Simulation(seed).random("faults"), 2)
    async with open_machine(SMALL, faults=plan) as machine:
        with trio.move_on_after(60):
            try:
                await _lives(machine)
            except OSError:
                return


async def _lives(machine: Machine) -> None:
    file = DrmFile(machine.driver)
    for blob_id in (1, 2):
        cmd = StreamAlloc(exporter=ExporterKind.WC.value, blob_id=blob_id, size=4096).build()
        handle = await machine.run(file.resource_create_blob(size=4096, blob_id=blob_id, cmd=cmd))
        vma = await machine.run(file.mmap(file.map(handle), 4096))
        if blob_id == 1:
            await machine.run(file.execbuffer(StreamWork(microseconds=10).build(), bo_handles=[handle]))
            await machine.run(file.wait(handle))
        await machine.run(vma.munmap())
        await machine.run(file.gem_close(handle))
    await machine.settle()


def _under_a_new_seed() -> None:
    seed = next(_SEEDS)
    Simulation(seed).run(_sixteen_commands, seed)


def _seconds(work: Callable[[], object], number: int) -> float:
    start = time.process_time()
    for _ in range(number):
        work()
    return (time.process_time() - start) / number


def _seed_rate() -> float:
    ratios = []
    with quiet():
        for _ in range(15):
            base = _seconds(lambda: trio.run(_nothing), 40)
            ratios.append(base / _seconds(_under_a_new_seed, 40))
            gc.collect()
    return statistics.median(ratios)


_EMPTY = (
    "import pytest\n\n@pytest.mark.parametrize('number', range({number}))\nasync def test_nothing(number):\n    pass\n"
)
_SCENARIOS = """import pytest
from pathlib import Path
from vgpu_emu.scenario.loading import load
from vgpu_emu.scenario.session import run
from vgpu_emu.scenario.outcome import Result

SCENARIO = load(Path({path!r}))[0]

@pytest.mark.parametrize('number', range({number}))
def test_scenario(number):
    assert run(SCENARIO, seed=number).result is Result.SUCCESS
"""


def _test_cost() -> float:
    """One more test of a scenario beside one more empty test: what a file of many costs beyond a file of one."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder, quiet():
        for turn in range(7):
            empty, scenario = (
                _pytest(folder, f"{name}{turn}_many", text, 150) - _pytest(folder, f"{name}{turn}_one", text, 1)
                for name, text in (("empty", _EMPTY), ("scenario", _SCENARIOS))
            )
            ratios.append(scenario / empty)
    return statistics.median(ratios)


def _pytest(folder: str, name: str, text: str, number: int) -> float:
    """CPU seconds of a pytest run over a file."""
    import pytest

    file = Path(folder) / f"test_{name}.py"
    file.write_text(text.format(number=number, path=str(SCENARIO)), encoding="utf-8")
    options = ["-p", "no:cacheprovider", "-p", "no:terminal", "-o", "trio_mode=true", "--rootdir", folder]
    start = time.process_time()
    assert pytest.main([*options, str(file)]) == 0
    return time.process_time() - start


BENCHMARKS = [
    Benchmark(
        "seeds",
        "rate of 16 commands under faults and a new seed / an empty trio.run",
        0.2,
        "higher",
        _seed_rate,
    ),
    Benchmark(
        "scenario-test",
        "a test of one scenario in this process / an empty pytest-trio test",
        2.0,
        "lower",
        _test_cost,
    ),
]
