"""What a front-end says of a virtqueue: messages that come one by one, and make a queue when they are all there."""

import os
from collections.abc import Callable
from errno import EINVAL

import trio.lowlevel

from vgpu_emu.link.vring import Vring
from vgpu_emu.peers.eventfd import EventFd
from vgpu_emu.peers.stream import Fds
from vgpu_wire.vhost_user import VRING_NOFD, VringAddr


class RingState:
    """One queue's. started: by its kick, until its base is asked for; enabled: apart from that.

    It is processed while both hold. base: where its available ring is read next.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.size = 0
        self.base = 0
        self.addresses: VringAddr | None = None
        self.started = self.enabled = False
        self.kick: EventFd | None = None
        #: the kick that a task waits for
        self.watched: EventFd | None = None
        self.call: EventFd | None = None
        self.error: EventFd | None = None

    @property
    def runs(self) -> bool:
        return self.started and self.enabled

    def vring(self, guest_address: Callable[[int], int]) -> Vring:
        """Where it is, by the guest's addresses. Raises OSError: EINVAL without addresses; what guest_address does."""
        if self.addresses is None:
            raise OSError(EINVAL, f"queue {self.number} has no addresses")
        where = self.addresses
        parts = (where.desc_user_addr, where.avail_user_addr, where.used_user_addr)
        return Vring(self.size, *map(guest_address, parts))

    def set_call(self, number: int, fds: Fds) -> None:
        """Raises OSError as `_eventfd`."""
        self.call = _replaced(self.call, _eventfd(number, fds))

    def set_error(self, number: int, fds: Fds) -> None:
        """Raises OSError as `_eventfd`."""
        self.error = _replaced(self.error, _eventfd(number, fds))

    def set_kick(self, number: int, fds: Fds) -> None:
        """Raises OSError as `_eventfd`; EINVAL without one: nobody looks at the queue all the time."""
        kick = _eventfd(number, fds)
        if kick is None:
            raise OSError(EINVAL, "a queue without kicks would have to be polled")
        self._drop_kick()
        self.kick = kick

    def stop(self) -> None:
        """Not processed any more. Calls and errors can still be told."""
        self.started = False
        self._drop_kick()

    def close(self) -> None:
        """Stopped, and without descriptors."""
        self.stop()
        self.enabled = False
        self.call, self.error = _replaced(self.call, None), _replaced(self.error, None)

    def _drop_kick(self) -> None:
        if self.kick is not None:
            # its task may be waiting for it
            trio.lowlevel.notify_closing(self.kick.fileno)
        self.kick = _replaced(self.kick, None)


def _eventfd(number: int, fds: Fds) -> EventFd | None:
    """The one that came along; None: none should. Raises OSError: EINVAL for anything else."""
    if len(fds) != (not number & VRING_NOFD):
        raise OSError(EINVAL, f"{len(fds)} descriptors, and the number {number:#x}")
    if not fds:
        return None
    fileno = fds.take()
    try:
        return EventFd(fileno)
    except OSError:
        os.close(fileno)
        raise


def _replaced(old: EventFd | None, new: EventFd | None) -> EventFd | None:
    if old is not None:
        old.close()
    return new
