"""Processes that share work. What they do is inherited by fork, so it may use what cannot be sent to a process, such as
classes of a user's file."""

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import ForkContext, ForkProcess
from typing import Any, Generic, TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")
#: of a worker: how it carries out a task
_carry: list[Callable[[Any], Any]] = []


class Crew(Generic[Task, Done]):
    """Who carries out tasks. What is in hand when the work is stopped is not lost: see `rest`."""

    def __init__(self, pool: ProcessPoolExecutor, jobs: int) -> None:
        self._pool = pool
        self._jobs = jobs
        self._due: deque[Future[Done]] = deque()

    def __call__(self, tasks: Sequence[Task]) -> Iterator[Done]:
        """What became of the tasks, in their order; every process has one in hand and one in store."""
        for task in tasks:
            self._due.append(self._pool.submit(_work, task))
            if len(self._due) > 2 * self._jobs:
                yield self._first()
        while self._due:
            yield self._first()

    def _first(self) -> Done:
        # it stays due until it is there: whoever waits may be interrupted
        done = self._due[0].result()
        self._due.popleft()
        return done

    def rest(self) -> Iterator[Done]:
        """What was begun is finished, and nothing more is."""
        self._due = deque([future for future in self._due if not future.cancel()])
        while self._due:
            yield self._first()

    def finished(self) -> list[Done]:
        """What is finished already, of what nobody was given: when nothing more will be."""
        done = [future for future in self._due if future.done() and not future.cancelled()]
        return [future.result() for future in done if future.exception() is None]


class _Process(ForkProcess):
    def terminate(self) -> None:
        """What the pool does to the others when one was killed: they ignore a mere SIGTERM."""
        self.kill()


class _Context(ForkContext):
    Process = _Process


@contextmanager
def crew(carry: Callable[[Task], Done], jobs: int) -> Iterator[Crew[Task, Done]]:
    """Raises BrokenProcessPool, from the crew's methods, if a process is killed."""
    pool = ProcessPoolExecutor(jobs, _Context(), _begin, (carry,))
    try:
        yield Crew(pool, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(carry: Callable[[Any], Any]) -> None:
    # to be interrupted is the parent's: it lets everybody finish what is in hand
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.SIG_IGN)
    _carry.append(carry)


def _work(task: Any) -> Any:
    return _carry[0](task)
