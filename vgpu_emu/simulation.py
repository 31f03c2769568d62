"""Runs that a seed repeats: scheduling, time, and every random choice come from one number.

`Simulation(seed).run(main)` is `trio.run` with virtual time, in which the order of the tasks is the seed's. When no
task can run and no deadline is due it raises HangError at once, which says who waits for what. `explore` tries seeds.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple, TypeVar

import trio
import trio.lowlevel

from vgpu_emu.machine import open_machines

T = TypeVar("T")


class HangError(RuntimeError):
    """Nothing can happen any more, and the program is not over. waits: who waits for what, a sentence each."""

    def __init__(self, waits: Iterable[str]) -> None:
        self.waits = tuple(waits)
        super().__init__("nothing can happen any more: " + "; ".join(self.waits))


class Simulation:
    """seed: any number. The same seed gives the same run, in every process, whatever PYTHONHASHSEED is.

    That holds for what runs on trio alone: no threads, no sockets, no clock but trio's, no order of a set.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def random(self, purpose: str) -> Random:
        """The random numbers of one purpose (``"faults"``, ``"weather"``): they do not shift when another one draws."""
        return Random(f"{self.seed}/{purpose}")

    def run(self, main: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Run `main(*arguments)` in virtual time. Raises HangError, and what `main` raises."""
        scope, waits = trio.CancelScope(), list[str]()
        program: list[trio.lowlevel.Task] = []

        def hung() -> None:
            if scope.cancel_called:
                raise RuntimeError("the program hangs, and does not end when it is cancelled")
            waits.extend(_who_waits(program[0]))
            scope.cancel()

        async def until_it_hangs() -> T:
            program.append(trio.lowlevel.current_task())
            with scope:
                return await main(*arguments)
            raise HangError(waits)

        clock = _watched_clock(hung)
        with _seeded(self.random("scheduler")):
            return trio.run(until_it_hangs, clock=clock)


def _who_waits(program: trio.lowlevel.Task) -> Iterator[str]:
    """What machines wait for; without any, where the tasks are."""
    machines = [sentence for machine in open_machines() for sentence in machine.waits()]
    yield from machines or map(_place, _ends(program))


def _ends(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    """The tasks at the ends of the tree that this one has started."""
    below = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    for child in sorted(below, key=lambda child: child.name):
        yield from _ends(child)
    if not below:
        yield task


def _place(task: trio.lowlevel.Task) -> str:
    """The last line that is not trio's own."""
    frames = list(task.iter_await_frames())
    own = [(frame, line) for frame, line in frames if not frame.f_globals["__name__"].startswith("trio.")]
    frame, line = (own or frames)[-1]
    return f"task {task.name} waits in {frame.f_code.co_name}, {frame.f_code.co_filename}:{line}"


def _watched_clock(hung: Callable[[], None]) -> trio.abc.Clock:
    """A clock that jumps to the next deadline, and calls `hung` when there is none."""
    from trio.testing import MockClock

    clock: Any = MockClock(autojump_threshold=0)
    jump = clock._autojump

    def jump_or_hang() -> None:
        if trio.lowlevel.current_statistics().seconds_to_next_deadline == float("inf"):
            hung()
        else:
            jump()

    # the class is final, and there is no other way to hear of an idle loop
    clock._autojump = jump_or_hang
    watched: trio.abc.Clock = clock
    return watched


@contextmanager
def _seeded(random: Random) -> Iterator[None]:
    """trio's scheduler takes its order from `random`, and afterwards from where it did before. It is made for that, for
    Hypothesis, but the names are its own: RuntimeError if they are gone."""
    scheduler: Any = trio._core._run
    names = ("_ALLOW_DETERMINISTIC_SCHEDULING", "_r")
    if not all(hasattr(scheduler, name) for name in names) or not hasattr(trio.testing.MockClock, "_autojump"):
        raise RuntimeError(f"trio {trio.__version__} cannot be seeded as this version of vgpu-emu does it")
    before = {name: getattr(scheduler, name) for name in names}
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r = True, random
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(scheduler, name, value)


class Failure(NamedTuple):
    """A seed that failed, and how."""

    seed: int
    error: Exception


def explore(attempt: Callable[[int], object], seeds: Iterable[int]) -> Failure | None:
    """Call `attempt(seed)` for each seed: the first that raises; None: none did."""
    for seed in seeds:
        try:
            attempt(seed)
        except Exception as error:
            return Failure(seed, error)
    return None
