"""Scenarios carried out one after the other, or by several processes; the outcomes come in order."""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from vgpu_emu.cli.progress import progress
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.fuzz.runner import runner
from vgpu_emu.scenario.golden import compared, golden_file
from vgpu_emu.scenario.loading import load
from vgpu_emu.scenario.outcome import Outcome, Result
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import open_processes, run

if TYPE_CHECKING:
    from vgpu_emu.cli.guests import Guests

#: seeds of one scenario that a process tries before another may help it
BLOCK = 25


class Job(NamedTuple):
    """A scenario of a file, and how to run it: all that another process has to know. It is run once for each seed, to
    the first that fails."""

    file: str
    id: str
    seeds: range = range(1)
    until: int | None = None
    is_golden: bool = True
    isolation: str | None = None
    defects: tuple[str, ...] = ()

    def blocks(self) -> "Iterator[Job]":
        """The same work in pieces."""
        for start in range(0, len(self.seeds), BLOCK):
            yield self._replace(seeds=self.seeds[start : start + BLOCK])


def carry_out(job: Job) -> Outcome:
    """Run it here: the first outcome that is no success, or the last. If it is golden, its ladder is compared with the
    one beside the file, if that is there."""
    scenario = next(each for each in _load(job.file) if each.id == job.id)
    began, run_it = perf_counter(), _runner(scenario, job)
    outcome = run_it(seed=job.seeds[0])
    for seed in job.seeds[1:]:
        if outcome.result is not Result.SUCCESS:
            break
        outcome = run_it(seed=seed)
    if job.is_golden:
        outcome = compared(outcome, golden_file(Path(job.file)))
    return replace(outcome, seeds=job.seeds.index(outcome.seed) + 1, seconds=perf_counter() - began)


def _runner(scenario: Scenario, job: Job) -> Callable[..., Outcome]:
    """Who runs it with a seed."""
    if job.isolation is not None:
        return partial(run, scenario, file=job.file, until=job.until, opener=open_processes)
    return partial(runner(scenario, _defects(job.defects)), scenario, file=job.file, until=job.until)


@lru_cache
def _defects(names: tuple[str, ...]) -> tuple[type, ...]:
    """The file of a defect is run once, however many scenarios there are."""
    if not names:
        return ()
    from vgpu_emu.fuzz.defects.loading import load as load_defect

    return tuple(load_defect(name) for name in names)


def _supervised(job: Job) -> Outcome:
    """Run it where it is to be run: a guest that is isolated has a process of its own, too."""
    return carry_out(job) if job.isolation is None else _guests().carry_out(job)


@lru_cache
def _guests() -> "Guests":
    """The guest's process that belongs to this one, and ends with it at the latest."""
    from vgpu_emu.cli.guests import Guests

    return Guests()


@lru_cache
def _load(file: str) -> list[Scenario]:
    return load(Path(file))


def outcomes(work: Sequence[Job], processes: int) -> Iterator[Outcome]:
    """The outcome of every job, in their order, each as soon as it and those before it are there."""
    blocks = [block for job in work for block in job.blocks()]
    parts = _one_by_one(blocks) if processes == 1 else _side_by_side(blocks, processes)
    for _, those in groupby(progress("run", len(blocks), parts), lambda outcome: (outcome.file, outcome.id)):
        yield _joined(list(those))


def _joined(parts: Sequence[Outcome]) -> Outcome:
    """The blocks of one job as the job's outcome."""
    bad = [part for part in parts if part.result is not Result.SUCCESS]
    seeds, seconds = sum(part.seeds for part in parts), sum(part.seconds for part in parts)
    return replace(bad[0] if bad else parts[-1], seeds=seeds, seconds=seconds)


def _one_by_one(work: Iterable[Job]) -> Iterator[Outcome]:
    """What comes behind a failure of the same scenario is left out."""
    failed: set[str] = set()
    try:
        for job in work:
            if job.id not in failed:
                yield _noted(_supervised(job), failed)
    finally:
        if _guests.cache_info().currsize:
            _guests().close()


def _side_by_side(work: Iterable[Job], processes: int) -> Iterator[Outcome]:
    """The same; every process has a job in hand and one in store."""
    failed: set[str] = set()
    due: deque[Future[Outcome]] = deque()
    # nothing runs here yet that a fork would break: no thread, no event loop
    pool = ProcessPoolExecutor(processes, get_context("fork"), _leave_interrupts_to_the_parent)
    try:
        for job in work:
            if job.id not in failed:
                due.append(pool.submit(_supervised, job))
            if len(due) >= 2 * processes:
                yield _noted(due.popleft().result(), failed)
        while due:
            yield _noted(due.popleft().result(), failed)
    except BrokenProcessPool:
        raise UsageError("a process that ran scenarios was killed; --jobs 1 runs them in this one") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _noted(outcome: Outcome, failed: set[str]) -> Outcome:
    if outcome.result is not Result.SUCCESS:
        failed.add(outcome.id)
    return outcome


def _leave_interrupts_to_the_parent() -> None:
    """What it is at it ends: that takes no longer than a block of seeds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
