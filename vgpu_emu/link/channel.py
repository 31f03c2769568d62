"""Links between parties: pairs of ports on trio memory channels.

A port's `send` never waits, as a kick does not: what bounds a link is its protocol, a virtqueue's size or one question
at a time. Middleware wraps a port and has its interface.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import trio

from vgpu_emu.memory import PassedFd

Out_contra = TypeVar("Out_contra", contravariant=True)
In_co = TypeVar("In_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")

#: a message of the renderer link: bytes, and the descriptors beside them
Parcel = tuple[bytes, tuple[PassedFd, ...]]


class Port(Protocol[Out_contra, In_co]):
    """One party's end of a link."""

    def send(self, item: Out_contra) -> None:
        """Raises trio.BrokenResourceError if the other party is gone."""

    async def receive(self) -> In_co:
        """Raises trio.EndOfChannel if the other party is gone."""
        ...

    def close(self) -> None: ...


class ChannelPort(Generic[A, B]):
    """A port on two memory channels."""

    def __init__(self, outgoing: trio.MemorySendChannel[A], incoming: trio.MemoryReceiveChannel[B]) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self.send = outgoing.send_nowait
        self.receive = incoming.receive
        self._left: list[B] = []

    def undelivered(self) -> list[B]:
        """Take what was sent to this port and not received, before it was closed or since."""
        left, self._left = self._left, []
        with suppress(trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
            while True:
                left.append(self._incoming.receive_nowait())
        return left

    def close(self) -> None:
        self._left = self.undelivered()
        self._outgoing.close()
        self._incoming.close()


class Tap(Generic[A, B]):
    """Middleware: `record` sees everything that is sent, before the other party does."""

    def __init__(self, port: Port[A, B], record: Callable[[A], None]) -> None:
        self._port = port
        self._record = record
        self.receive = port.receive
        self.close = port.close

    def send(self, item: A) -> None:
        self._record(item)
        self._port.send(item)


def open_link(forth: type[A], back: type[B]) -> tuple[ChannelPort[A, B], ChannelPort[B, A]]:
    """Two ports, each the other's far end; the first sends `forth` and receives `back`."""
    there: tuple[trio.MemorySendChannel[A], trio.MemoryReceiveChannel[A]] = trio.open_memory_channel(float("inf"))
    here: tuple[trio.MemorySendChannel[B], trio.MemoryReceiveChannel[B]] = trio.open_memory_channel(float("inf"))
    return ChannelPort(there[0], here[1]), ChannelPort(here[0], there[1])
