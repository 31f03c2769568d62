"""Every scenario of the corpus ends as it should."""

from pathlib import Path

import pytest

from vgpu_emu.scenario.golden import compared, golden_file
from vgpu_emu.scenario.loading import SUFFIX, load
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import run

CORPUS = Path(__file__).parents[2] / "scenarios"
FILES = sorted(CORPUS.rglob(f"*{SUFFIX}"))
SCENARIOS = [pytest.param(file, scenario, id=scenario.id) for file in FILES for scenario in load(file)]


@pytest.mark.parametrize(("file", "scenario"), SCENARIOS)
def test_scenario(file: Path, scenario: Scenario) -> None:
    outcome = compared(run(scenario, file=str(file)), golden_file(file))
    assert (outcome.failure, outcome.detail) == (None, "")


def test_every_scenario_says_why_and_where_that_is_written() -> None:
    assert [file.name for file in FILES for scenario in load(file) if not scenario.source] == []
