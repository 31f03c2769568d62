"""The corpus: its files, its scenarios, and what is seen when they run, each run once."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from vgpu_emu.fuzz.runner import runner
from vgpu_emu.scenario.golden import compared, golden_file
from vgpu_emu.scenario.loading import SUFFIX, load
from vgpu_emu.scenario.outcome import Outcome
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.steps import Step

ROOT = Path(__file__).parents[2] / "scenarios"
FILES = sorted(ROOT.rglob(f"*{SUFFIX}"))


class Filed(NamedTuple):
    """A scenario and where it is written."""

    file: Path
    scenario: Scenario


SCENARIOS = {filed.scenario.id: filed for file in FILES for filed in (Filed(file, each) for each in load(file))}


@cache
def outcome(scenario_id: str) -> Outcome:
    """How it ends."""
    file, scenario = SCENARIOS[scenario_id]
    return compared(carried_out(scenario, file=str(file)), golden_file(file))


def carried_out(scenario: Scenario, *, file: str = "", until: int | None = None) -> Outcome:
    """As `vgpu-emu run` does it."""
    return runner(scenario)(scenario, file=file, until=until)


def all_steps(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps, and those inside of them."""
    for step in steps:
        yield step
        yield from all_steps(inner for _path, inner in step.inner())
