"""A device that never comes to an end is found, and does not stop the campaign."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from vgpu_emu.fuzz.model.case import Finding

#: seconds of the processor that a program may take; it takes some milliseconds
SECONDS = 5.0
#: the same where one was seen that took so long
SHORT = 0.5
#: what is said of it
ENDLESS = "the program does not come to an end"
#: what holds here; without any, programs take as long as they like
_limits: list[float] = []


@contextmanager
def bounded(seconds: float = SECONDS) -> Iterator[None]:
    """Programs that are carried out here are interrupted when they take longer, by a Finding (I29, ENDLESS).

    It is processor time, so that other work on the machine counts nothing. Only for the main thread of a process.
    """
    before = signal.signal(signal.SIGPROF, _too_long)
    _limits.append(seconds)
    try:
        yield
    finally:
        _limits.pop()
        signal.signal(signal.SIGPROF, before)


@contextmanager
def in_time() -> Iterator[None]:
    """One program, or the end of its machine. The Finding comes in here or not at all, and again if it is ignored."""
    if not _limits:
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, _limits[-1], _limits[-1])
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise Finding("I29", ENDLESS)
