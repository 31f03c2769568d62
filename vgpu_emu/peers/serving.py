"""A server's life: it listens, serves guests one after another, and ends with a signal."""

import resource
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from vgpu_emu.peers.listener import listening
from vgpu_emu.peers.outlets import Say
from vgpu_emu.peers.stream import FdStream, PeerGoneError, StreamError

Session = Callable[[FdStream], Awaitable[None]]
#: file descriptors of the process, if it may have so many: a blob takes two
_FDS = 1 << 16
#: seconds in which a peer must go on with a message that has begun, and read what it was sent
PATIENCE = 30.0


class ProtocolError(Exception):
    """The peer does not keep to the protocol: the connection is of no use any more."""


@contextmanager
def patience(what: str) -> Iterator[None]:
    """Waits inside end with a ProtocolError, which says `what` the peer does not do."""
    with trio.move_on_after(PATIENCE) as scope:
        yield
    if scope.cancelled_caught:
        raise ProtocolError(f"{what} for {PATIENCE:.0f} seconds")


async def serve(path: str, session: Session, say: Say, ready: Callable[[], None]) -> int:
    """Serve guests at this socket until SIGINT or SIGTERM comes; the signal's number.

    session: serves one guest; it raises StreamError, ProtocolError or PeerGoneError where that ends. ready: called when
    guests can connect. Raises ListenError.
    """
    _raise_limit()
    with listening(path) as listener, trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve_guests, listener, session, say)
            ready()
            number = await anext(aiter(signals))
            nursery.cancel_scope.cancel()
    return number


async def _serve_guests(listener: trio.socket.SocketType, session: Session, say: Say) -> None:
    count = 0
    while True:
        connection, _ = await listener.accept()
        count += 1
        say(f"guest {count} is connected")
        with connection:
            say(f"guest {count}: {await _serve_guest(FdStream(connection), session)}")


async def _serve_guest(stream: FdStream, session: Session) -> str:
    """How it ended."""
    try:
        await session(stream)
    except PeerGoneError:
        pass
    except (StreamError, ProtocolError) as error:
        return f"{error}; the connection is closed"
    return "it has closed the connection"


def _raise_limit() -> None:
    """As many descriptors as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FDS if hard == resource.RLIM_INFINITY else min(hard, _FDS)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
