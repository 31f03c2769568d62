"""What it costs to import the package, in fresh interpreters that find bytecode, as they do of installed packages."""

import os
import subprocess
import sys
import tempfile

from benchmarks.harness import Benchmark, Timed, cost_ratio


def _importing(statement: str, cache: str) -> Timed:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {
        "PYTHONPYCACHEPREFIX": cache
    }

    def timed() -> float:
        before = os.times()
        subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    return timed


def _import(what: str) -> float:
    with tempfile.TemporaryDirectory() as cache:
        ours, theirs = _importing(what, cache), _importing("import trio, construct", cache)
        ours()
        return cost_ratio(ours, theirs, 25)


BENCHMARKS = [
    Benchmark("import", "import vgpu_emu / import trio, construct", 1.25, "lower", lambda: _import("import vgpu_emu")),
    Benchmark(
        "import-machine",
        "all three parties / import trio, construct",
        1.6,
        "lower",
        lambda: _import("from vgpu_emu import open_machine, DrmFile"),
    ),
]
