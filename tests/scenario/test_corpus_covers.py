"""What the corpus reaches: every command, every rule, profile, platform, step, fault and expectation."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from corpus import FILES, ROOT, SCENARIOS, all_steps, outcome

from vgpu_emu.attributes.platform import PLATFORMS
from vgpu_emu.faults.plan import FAULTS
from vgpu_emu.scenario.answers import exchanges, message
from vgpu_emu.scenario.catalogue import AnyStep
from vgpu_emu.scenario.expect import Expect
from vgpu_emu.scenario.loading import SUFFIX
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.commands import COMMANDS
from vgpu_emu.vmm.rules import Rule

STEPS = [step for _file, scenario in SCENARIOS.values() for step in all_steps(scenario.step)]
#: guest memory of a machine never goes away: that is for VMMs whose memory others map (tests/peers)
NOT_TO_BE_BROKEN_HERE = {Rule.MEMORY_THERE}


def reached(scenario_id: str) -> set[tuple[int, int]]:
    """Commands and their answers; 0: none."""
    pairs = exchanges(outcome(scenario_id).events)
    return {
        (message(request.data).type, message(answer.data).type if answer is not None else 0)
        for request, answer in pairs
    }


def test_sixty_files_differ_in_the_commands_and_answers_that_they_reach() -> None:
    by_file: dict[Any, set[Any]] = {file: set() for file in FILES}
    for scenario_id, (file, _scenario) in SCENARIOS.items():
        by_file[file] |= reached(scenario_id)
    assert len({frozenset(pairs) for pairs in by_file.values()}) >= 60


def test_every_command_succeeds_somewhere_and_fails_somewhere() -> None:
    pairs = set[tuple[int, int]]().union(*(reached(scenario_id) for scenario_id in SCENARIOS))
    assert {command for command, answer in pairs if 0x1100 <= answer < 0x1200} >= set(COMMANDS)
    # nothing is wrong with a question for the displays
    assert set(COMMANDS) - {command for command, answer in pairs if answer >= 0x1200} <= {0x100}


@pytest.mark.parametrize(
    "rule", [rule for rule in Rule if rule not in NOT_TO_BE_BROKEN_HERE], ids=lambda rule: rule.name
)
def test_rule_is_expected_to_be_broken(rule: Rule) -> None:
    assert any(step.expect.rule == rule.name for step in STEPS)


def test_every_profile_has_its_scenarios() -> None:
    assert {scenario.profile for _file, scenario in SCENARIOS.values()} == set(PROFILES)


def test_every_platform_has_its_scenarios() -> None:
    platforms = {getattr(scenario.platform, "name", scenario.platform) for _file, scenario in SCENARIOS.values()}
    assert platforms - {None} == set(PLATFORMS)


def test_every_step_is_made() -> None:
    assert {type(step) for step in STEPS} == set(get_args(AnyStep))


def test_every_fault_happens() -> None:
    assert {type(fault) for _file, scenario in SCENARIOS.values() for fault in scenario.fault} == set(FAULTS)


def test_everything_that_can_be_expected_is() -> None:
    unused = Expect()
    used = {name for name in Expect.__struct_fields__ for step in STEPS if _is_said(step.expect, unused, name)}
    assert used == set(Expect.__struct_fields__)


def _is_said(expect: Expect, unused: Expect, name: str) -> bool:
    return bool(getattr(expect, name) != getattr(unused, name))


DOCS = Path(__file__).parents[2] / "docs" / "scenarios.md"
REPORTS = re.findall(r"^\| (\S+#\d+) \| (`.+`) \|$", DOCS.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("report", "files"), REPORTS, ids=[report for report, _files in REPORTS])
def test_bug_report_is_the_source_of_the_scenario_that_tells_it(report: str, files: str) -> None:
    for name in files.replace("`", "").split(", "):
        sources = [f.scenario.source for f in SCENARIOS.values() if f.file == ROOT / f"{name}{SUFFIX}"]
        assert sources
        assert all(report in source for source in sources)


def test_readme_says_how_many_there_are() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"is {len(FILES)} files and {len(SCENARIOS)} scenarios" in readme


def test_docs_tell_of_every_directory() -> None:
    cells = re.findall(r"^\| (`[a-z-]+/`.*?) \|", DOCS.read_text(), re.MULTILINE)
    told = {name for cell in cells for name in re.findall(r"`([a-z-]+)/`", cell)}
    assert told - {"scenarios"} == {file.parent.name for file in FILES}


@pytest.mark.parametrize("mode", "abcde")
def test_what_linux_does_wrong_is_told(mode: str) -> None:
    assert any(re.search(rf"failure modes? .*\({mode}\)", filed.scenario.source) for filed in SCENARIOS.values())
