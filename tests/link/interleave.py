"""Every interleaving of two parties that share memory, store buffers included: a model checker for the real queues.

Each party is a thread, and only one runs at a time. Before it loads a shared field it stops, and `explore` chooses who
goes on. A store first lands in its party's buffer, as on x86, and reaches memory when the explorer flushes it or the
party comes to a fence. Scenarios are run until every choice has been made in every state.
"""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from threading import Lock, Thread
from typing import NamedTuple

from vgpu_emu.link.vring import Rings


class AbandonedError(Exception):
    """Ends the thread of a party that sleeps for ever."""


class Party:
    """One side. act: what it does; it may sleep until the other party rings its bell."""

    def __init__(self, act: "Callable[[Party], None]") -> None:
        #: stores that only this party knows of, the oldest first: rings, field, value
        self.buffer: deque[tuple[Rings, int, int]] = deque()
        #: what it has loaded: a party does the same after the same loads
        self.loaded: list[int] = []
        self._steps = 0
        self._act = act
        self._rung = self._sleeps = self._done = self._abandoned = False
        self._error: BaseException | None = None
        self._go, self._stopped = Lock(), Lock()
        self._go.acquire()
        self._stopped.acquire()
        self._thread = Thread(target=self._main)
        self._thread.start()

    def _main(self) -> None:
        try:
            self._wait()
            self._act(self)
            self.drain()
        except AbandonedError:
            pass
        except BaseException as error:
            self._error = error
        self._done = True
        self._stopped.release()

    # -- for the party

    def stop(self) -> None:
        self._stopped.release()
        self._wait()

    def _wait(self) -> None:
        self._go.acquire()
        if self._abandoned:
            raise AbandonedError

    def drain(self) -> None:
        if self.buffer:
            self.stop()
        while self.buffer:
            self._flush()

    def notify(self, other: "Party") -> None:
        """A notification is a system call; it leaves no store in the buffer."""
        self.drain()
        self.stop()
        other._rung = True

    def sleep(self) -> None:
        """Until the bell has rung."""
        self.drain()
        self._sleeps = True
        self.stop()
        self._sleeps = self._rung = False

    # -- for the explorer

    def actions(self) -> list[Callable[[], None]]:
        run = [self._run] if not self._done and (self._rung or not self._sleeps) else []
        return run + ([self._flush] if self.buffer else [])

    def state(self) -> Hashable:
        stores = tuple([(field, value) for _, field, value in self.buffer])
        return self._steps, tuple(self.loaded), stores, self._rung, self._done

    def _run(self) -> None:
        self._steps += 1
        self._go.release()
        self._stopped.acquire()
        if self._error is not None:
            raise self._error

    def _flush(self) -> None:
        rings, field, value = self.buffer.popleft()
        Rings.store(rings, field, value)

    def end(self) -> None:
        if not self._done:
            self._abandoned = True
            self._go.release()
        self._thread.join()


class SteppingRings(Rings):
    """A party's way to the shared fields of a queue."""

    def __init__(self, rings: Rings, party: Party) -> None:
        super().__init__(rings.memory, rings.vring)
        self.party = party

    def load(self, field: int) -> int:
        self.party.stop()
        value = super().load(field)
        self.party.loaded.append(value)
        return value

    def store(self, field: int, value: int) -> None:
        self.party.buffer.append((self, field, value))

    def fence(self) -> None:
        self.party.drain()


class Scenario(NamedTuple):
    """memory: what the parties share. check: looks at a state in which none can go on."""

    parties: Sequence[Party]
    memory: memoryview
    check: Callable[[], None]


def explore(new: Callable[[], Scenario]) -> int:
    """Go through every state that the parties can reach, and check those in which it ends: their number."""
    visited: set[Hashable] = set()
    choices: list[int] = []
    ends = 0
    while True:
        scenario, taken = new(), list[tuple[int, int]]()
        try:
            ends += _run(scenario, choices, taken, visited)
        finally:
            for party in scenario.parties:
                party.end()
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return ends
        choices = [choice for choice, _ in taken]
        choices[-1] += 1


def _run(scenario: Scenario, choices: list[int], taken: list[tuple[int, int]], visited: set[Hashable]) -> bool:
    """Make these choices, then the first one each time, up to an end or a state where somebody was before.

    taken: gets each choice, and out of how many.
    """
    while actions := [action for party in scenario.parties for action in party.actions()]:
        if len(taken) >= len(choices):
            state = (bytes(scenario.memory), *[party.state() for party in scenario.parties])
            if state in visited:
                return False
            visited.add(state)
        choice = choices[len(taken)] if len(taken) < len(choices) else 0
        taken.append((choice, len(actions)))
        actions[choice]()
    scenario.check()
    return True
