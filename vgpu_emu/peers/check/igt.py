"""IGT's verdict on our device, beside its verdict on QEMU's own: what fails on both is not the device's doing."""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from vgpu_emu.peers.check.findings import Findings, parse
from vgpu_emu.peers.check.job import Host, Job, run_guest
from vgpu_emu.peers.guest.igt import TESTS

#: seconds for one test, and for all of them
_ONE, _ALL = 90, 3600.0
_CODES = {0: "pass", 77: "skip", 124: "timeout", 137: "timeout", 143: "timeout"}


class Verdict(NamedTuple):
    """Of one test. result: pass, skip, fail, timeout; "not run" if the guest did not come so far. failed: subtests.

    tries: how many it took; what fails is tried three times, and the last counts.
    """

    result: str
    passed: int
    failed: tuple[str, ...]
    tries: int = 1

    @property
    def bad(self) -> bool:
        return self.result not in {"pass", "skip"}


NOT_RUN = Verdict("not run", 0, ())


class Comparison(Enum):
    GOOD = "ok"
    #: not on the baseline, and here
    OURS = "FAILS HERE ONLY"
    BOTH = "fails on both"
    BASELINE = "fails on the baseline only"


async def run_igt(job: Job, say: Callable[[str], None]) -> dict[str, Verdict]:
    """Every test on the route's device: test -> verdict. Raises BootError."""
    done = 0

    async def listen(_host: Host, line: str) -> bytes:
        nonlocal done
        finding = parse(line)
        if finding is not None and finding.name == "igt-end":
            done += 1
            say(f"{job.route.name}: {done} of {len(TESTS)} tests")
        return b""

    return verdicts(await run_guest(job, f"VGPU_SECONDS={_ONE}", listen, _ALL))


def verdicts(found: Findings) -> dict[str, Verdict]:
    """What the guest printed, test by test."""
    return {test: _verdict(found, test) for test in TESTS}


def _verdict(found: Findings, test: str) -> Verdict:
    tries = list(found.named("igt", test=test))
    if not tries:
        return NOT_RUN
    last = tries[-1]
    results = {
        subtest["name"]: subtest["result"] for subtest in found.named("subtest", test=test, attempt=last["attempt"])
    }
    failed = tuple(name for name, result in results.items() if result in {"FAIL", "CRASH", "TIMEOUT"})
    passed = sum(result == "SUCCESS" for result in results.values())
    return Verdict(_CODES.get(last.number("code"), "fail"), passed, failed, len(tries))


def compare(ours: Verdict, baseline: Verdict) -> Comparison:
    """A failure counts against us if the baseline has not the same, subtest by subtest."""
    if not ours.bad:
        return Comparison.BASELINE if baseline.bad else Comparison.GOOD
    same = baseline.bad and ours.result == baseline.result and set(ours.failed) <= set(baseline.failed)
    return Comparison.BOTH if same else Comparison.OURS
