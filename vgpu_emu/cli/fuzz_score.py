"""``vgpu-emu fuzz --score``: how soon each planted defect is found, and that nothing else is."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from time import monotonic
from typing import NamedTuple

import msgspec

from vgpu_emu.cli.fuzz_options import named_defect, planting
from vgpu_emu.cli.progress import progress, teller
from vgpu_emu.cli.style import Paint, many, painter, printable
from vgpu_emu.cli.usage import FOUND
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
    legal = {CLEAN, *BENIGN, *wanted.benign}
    tasks = list(_tasks(base, wanted))
    began, rows = monotonic(), []
    paint = painter(sys.stdout)

    def work(index: int) -> Caught:
        return hunt(tasks[index], teller("score"))

    with planting(), crew(work, jobs) as workers:
        caught = progress("score", len(tasks), workers(range(len(tasks))))
        for name, those in groupby(caught, lambda each: each.name):
            rows.append(Row(name not in legal, score(name, list(those))))
            if not json:
                print(_line(rows[-1], paint))
    if json:
        found = [_as_json(row) for row in rows]
        print(msgspec.json.encode({"schema": 1, "seconds": round(monotonic() - began, 1), "scores": found}).decode())
    else:
        _total(rows, wanted.seeds, paint)
    return 0 if all(row.good for row in rows) else FOUND


def _tasks(base: Conditions, wanted: Wanted) -> Iterator[Hunt]:
    if wanted.defects or wanted.benign:
        legal = [*wanted.benign, *(name for name in wanted.defects if name in BENIGN)]
        defects = [(name, named_defect(name)) for name in wanted.defects if name not in BENIGN]
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


def _total(rows: Iterable[Row], seeds: int, paint: Paint) -> None:
    rows = list(rows)
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
