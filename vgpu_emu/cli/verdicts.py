"""Outcomes beside what was expected of them: a baseline lists the scenarios that are known to fail."""

from collections.abc import Collection, Iterable
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.scenario.outcome import Outcome, Result


class Verdict(Enum):
    """How an outcome goes with the baseline. What is good does not make the run fail."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    EXPECTED_FAILURE = "failed as expected"
    UNEXPECTED_PASS = "passed unexpectedly"

    @property
    def is_good(self) -> bool:
        return self not in {Verdict.FAILED, Verdict.UNEXPECTED_PASS}


class Judged(NamedTuple):
    outcome: Outcome
    verdict: Verdict


def judge(outcome: Outcome, baseline: Collection[str]) -> Judged:
    """baseline: ids and patterns of those that are expected to fail."""
    known = any(fnmatchcase(outcome.id, pattern) for pattern in baseline)
    if outcome.result is Result.SKIP:
        return Judged(outcome, Verdict.SKIPPED)
    if outcome.result is Result.SUCCESS:
        return Judged(outcome, Verdict.UNEXPECTED_PASS if known else Verdict.PASSED)
    return Judged(outcome, Verdict.EXPECTED_FAILURE if known else Verdict.FAILED)


def read_baseline(file: Path | None) -> list[str]:
    """An id or a pattern a line; what follows a # is a comment. Raises UsageError."""
    if file is None:
        return []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"cannot read {printable(str(file))}: {reason}") from None
    return [line for line in (each.partition("#")[0].strip() for each in lines) if line]


def count(judged: Iterable[Judged]) -> dict[Verdict, int]:
    """Every verdict that occurs, and how often."""
    verdicts = [each.verdict for each in judged]
    return {verdict: verdicts.count(verdict) for verdict in Verdict if verdict in verdicts}
