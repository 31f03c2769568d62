"""Processes that carry out batches."""

import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING

from vgpu_emu.fuzz.campaign import Batch, Work, carry_out

if TYPE_CHECKING:
    from vgpu_emu.fuzz.trial import Conditions

#: of a worker: what it carries out programs on
_conditions: "list[Conditions]" = []


class Crew:
    """Who carries out batches. What is in hand when the work is stopped is not lost: see `rest`."""

    def __init__(self, pool: ProcessPoolExecutor, jobs: int) -> None:
        self._pool = pool
        self._jobs = jobs
        self._due: deque[Future[Batch]] = deque()

    def __call__(self, works: Sequence[Work]) -> Iterator[Batch]:
        """The batches in their order; every process has one in hand and one in store."""
        for work in works:
            self._due.append(self._pool.submit(_work, work))
            if len(self._due) > 2 * self._jobs:
                yield self._first()
        while self._due:
            yield self._first()

    def _first(self) -> Batch:
        # it stays due until it is there: whoever waits may be interrupted
        batch = self._due[0].result()
        self._due.popleft()
        return batch

    def rest(self) -> Iterator[Batch]:
        """What was begun is finished, and nothing more is."""
        begun = [future for future in self._due if not future.cancel()]
        self._due.clear()
        for future in begun:
            yield future.result()


@contextmanager
def crew(conditions: "Conditions", jobs: int) -> Iterator[Crew]:
    """Raises BrokenProcessPool, from the crew's methods, if a process is killed."""
    # a fork has the conditions, which may hold what cannot be sent, such as classes of a user's file
    pool = ProcessPoolExecutor(jobs, get_context("fork"), _begin, (conditions,))
    try:
        yield Crew(pool, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(conditions: "Conditions") -> None:
    # an interrupt is the parent's: it lets everybody finish what is in hand
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _conditions.append(conditions)


def _work(work: Work) -> Batch:
    return carry_out(work, _conditions[0])
