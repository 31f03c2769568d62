"""What a campaign says while it runs, and what came of it."""

import sys
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple

from vgpu_emu.cli.fuzz_keeping import Kept
from vgpu_emu.cli.fuzz_report import CoverageReport, FoundReport, Report
from vgpu_emu.cli.progress import PATIENCE, teller
from vgpu_emu.cli.style import many, painter, printable
from vgpu_emu.cli.usage import complain
from vgpu_emu.fuzz.batches import Finding
from vgpu_emu.fuzz.campaign import Summary
from vgpu_emu.fuzz.encoding import decode
from vgpu_emu.fuzz.oracles import ORACLES, that_apply
from vgpu_emu.fuzz.worker import Tell

#: the line of a terminal, from its start on
_CLEARED = "\r\x1b[K"
#: programs after which every oracle must have been asked
_ENOUGH = 2000


class Ended(NamedTuple):
    """A campaign that is over. kept: the findings' files, in their order. stopped: by the user."""

    summary: Summary
    target: str
    seconds: float
    kept: Sequence[Kept]
    stopped: bool
    killed: bool


class Ticker:
    """The line on stderr: on a terminal it is one that changes, elsewhere a new one from time to time."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._began = self._spoke = clock()
        self._alive = sys.stderr is not None and sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        return self._clock() - self._began

    def tell(self, summary: Summary) -> None:
        if self._clock() - self._spoke < (0.2 if self._alive else PATIENCE):
            return
        self._spoke = self._clock()
        if self._alive:
            print(f"{_CLEARED}{self._line(summary)}", end="", file=sys.stderr, flush=True)
        else:
            complain(f"fuzz: {self._line(summary)}")

    def aside(self) -> Tell:
        """Of a process that carries out programs: what it is at, when it says nothing for long."""
        return teller(f"{_CLEARED if self._alive else ''}fuzz")

    def end(self) -> None:
        if self._alive:
            print(_CLEARED, end="", file=sys.stderr, flush=True)

    def _line(self, summary: Summary) -> str:
        rate = summary.sequences / max(self.seconds, 1e-9)
        return (
            f"{many(summary.sequences, 'program')}, {rate:.0f}/s, "
            f"coverage {len(summary.covered)} (command x state x outcome), "
            f"corpus {len(summary.corpus)}, {many(len(summary.findings), 'finding')}"
        )


def unasked(ended: Ended) -> list[str]:
    """I36: oracles that were never asked, although there were enough programs."""
    if ended.summary.sequences < _ENOUGH:
        return []
    return [oracle.name for oracle in that_apply(ended.target) if not evaluations(ended)[oracle.name]]


def evaluations(ended: Ended) -> dict[str, int]:
    """Oracle -> how often it was asked; those that apply to the target."""
    names = [oracle.name for oracle in that_apply(ended.target)]
    counted = {name: ended.summary.evaluated[name] for name in names}
    # it is about the others, and asked once
    counted["I36"] = int(ended.summary.sequences >= _ENOUGH)
    return counted


def report(ended: Ended) -> Report:
    """As ``--json`` prints it."""
    summary = ended.summary
    found = zip(summary.findings.values(), ended.kept, strict=True)
    return Report(
        schema=1,
        target=ended.target,
        sequences=summary.sequences,
        commands=summary.commands,
        seconds=round(ended.seconds, 3),
        stopped=ended.stopped,
        killed=ended.killed,
        findings=[_finding(finding, kept) for finding, kept in found],
        oracles=evaluations(ended),
        never_asked=unasked(ended),
        coverage=_coverage(summary),
    )


def _coverage(summary: Summary) -> CoverageReport:
    return CoverageReport(
        commands=len({cell[0] for cell in summary.covered}),
        conditions=len({cell[:2] for cell in summary.covered}),
        outcomes=len({(*cell[:2], cell[3]) for cell in summary.covered}),
        states=len(summary.covered),
    )


def _finding(finding: Finding, kept: Kept) -> FoundReport:
    return FoundReport(
        oracle=finding.found.oracle,
        detail=finding.found.detail,
        step=finding.found.step,
        program=finding.program.hex(),
        minimised=finding.minimised.hex(),
        commands=len(decode(finding.minimised).steps),
        file=kept.program,
        scenario=kept.scenario,
        scenario_wrong=kept.wrong,
        seed=finding.seed,
        sequence=finding.sequence,
    )


def show(ended: Ended) -> None:
    """For people."""
    paint, summary = painter(sys.stdout), ended.summary
    for finding, kept in zip(summary.findings.values(), ended.kept, strict=True):
        found, steps = finding.found, len(decode(finding.minimised).steps)
        print(f"{paint('red', found.oracle)} {ORACLES[found.oracle].title}: {printable(found.detail)}")
        print(f"  at step {found.step + 1} of {steps}; {printable(kept.scenario or 'it is in no file')}")
        if kept.wrong:
            place = f"{printable(kept.program)} has" if kept.program else f"{finding.minimised.hex()} is"
            print(paint("yellow", f"  {printable(kept.wrong)}; {place} the program"))
    rate = summary.sequences / max(ended.seconds, 1e-9)
    print(
        f"{many(summary.sequences, 'program')}, {many(summary.commands, 'command')}, "
        f"{ended.seconds:.1f} s ({rate:.0f}/s), coverage {len(summary.covered)}"
    )
    if never := unasked(ended):
        print(paint("yellow", f"never asked: {', '.join(never)}"))
    colour, count = ("red", len(summary.findings)) if summary.findings else ("green", "no")
    print(paint(colour, f"{count} finding{'s' * (count != 1)}") + _early(ended))


def _early(ended: Ended) -> str:
    return ", a process was killed" if ended.killed else ", stopped by the user" if ended.stopped else ""
