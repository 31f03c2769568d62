"""eventfds that a VMM passes: the interrupts that it wants to hear of, the kicks that it tells of."""

import os
from contextlib import suppress
from errno import EINVAL
from typing import Self

from vgpu_emu.peers.stream import Fds


class EventFd:
    """An eventfd of somebody else's, adopted: `close` closes it."""

    def __init__(self, fileno: int) -> None:
        """Raises OSError: EINVAL for a descriptor that is no eventfd: a write to it might block, or do anything. Then
        it is still the caller's."""
        if os.readlink(f"/proc/self/fd/{fileno}") != "anon_inode:[eventfd]":
            raise OSError(EINVAL, "the descriptor is no eventfd")
        # whoever has filled its counter must not stop us
        os.set_blocking(fileno, False)
        self.fileno = fileno

    @classmethod
    def next_of(cls, fds: Fds) -> Self:
        """The next descriptor of a message. Raises OSError as above; then it is closed."""
        fileno = fds.take()
        try:
            return cls(fileno)
        except OSError:
            os.close(fileno)
            raise

    def signal(self) -> None:
        """Add 1. If the counter is full its reader has enough to read."""
        with suppress(BlockingIOError):
            os.eventfd_write(self.fileno, 1)

    def drain(self) -> int:
        """What was added since the last time; 0: nothing."""
        try:
            return os.eventfd_read(self.fileno)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        os.close(self.fileno)
