"""What it costs to import the package, in fresh interpreters."""

import os
import subprocess
import sys

from benchmarks.harness import Benchmark, Timed, cost_ratio


def _importing(modules: str) -> Timed:
    def timed() -> float:
        before = os.times()
        subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    return timed


def _import() -> float:
    return cost_ratio(_importing("vgpu_emu"), _importing("trio, construct"), 25)


BENCHMARKS = [Benchmark("import", "import vgpu_emu / import trio, construct", 1.25, "lower", _import)]
