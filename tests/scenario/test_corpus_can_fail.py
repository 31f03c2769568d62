"""No expectation of the corpus is idle: changed, it fails the step that it belongs to."""

import re
from pathlib import Path

import pytest
from corpus import FILES, SCENARIOS, all_steps, outcome
from msgspec.structs import replace
from spoiling import spoiled_steps

from vgpu_emu.scenario.expect import matches
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import run
from vgpu_emu.trace.ladder import line, rungs


def wrong_scenarios(file: Path) -> list[tuple[str, int, Scenario]]:
    """Each expectation of the file made wrong, of several rows' the different ones: its name, its step, the whole."""
    tried, found = set(), []
    for filed in SCENARIOS.values():
        steps = filed.scenario.step if filed.file == file else []
        for index, step in enumerate(steps):
            for number, (name, value, wrong) in enumerate(spoiled_steps(step)):
                if (index, number, name, repr(value)) not in tried:
                    tried.add((index, number, name, repr(value)))
                    changed = [*steps[:index], wrong, *steps[index + 1 :]]
                    found.append((name, index, replace(filed.scenario, step=changed)))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_changed_expectation_fails_its_step(file: Path) -> None:
    for name, index, scenario in wrong_scenarios(file):
        failure = run(scenario, until=index + 1).failure
        assert failure is not None, f"step[{index}] {name}"
        assert re.match(rf"step\[{index}\]", failure.path)
        assert any(mismatch.what.startswith(name.rstrip("_")) for mismatch in failure.mismatches)


@pytest.mark.parametrize("scenario_id", [id_ for id_, filed in SCENARIOS.items() if filed.scenario.end.left])
def test_what_is_left_is_not_there_by_chance(scenario_id: str) -> None:
    scenario = SCENARIOS[scenario_id].scenario
    for sentence in scenario.end.left:
        left = [other for other in scenario.end.left if other != sentence]
        failure = run(replace(scenario, end=replace(scenario.end, left=left))).failure
        assert failure is not None
        assert any(sentence in mismatch.actual for mismatch in failure.mismatches)


def test_every_line_that_must_not_be_there_is_in_some_ladder() -> None:
    lines = {line(rung) for scenario_id in SCENARIOS for rung in rungs(outcome(scenario_id).events)}
    steps = [step for filed in SCENARIOS.values() for step in all_steps(filed.scenario.step)]
    patterns = {pattern for step in steps for pattern in step.expect.never}
    assert {pattern for pattern in patterns if not any(matches(pattern, each) for each in lines)} == set()
