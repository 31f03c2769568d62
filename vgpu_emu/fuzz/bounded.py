"""A device that never comes to an end is found, and does not stop the campaign."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from vgpu_emu.fuzz.model.judge import Finding

#: seconds of the processor that a program may take; it takes some milliseconds
SECONDS = 5.0


@contextmanager
def bounded(seconds: float = SECONDS) -> Iterator[Callable[[], object]]:
    """To be called before each program: one that takes longer is interrupted by a Finding (I29).

    It is processor time, so that other work on the machine counts nothing. Only for the main thread of a process.
    """
    before = signal.signal(signal.SIGPROF, _too_long)
    try:
        yield lambda: signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise Finding("I29", "the program does not come to an end")
