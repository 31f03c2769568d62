"""``vgpu-emu fuzz --score``: how soon each planted defect is found, and that nothing else is."""

import signal
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.sharedctypes import RawValue
from time import monotonic
from types import FrameType
from typing import NamedTuple

import msgspec

from vgpu_emu.cli.fuzz_keeping import STOPS
from vgpu_emu.cli.fuzz_options import named_defect, planting
from vgpu_emu.cli.progress import progress, teller
from vgpu_emu.cli.style import Paint, many, painter, printable
from vgpu_emu.cli.usage import FOUND, INTERRUPTED, KILLED, complain
from vgpu_emu.fuzz.crew import crew
from vgpu_emu.fuzz.defects import ALL, BENIGN
from vgpu_emu.fuzz.score import SEEDS, Caught, Hunt, Score, hunt, hunts, score
from vgpu_emu.fuzz.trial import Conditions

#: programs after which a defect is given up, by seed
LIMIT = 100_000
#: programs that what is no defect is tried with, by seed
FEW = 500
#: the name of the build that has none
CLEAN = "clean"
#: seeds of a defect that must find it
ENOUGH = 18


class Row(NamedTuple):
    """is_defect: it must be found; else it must not."""

    is_defect: bool
    score: Score

    @property
    def good(self) -> bool:
        found, seeds = self.score.found, self.score.seeds
        return found * SEEDS >= ENOUGH * seeds if self.is_defect else not found


class Wanted(NamedTuple):
    """What is scored. defects, benign: by the names that the user gave them; none at all: all that are shipped, and the
    clean build. limit: programs after which one is given up."""

    defects: Sequence[str]
    benign: Sequence[str]
    limit: int | None = None
    seeds: int = SEEDS


def show_score(base: Conditions, wanted: Wanted, jobs: int, *, json: bool) -> int:
    """Exit code 1: a defect was found by fewer than 18 of 20 seeds, or something by one that is none."""
    began, paint, tasks = monotonic(), painter(sys.stdout), list(_tasks(base, wanted))
    rows = _Rows({CLEAN, *BENIGN, *wanted.benign}, wanted.seeds, _silent if json else partial(_print, paint))
    with _stoppable() as stopped, planting():
        killed = not _carried_out(tasks, jobs, stopped, rows)
        if stopped():
            complain("score: what was in hand is given up")
        rows.rest()
        if json:
            seconds, found = round(monotonic() - began, 1), [_as_json(row) for row in rows.done]
            report = {"schema": 1, "seconds": seconds, "stopped": stopped(), "killed": killed, "scores": found}
            print(msgspec.json.encode(report).decode(), flush=True)
        else:
            _total(rows.done, wanted.seeds, paint)
    if not all(row.good for row in rows.done):
        return FOUND
    return KILLED if killed else INTERRUPTED if stopped() else 0


def _carried_out(tasks: Sequence[Hunt], jobs: int, stopped: Callable[[], bool], rows: "_Rows") -> bool:
    """Every hunt, until the user stops them. False: one of the processes was killed. Raises DefectError."""

    def work(index: int) -> Caught | None:
        return hunt(tasks[index], teller("score"), stopped)

    with crew(work, jobs) as workers:
        try:
            for caught in progress("score", len(tasks), workers(range(len(tasks)))):
                rows.add(caught)
        except BrokenProcessPool:
            complain("score: a process that carried out programs was killed; what it had in hand is lost")
            for caught in workers.finished():
                rows.add(caught)
            return False
    return True


class _Rows:
    """What is known so far. say: is given each row, as soon as all its seeds are there."""

    def __init__(self, legal: Container[str], seeds: int, say: Callable[[Row], None]) -> None:
        self._legal = legal
        self._seeds = seeds
        self._say = say
        self._caught: list[Caught] = []
        self.done: list[Row] = []

    def add(self, caught: Caught | None) -> None:
        """One more hunt is over, those of a defect in a row; None: it was given up."""
        if caught is None:
            return
        if self._caught and self._caught[0].name != caught.name:
            self.rest()
        self._caught.append(caught)
        if len(self._caught) == self._seeds:
            self.rest()

    def rest(self) -> None:
        """Of the defect that is in hand there will be no more."""
        if self._caught:
            name = self._caught[0].name
            self.done.append(Row(name not in self._legal, score(name, self._caught)))
            self._caught = []
            self._say(self.done[-1])


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Whether the user wants no more: SIGINT or SIGTERM came, however often. The crew sees it, too."""
    heard = RawValue("b", 0)

    def stop(_number: int, _frame: FrameType | None) -> None:
        heard.value = 1

    before = {kind: signal.signal(kind, stop) for kind in STOPS}
    try:
        yield lambda: bool(heard.value)
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _silent(_row: Row) -> None:
    """In JSON they come all at once."""


def _print(paint: Paint, row: Row) -> None:
    print(_line(row, paint), flush=True)


def _tasks(base: Conditions, wanted: Wanted) -> Iterator[Hunt]:
    if wanted.defects or wanted.benign:
        legal = dict.fromkeys([*wanted.benign, *(name for name in wanted.defects if name in BENIGN)])
        defects = [(name, named_defect(name)) for name in dict.fromkeys(wanted.defects) if name not in legal]
        benign = [(name, named_defect(name, "--benign" if name in wanted.benign else "--defect")) for name in legal]
        few = FEW if wanted.limit is None else wanted.limit
    else:
        defects = [(name, defect) for name, defect in ALL.items() if name not in BENIGN]
        benign = [(CLEAN, type("Nothing", (), {})), *BENIGN.items()]
        few = FEW if wanted.limit is None else min(FEW, wanted.limit)
    yield from hunts(defects, base, LIMIT if wanted.limit is None else wanted.limit, wanted.seeds)
    yield from hunts(benign, base, few, wanted.seeds)


def _as_json(row: Row) -> dict[str, object]:
    of = row.score
    return {
        "name": of.name,
        "defect": row.is_defect,
        "seeds": of.seeds,
        "found": of.found,
        "median": of.median,
        "worst": of.worst,
        "oracles": of.oracles,
        "commands": of.longest,
        "detail": of.detail,
    }


def _line(row: Row, paint: Paint) -> str:
    of = row.score
    head = paint("green" if row.good else "red", f"{printable(of.name):24} {of.found:2}/{of.seeds}")
    if not of.found:
        return f"{head}  nothing found"
    oracles = ", ".join(f"{name} {count}" for name, count in of.oracles.items())
    soon = f"after {of.median:g} program{'s' * (of.median != 1)}, at worst {of.worst}"
    return f"{head}  {soon}; {oracles}; {many(of.longest, 'command')} at most"


def _total(rows: Sequence[Row], seeds: int, paint: Paint) -> None:
    defects, others = [row for row in rows if row.is_defect], [row for row in rows if not row.is_defect]
    good = sum(row.good for row in defects)
    if defects:
        least = -(-ENOUGH * seeds // SEEDS)
        print(
            paint(
                "bold", f"{good} of {many(len(defects), 'defect')} found by at least {least} of {many(seeds, 'seed')}"
            )
        )
    if others:
        wrong = sum(row.score.found for row in others)
        print(paint("bold", f"{many(wrong, 'finding')} in {many(len(others), 'build')} without a defect"))
