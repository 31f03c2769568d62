"""``vgpu-emu fuzz --score``: how soon each planted defect is found, and that nothing else is."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from time import monotonic
from typing import Any, NamedTuple

import msgspec

from vgpu_emu.cli.fuzz_options import named_defect
from vgpu_emu.cli.progress import progress
from vgpu_emu.cli.style import Paint, painter, printable
from vgpu_emu.cli.usage import FOUND
from vgpu_emu.fuzz.crew import crew
from vgpu_emu.fuzz.score import SEEDS, Caught, Hunt, Score, hunt, hunts, score
from vgpu_emu.fuzz.trial import Conditions

#: programs after which a defect is given up, by seed
LIMIT = 100_000
#: programs that what is no defect is tried with, by seed
CLEAN = 500
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


def show_score(base: Conditions, names: Sequence[str], limit: int | None, jobs: int, *, json: bool) -> int:
    """names: of defects; none: all that are shipped, the clean build and the benign mutants. Exit code 1: a defect was
    found by fewer than 18 of 20 seeds, or something by one that is none."""
    tasks = list(_tasks(base, names, LIMIT if limit is None else limit))
    began, rows = monotonic(), []
    paint = painter(sys.stdout)

    def work(index: int) -> Caught:
        return hunt(tasks[index])

    with crew(work, jobs) as workers:
        caught = progress("score", len(tasks), workers(range(len(tasks))))
        for name, those in groupby(caught, lambda each: each.name):
            rows.append(Row(_is_defect(name), score(name, list(those))))
            if not json:
                print(_line(rows[-1], paint))
    if json:
        found = [_as_json(row) for row in rows]
        print(msgspec.json.encode({"schema": 1, "seconds": round(monotonic() - began, 1), "scores": found}).decode())
    else:
        _total(rows, paint)
    return 0 if all(row.good for row in rows) else FOUND


def _tasks(base: Conditions, names: Sequence[str], limit: int) -> Iterator[Hunt]:
    if names:
        yield from hunts([(name, named_defect(name)) for name in names], base, limit)
        return
    from vgpu_emu.fuzz.defects import ALL, BENIGN

    clean: list[tuple[str, Any]] = [("clean", type("Nothing", (), {})), *BENIGN.items()]
    yield from hunts([(name, defect) for name, defect in ALL.items() if name not in BENIGN], base, limit)
    yield from hunts(clean, base, min(CLEAN, limit))


def _is_defect(name: str) -> bool:
    from vgpu_emu.fuzz.defects import BENIGN

    return name != "clean" and name not in BENIGN


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
    return f"{head}  after {of.median:g} programs, at worst {of.worst}; {oracles}; {of.longest} commands at most"


def _total(rows: Iterable[Row], paint: Paint) -> None:
    rows = list(rows)
    defects, others = [row for row in rows if row.is_defect], [row for row in rows if not row.is_defect]
    good = sum(row.good for row in defects)
    print(paint("bold", f"{good} of {len(defects)} defects found by at least {ENOUGH} of {SEEDS} seeds"))
    if others:
        wrong = sum(row.score.found for row in others)
        print(paint("bold", f"{wrong} findings in {len(others)} builds that have no defect"))
