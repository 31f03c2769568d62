"""The pair as a state machine: clean without a defect; with one, what is left is the commands that it takes."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from vgpu_emu.fuzz.defects.mappings import MapInfoOfTheDead, UnrefLeavesMapping
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.testing.stateful import pair_machine

STEADY = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def test_clean_pair_has_no_finding() -> None:
    run_state_machine_as_test(pair_machine(), settings=settings(STEADY, max_examples=15, stateful_step_count=20))


def shrunk(defect: type, capsys: pytest.CaptureFixture[str], examples: int = 400) -> tuple[str, list[str]]:
    """Which oracle says something, and the rules of the smallest run that makes it."""
    machine = pair_machine(defects=(defect,))
    with pytest.raises(Finding) as found:
        run_state_machine_as_test(machine, settings=settings(STEADY, max_examples=examples, stateful_step_count=25))
    said = capsys.readouterr().out + "\n".join(getattr(found.value, "__notes__", []))
    return found.value.oracle, [line.split("state.")[1].split("(")[0] for line in said.splitlines() if "state." in line]


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_failure_shrinks_to_the_commands_that_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    oracle, steps = shrunk(UnrefLeavesMapping, capsys)
    assert oracle in {"I10", "I14", "I13", "I11"}
    assert steps[0] == "create_blob"
    assert steps[1] in {"create_blob", "unref"}
    assert steps[2:] == ["teardown"]


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_ids_are_used_again(capsys: pytest.CaptureFixture[str]) -> None:
    oracle, steps = shrunk(MapInfoOfTheDead, capsys)
    assert oracle in {"I1", "I3", "I7"}
    assert steps == ["create_blob", "create_blob", "teardown"]
