"""Findings of planted defects, each as a file that fails with the defect and passes without: some of each kind."""

import pytest

from vgpu_emu.fuzz.batches import Plan, Work
from vgpu_emu.fuzz.defects import ALL
from vgpu_emu.fuzz.encoding import decode
from vgpu_emu.fuzz.scenarios import head_of, told
from vgpu_emu.fuzz.trial import Conditions
from vgpu_emu.fuzz.worker import carry_out

SOME = ["P01", "P03", "P05", "P16", "P20"]


@pytest.mark.parametrize("name", SOME)
def test_finding_of_a_defect_is_a_file_that_shows_it(name: str) -> None:
    conditions = Conditions(defects=(ALL[name],))
    batches = (carry_out(Work(Plan(1), number, 40), conditions).findings for number in range(50))
    findings = next(filter(None, batches))
    for finding in findings:
        head = head_of(f"fuzz@{name.lower()}", finding.found, "a test", conditions)
        shown = told(decode(finding.minimised), finding.found.oracle, head, conditions.defects)
        assert (shown.fails, shown.passes, shown.wrong) == (True, True, "")
