"""Outcomes for people: a line a scenario, and of one that went wrong the messages up to there and what differs."""

import shlex
import sys
from collections.abc import Sequence
from textwrap import indent

from vgpu_emu.cli.style import painter, printable
from vgpu_emu.cli.verdicts import Judged, Verdict, count
from vgpu_emu.scenario.outcome import Outcome, Result
from vgpu_emu.trace.ladder import columns, rungs

_COLOURS = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "red",
    Verdict.SKIPPED: "yellow",
    Verdict.EXPECTED_FAILURE: "yellow",
    Verdict.UNEXPECTED_PASS: "red",
}


def show(judged: Judged, *, ladder: bool) -> None:
    """``Subtest map-blob@wc-is-kept: SUCCESS (0.004s)``. ladder: also of one that went well."""
    paint, (outcome, verdict) = painter(sys.stdout), judged
    remark = f", {verdict.value}" if verdict in {Verdict.EXPECTED_FAILURE, Verdict.UNEXPECTED_PASS} else ""
    result = paint(_COLOURS[verdict], outcome.result.value + remark)
    seeds = f", {outcome.seeds} seeds" if outcome.seeds > 1 else ""
    print(f"Subtest {outcome.id}: {result} ({outcome.seconds:.3f}s{seeds})")
    is_bad = verdict is Verdict.FAILED
    if ladder or is_bad:
        print(ladder_text(outcome), end="")
    if is_bad:
        print(indent(failure_text(outcome), "  "), end="")
    elif outcome.result is Result.SKIP:
        print(f"  {printable(outcome.detail)}")


def failure_text(outcome: Outcome) -> str:
    """Where it failed and what differs; of a crash, the traceback."""
    if outcome.failure is None:
        return _printable(outcome.detail)
    failure = outcome.failure
    lines = [f"{outcome.place}: {failure.path}, {failure.title}"]
    for each in failure.mismatches:
        lines += [f"- {each.what}: {each.expected}", f"+ {each.what}: {each.actual}"]
    lines += [f"again: {again(outcome)}"] if outcome.seed else []
    return _printable("\n".join([*lines, outcome.detail]))


def again(outcome: Outcome) -> str:
    """The command line that does the same once more."""
    seed = ["--seed", str(outcome.seed)] if outcome.seed else []
    return shlex.join(["vgpu-emu", "run", *seed, "--subtest", outcome.id, outcome.file])


def ladder_text(outcome: Outcome) -> str:
    """Every message and note; conflicts speak of them by their numbers."""
    lines = enumerate(map(columns, rungs(outcome.events)), 1)
    return "".join(f"{number:5} {printable(line)}\n" for number, line in lines)


def summary(judged: Sequence[Judged]) -> None:
    paint = painter(sys.stdout)
    counted = [f"{number} {verdict.value}" for verdict, number in count(judged).items()]
    is_good = all(each.verdict.is_good for each in judged)
    print(paint("green" if is_good else "red", ", ".join(counted)))


def _printable(lines: str) -> str:
    return "".join(f"{printable(line)}\n" for line in lines.splitlines())
