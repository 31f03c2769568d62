"""Scenarios carried out one after the other, or by several processes; the outcomes come in order."""

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from vgpu_emu.scenario.loading import load
from vgpu_emu.scenario.outcome import Outcome
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import run


class Job(NamedTuple):
    """A scenario of a file, and how to run it: all that another process has to know."""

    file: str
    id: str
    seed: int = 0
    until: int | None = None


def carry_out(job: Job) -> Outcome:
    scenario = next(each for each in _load(job.file) if each.id == job.id)
    return run(scenario, file=job.file, seed=job.seed, until=job.until)


@lru_cache
def _load(file: str) -> list[Scenario]:
    return load(Path(file))


def outcomes(work: Sequence[Job], processes: int) -> Iterator[Outcome]:
    """The outcome of every job, in their order, each as soon as it and those before it are there."""
    if processes == 1 or len(work) == 1:
        yield from map(carry_out, work)
        return
    # a fresh interpreter: nothing of this one, such as open files, is in a scenario's process
    pool = ProcessPoolExecutor(min(processes, len(work)), get_context("spawn"), _leave_interrupts_to_the_parent)
    try:
        yield from pool.map(carry_out, work, chunksize=max(1, min(8, len(work) // processes)))
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
