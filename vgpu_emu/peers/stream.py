"""Messages with descriptors over a unix stream socket, as vfio-user and vhost-user send them.

A stream has no messages, but the kernel keeps descriptors at the byte that they were sent with. Whoever reads more than
a message gets the next one's descriptors, too, and cannot tell; so what is read here is exactly what is asked for, and
descriptors are taken only with the first byte of a message. What the peer does wrong is a StreamError.
"""

import os
import socket
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

import trio

#: descriptors of one message: what both protocols allow
MAX_FDS = 8
#: SCM_MAX_FD: what the kernel passes with one sendmsg; room for all, so that the surplus can be closed
_KERNEL_FDS = 253
_INT = array("i").itemsize
_ROOM = socket.CMSG_SPACE(_KERNEL_FDS * _INT)


class StreamFault(Enum):
    """What the peer did to the stream."""

    CUT = "the peer closed the connection in the middle of a message"
    BROKEN = "the connection is broken"
    STRAY_FDS = "descriptors came in the middle of a message"
    FDS = "more descriptors than a message may have"


class StreamError(Exception):
    """The connection is of no use any more."""

    def __init__(self, fault: StreamFault, detail: str) -> None:
        super().__init__(f"{fault.value}: {detail}")
        self.fault = fault
        self.detail = detail


class PeerGoneError(Exception):
    """The peer has closed the connection, between two messages: that is how a session ends."""


class Fds:
    """Descriptors that came with a message, in order. At the end of its with block those not taken are closed."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._left = deque(numbers)

    def __len__(self) -> int:
        return len(self._left)

    def __repr__(self) -> str:
        return f"<Fds {list(self._left)}>"

    def take(self) -> int:
        """The next one, which the caller closes. Raises IndexError if there is none."""
        return self._left.popleft()

    def close(self) -> None:
        while self._left:
            with suppress(OSError):
                os.close(self._left.popleft())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class FdStream:
    """One end of a connected unix stream socket, which it owns. max_fds: of one message.

    One task receives; any number send, a message at a time. After an error there is only `close`.
    """

    def __init__(self, sock: trio.socket.SocketType, *, max_fds: int = MAX_FDS) -> None:
        self._socket = sock
        self._max_fds = max_fds
        self._sending = trio.StrictFIFOLock()

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    async def receive_start(self, size: int) -> tuple[bytes, Fds]:
        """The first `size` bytes of a message, at least 1, and the descriptors that came with the first.

        Raises PeerGoneError; StreamError: CUT, BROKEN, STRAY_FDS, FDS.
        """
        data, fds = await self._receive(size)
        if not data:
            raise PeerGoneError("the peer closed the connection")
        try:
            return data + await self.receive_rest(size - len(data)), fds
        except BaseException:
            fds.close()
            raise

    async def receive_rest(self, size: int) -> bytes:
        """The next `size` bytes of a message that has started. Raises StreamError: CUT, BROKEN, STRAY_FDS, FDS."""
        parts, left = [], size
        while left:
            data, fds = await self._receive(left)
            with fds:
                if fds:
                    raise StreamError(StreamFault.STRAY_FDS, f"{len(fds)}, where {left} bytes are still due")
            if not data:
                raise StreamError(StreamFault.CUT, f"{left} bytes of {size} are missing")
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    async def _receive(self, size: int) -> tuple[bytes, Fds]:
        """Up to `size` bytes, none at the end of the stream, and what came with them."""
        try:
            data, ancillary, flags, _ = await self._socket.recvmsg(size, _ROOM, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise StreamError(StreamFault.BROKEN, str(error.strerror)) from None
        fds = Fds(_numbers(ancillary))
        if len(fds) > self._max_fds or flags & socket.MSG_CTRUNC:
            count = f"{len(fds)}{' and more that this process cannot take' if flags & socket.MSG_CTRUNC else ''}"
            fds.close()
            raise StreamError(StreamFault.FDS, f"{count}, limit {self._max_fds}")
        return data, fds

    async def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """A whole message, its descriptors with the first byte; they stay the caller's.

        Raises StreamError: BROKEN. If it is cancelled after a part was sent, the connection is of no use any more.
        """
        async with self._sending:
            sent = await self._send(data, fds)
            while sent < len(data):
                sent += await self._send(memoryview(data)[sent:], ())

    async def _send(self, data: bytes | memoryview, fds: Sequence[int]) -> int:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))] if fds else []
        try:
            return await self._socket.sendmsg([data], ancillary)
        except OSError as error:
            raise StreamError(StreamFault.BROKEN, str(error.strerror)) from None


def _numbers(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors in what recvmsg gave; all that can come on a unix socket without SO_PASSCRED."""
    numbers = array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(data[: len(data) - len(data) % _INT])
    return list(numbers)
