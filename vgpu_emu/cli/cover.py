"""``vgpu-emu cover``: what the programs of a corpus reach."""

import sys
from itertools import groupby
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from vgpu_emu.cli.fuzz_options import conditions_of, needed_corpus
from vgpu_emu.cli.progress import progress
from vgpu_emu.cli.style import many, painter
from vgpu_emu.cli.together import at_least
from vgpu_emu.cli.usage import FOUND
from vgpu_emu.fuzz.batches import BATCH, Batch, Plan, Work
from vgpu_emu.fuzz.campaign import Summary
from vgpu_emu.fuzz.coverage import Row, never_right, rows, unreached
from vgpu_emu.fuzz.crew import crew
from vgpu_emu.fuzz.trial import Conditions
from vgpu_emu.fuzz.worker import carry_out
from vgpu_wire.messages import type_name


def cover(
    corpus: Path,
    /,
    *,
    target: str = "core",
    profile: str | None = None,
    jobs: int = 1,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Carry out every program of a corpus, and show what came of each command, what none of them reached,
    and which commands never succeeded.

    A line says: this command, in this condition, was answered so, in so many states of the device. Nothing to the
    left of the answer: the request was plainly right. Exit code 1: a program of the corpus shows a finding.

    Examples:

        vgpu-emu cover corpus

        vgpu-emu cover --json corpus | jq .unreached

    Parameters
    ----------
    corpus
        A directory of programs, as vgpu-emu fuzz --corpus makes it.
    target
        What the programs run on.
    profile
        The VMM that the device is; see: vgpu-emu profiles.
    jobs
        How many processes share the work.
    json_
        One JSON object instead of text.
    """
    at_least(1, {"--jobs": jobs})
    programs = needed_corpus(corpus)
    summary = _carried_out(programs, conditions_of(target, profile, []), jobs)
    table, never = rows(summary.covered), unreached(summary.covered)
    failed = [_name(number) for number in never_right(summary.covered)]
    if json_:
        found = [_as_json(row) for row in table]
        said = {"programs": len(programs), "rows": found, "unreached": never, "never_succeeded": failed}
        print(msgspec.json.encode({"schema": 1, **said}).decode())
    else:
        _show(table, len(programs))
        _list("Never reached", never)
        _list("Never succeeded", failed)
    return FOUND if summary.findings else 0


def _carried_out(programs: list[bytes], conditions: Conditions, jobs: int) -> Summary:
    def work(task: Work) -> Batch:
        return carry_out(task, conditions)

    starts = range(0, len(programs), BATCH)
    tasks = [Work(Plan(0), number, tuple(programs[start : start + BATCH])) for number, start in enumerate(starts)]
    summary = Summary()
    with crew(work, jobs) as workers:
        for batch in progress("cover", len(tasks), workers(tasks)):
            summary.add(batch)
    return summary


def _as_json(row: Row) -> dict[str, object]:
    return {
        "command": _name(row.number),
        "condition": row.condition,
        "outcome": type_name(row.outcome),
        "states": row.states,
    }


def _name(number: int) -> str:
    return type_name(number) if number else "no command"


def _show(table: list[Row], programs: int) -> None:
    paint = painter(sys.stdout)
    for number, those in groupby(table, lambda row: row.number):
        print(paint("bold", _name(number)))
        for row in those:
            print(f"  {row.condition:62} {type_name(row.outcome).removeprefix('RESP_'):24} {row.states:3}")
    reached = f"{many(len(table), 'outcome')}, {sum(row.states for row in table)} with states"
    print(paint("bold", f"{many(programs, 'program')}, {reached}"))


def _list(title: str, names: list[str]) -> None:
    if names:
        print(painter(sys.stdout)("bold", title))
        for name in names:
            print(f"  {name}")
