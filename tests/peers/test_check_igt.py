"""IGT's verdicts: what fails on the baseline too does not count against the device, and nothing else is excused."""

import pytest

from vgpu_emu.peers.check.findings import Findings
from vgpu_emu.peers.check.igt import NOT_RUN, Comparison, Verdict, compare, verdicts

PASS, SKIP, TIMEOUT = Verdict("pass", 3, ()), Verdict("skip", 0, ()), Verdict("timeout", 1, ())
ONE, TWO = Verdict("fail", 17, ("too-high",)), Verdict("fail", 16, ("too-high", "size-max"))


def test_lines_of_the_guest_become_verdicts() -> None:
    printed = """\
@subtest test=kms_lease attempt=1 name=simple-lease result=SUCCESS
@subtest test=kms_lease attempt=1 name=lease-uevent result=FAIL
@subtest test=kms_lease attempt=1 name=lease-again result=SKIP
@igt test=kms_lease attempt=1 code=98
@igt-says text=Subtest lease-uevent: FAIL (0.1s)
@igt test=kms_flip@plain-flip-ts-check attempt=1 code=143
@subtest test=kms_vblank attempt=1 name=accuracy-idle result=FAIL
@igt test=kms_vblank attempt=1 code=98
@subtest test=kms_vblank attempt=2 name=accuracy-idle result=SUCCESS
@igt test=kms_vblank attempt=2 code=0
@igt test=kms_dirtyfb attempt=1 code=77
"""
    found = verdicts(Findings(printed.splitlines()))
    assert found["kms_lease"] == Verdict("fail", 1, ("lease-uevent",))
    assert found["kms_flip@plain-flip-ts-check"] == Verdict("timeout", 0, ())
    assert found["kms_dirtyfb"] == Verdict("skip", 0, ())
    assert found["kms_vblank"] == Verdict("pass", 1, (), tries=2)
    # what the guest never came to is not taken for good
    assert found["core_auth"] == NOT_RUN


@pytest.mark.parametrize(
    ("ours", "baseline", "comparison"),
    [
        (PASS, PASS, Comparison.GOOD),
        (SKIP, PASS, Comparison.GOOD),
        (ONE, PASS, Comparison.OURS),
        (ONE, ONE, Comparison.BOTH),
        (ONE, TWO, Comparison.BOTH),
        (TWO, ONE, Comparison.OURS),
        (TIMEOUT, ONE, Comparison.OURS),
        (TIMEOUT, TIMEOUT, Comparison.BOTH),
        (PASS, TWO, Comparison.BASELINE),
        (NOT_RUN, PASS, Comparison.OURS),
    ],
)
def test_failure_counts_unless_the_baseline_has_it_too(
    ours: Verdict, baseline: Verdict, comparison: Comparison
) -> None:
    assert compare(ours, baseline) is comparison
