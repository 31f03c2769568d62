"""The pair as a state machine: clean without a defect; with one, what is left is the commands that it takes."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from vgpu_emu.fuzz.defects.mappings import UnrefLeavesMapping
from vgpu_emu.fuzz.model.judge import Finding
from vgpu_emu.testing.stateful import pair_machine

STEADY = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def test_clean_pair_has_no_finding() -> None:
    run_state_machine_as_test(pair_machine(), settings=settings(STEADY, max_examples=15, stateful_step_count=20))


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_failure_shrinks_to_the_commands_that_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    machine = pair_machine(defects=(UnrefLeavesMapping,))
    with pytest.raises(Finding) as found:
        run_state_machine_as_test(machine, settings=settings(STEADY, max_examples=400, stateful_step_count=25))
    assert found.value.oracle in {"I10", "I14", "I13", "I11"}
    said = capsys.readouterr().out + "\n".join(getattr(found.value, "__notes__", []))
    steps = [line.split("state.")[1].split("(")[0] for line in said.splitlines() if "state." in line]
    assert steps == ["create_context", "create_blob", "map_blob", "unref", "teardown"]
