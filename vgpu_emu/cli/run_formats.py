"""Outcomes for programs: JSON, JUnit's XML and the Test Anything Protocol."""

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from vgpu_emu.cli.run_text import failure_text
from vgpu_emu.cli.verdicts import Judged, Verdict

SCHEMA = 1


def as_json(judged: Sequence[Judged]) -> str:
    """One object, the same for the same run: no times in it."""
    found = {
        "schema": SCHEMA,
        "passed": sum(each.verdict.is_good and each.verdict is not Verdict.SKIPPED for each in judged),
        "failed": sum(not each.verdict.is_good for each in judged),
        "skipped": sum(each.verdict is Verdict.SKIPPED for each in judged),
        "scenarios": [_scenario(each) for each in judged],
    }
    return msgspec.json.encode(found).decode()


def _scenario(judged: Judged) -> dict[str, Any]:
    outcome = judged.outcome
    found: dict[str, Any] = {
        "id": outcome.id,
        "file": outcome.file,
        "outcome": judged.verdict.value,
        "steps": outcome.steps,
        "seed": outcome.seed,
        "trace_hash": outcome.trace_hash,
    }
    if outcome.failure is not None:
        found["failure"] = {"line": outcome.line, **msgspec.to_builtins(outcome.failure)}
    return {**found, **({"detail": outcome.detail} if outcome.detail else {})}


def as_tap(judged: Sequence[Judged]) -> str:
    """Version 14. TODO says that something may fail; what passes against the baseline is an error, as elsewhere."""
    lines = ["TAP version 14", f"1..{len(judged)}"]
    for number, (outcome, verdict) in enumerate(judged, 1):
        is_ok = verdict in {Verdict.PASSED, Verdict.SKIPPED}
        directive = {
            Verdict.SKIPPED: f" # SKIP {outcome.detail}".rstrip(),
            Verdict.EXPECTED_FAILURE: " # TODO in the baseline",
        }.get(verdict, "")
        lines.append(f"{'ok' if is_ok else 'not ok'} {number} - {outcome.id}{directive}")
        if not verdict.is_good:
            lines += [f"# {line}" for line in (failure_text(outcome) or verdict.value).splitlines()]
    return "\n".join(lines) + "\n"


def as_junit(judged: Sequence[Judged]) -> str:
    """A testsuite; an id's group is the class."""
    bad = sum(not each.verdict.is_good for each in judged)
    skipped = sum(each.verdict.is_good and each.verdict is not Verdict.PASSED for each in judged)
    seconds = sum(each.outcome.seconds for each in judged)
    head = (
        f'<testsuite name="vgpu-emu" tests="{len(judged)}" failures="{bad}" skipped="{skipped}" time="{seconds:.3f}">'
    )
    cases = "".join(map(_case, judged))
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}\n{cases}</testsuite>\n'


def _case(judged: Judged) -> str:
    outcome, verdict = judged
    group, _, name = outcome.id.partition("@")
    inside = ""
    if not verdict.is_good:
        says = verdict.value if outcome.failure is None else f"{outcome.failure.path}, {outcome.failure.title}"
        inside = f"<failure message={quoteattr(says)}>{escape(failure_text(outcome))}</failure>"
    elif verdict is not Verdict.PASSED:
        inside = f"<skipped message={quoteattr(outcome.detail or verdict.value)}/>"
    attributes = f"classname={quoteattr(group)} name={quoteattr(name)} file={quoteattr(outcome.file)}"
    return f'<testcase {attributes} time="{outcome.seconds:.3f}">{inside}</testcase>\n'
