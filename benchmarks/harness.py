"""Alternating measurement: in every round each candidate runs once, in CPU time; the result is the median ratio.

On a machine with other work absolute figures move by a factor of two within minutes; the ratio of two neighbours moves
by a few per cent. The garbage collector is off while a candidate runs, and runs between the rounds.
"""

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

#: runs a candidate's work once and returns CPU seconds for one unit of it
Timed = Callable[[], float]


class UnavailableError(Exception):
    """A benchmark cannot run here, and why."""


class Benchmark(NamedTuple):
    """measure: returns the ratio. better: which side of the goal is good. says: what is compared with what."""

    name: str
    says: str
    goal: float
    better: Literal["lower", "higher"]
    measure: Callable[[], float]

    def met(self, ratio: float) -> bool:
        return ratio <= self.goal if self.better == "lower" else ratio >= self.goal


def loop(work: Callable[[], object], number: int) -> Timed:
    """`number` calls of `work`, timed as one."""

    def timed() -> float:
        rounds = range(number)
        start = time.process_time()
        for _ in rounds:
            work()
        return (time.process_time() - start) / number

    return timed


def cost_ratio(candidate: Timed, baseline: Timed, rounds: int) -> float:
    """How many times the baseline's cost the candidate has: the median over the rounds."""
    ratios = []
    with quiet():
        for _ in range(rounds):
            base = baseline()
            ratios.append(candidate() / base)
            gc.collect()
    return statistics.median(ratios)


@contextmanager
def quiet() -> Iterator[None]:
    """One CPU, and no garbage collection in between."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        os.sched_setaffinity(0, cpus)
