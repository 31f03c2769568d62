"""Every scenario of the corpus ends as it should."""

from pathlib import Path

import pytest

from vgpu_emu.scenario.loading import SUFFIX, load
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import run

CORPUS = Path(__file__).parents[2] / "scenarios"
FILES = sorted(CORPUS.rglob(f"*{SUFFIX}"))
SCENARIOS = [pytest.param(scenario, id=scenario.id) for file in FILES for scenario in load(file)]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: Scenario) -> None:
    outcome = run(scenario)
    assert (outcome.failure, outcome.detail) == (None, "")


def test_every_scenario_says_why_and_where_that_is_written() -> None:
    assert [file.name for file in FILES for scenario in load(file) if not scenario.source] == []
