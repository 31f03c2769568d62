"""Where the kernel sleeps: calls as generators, waits with a time limit, and work that nobody waits for."""

from collections.abc import Callable, Generator
from typing import TypeVar

import msgspec


class Wait(msgspec.Struct, frozen=True):
    """The kernel sleeps here until `ready()`, or for `timeout` seconds; None: for ever. why: what it waits for.

    Whoever runs the call sends True when it is ready and False when the time is over.
    """

    ready: Callable[[], object]
    why: str
    timeout: float | None = None


T = TypeVar("T")
Op = Generator[Wait, bool | None, T]


def wait_for(ready: Callable[[], object], why: str, timeout: float | None = None) -> Op[bool]:
    """wait_event and wait_event_timeout: whether it came true in time. Does not sleep if it is true already."""
    if ready():
        return True
    return (yield Wait(ready, why, timeout)) is not False


class Workers:
    """Work that interrupt handlers leave to a worker (schedule_work), each as far as it can go.

    It is started in the order in which it was scheduled; none of it waits with a time limit.
    """

    def __init__(self) -> None:
        self._work: list[tuple[Op[None], Wait | None]] = []

    def __len__(self) -> int:
        return len(self._work)

    def schedule(self, work: Op[None]) -> None:
        self._work.append((work, None))

    def run(self) -> None:
        """Go on with everything that does not have to wait."""
        work, self._work = self._work, []
        for op, wait in work:
            left = _advance(op, wait)
            if left is not None:
                self._work.append((op, left))


def _advance(op: Op[None], wait: Wait | None) -> Wait | None:
    """Go on with a call: what it waits for then; None: it is over."""
    while wait is None or wait.ready():
        try:
            wait = next(op)
        except StopIteration:
            return None
    return wait
