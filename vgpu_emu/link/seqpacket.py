"""Messages and file descriptors between processes: a Unix SEQPACKET socket, blocking, with a limit on everything.

Whoever is at the other end is not trusted: what it declares is checked before anything is kept, and every descriptor
that it passes and nobody takes is closed.
"""

import array
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import NamedTuple, NoReturn

from vgpu_wire.errors import WireError
from vgpu_wire.process_link import PACKET_SIZE, Packet

#: bytes of a message, and descriptors beside it; more is a WireError here, whoever sends it
MAX_MESSAGE = 16 << 20
MAX_DESCRIPTORS = 8
_HEADER = Packet.layout.size
_PIECE = PACKET_SIZE - _HEADER
_INT = array.array("i").itemsize
#: for all that may come and for one more, so that the kernel does not drop a surplus descriptor unseen
_ROOM = socket.CMSG_SPACE((MAX_DESCRIPTORS + 1) * _INT)


class Incoming(NamedTuple):
    """A message. fds: new descriptors of this process, its own to close.

    lost: how many more were sent, for which this process had no room (EMFILE): the kernel closes those.
    """

    data: bytes
    fds: Sequence[int]
    lost: int


class Seqpacket:
    """One end. timeout: seconds until a packet must be there, or taken; a message may take twice that. None: for ever.

    Raises TimeoutError after that; EOFError when the other end is closed and BrokenPipeError or ConnectionResetError
    when it is gone with messages unread; WireError for packets that are no message. After any of them the end is of no
    use any more.
    """

    def __init__(self, end: socket.socket, timeout: float | None = None, *, max_message: int = MAX_MESSAGE) -> None:
        self._socket = end
        #: with room for one byte too many, as the kernel cuts what does not fit
        self._view = memoryview(bytearray(PACKET_SIZE + 1))
        self._into = [self._view]
        self.max_message = max_message
        end.setblocking(True)
        self.set_timeout(timeout)
        # Linux calls a socket writable while a quarter of this is in use; it may give less
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * PACKET_SIZE)

    def set_timeout(self, timeout: float | None) -> None:
        """The kernel keeps the time: one system call less for every packet."""
        self.timeout = timeout
        seconds = timeout or 0.0
        value = struct.pack("ll", int(seconds), max(int(seconds % 1 * 1e6), timeout is not None))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, value)

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """The descriptors stay open here. Raises WireError for a message that the other end would refuse."""
        if len(data) > self.max_message:
            raise WireError("value", "vgpu_emu_packet.size", 0, f"{len(data)} bytes; {self.max_message} at most")
        if len(fds) > MAX_DESCRIPTORS:
            raise WireError("value", "vgpu_emu_packet.descriptors", 8, f"{len(fds)}; {MAX_DESCRIPTORS} at most")
        rights = self.rights(fds)
        for offset in range(0, max(len(data), 1), _PIECE):
            header = Packet(size=len(data), offset=offset, descriptors=len(fds)).build()
            try:
                if rights:
                    self._socket.sendmsg([header, data[offset : offset + _PIECE]], rights)
                else:
                    self._socket.send(header + data[offset : offset + _PIECE])
            except BlockingIOError:
                raise self._late() from None
            rights = []

    @staticmethod
    def rights(fds: Sequence[int]) -> "list[tuple[int, int, array.array[int]]]":
        """What sendmsg takes to pass descriptors."""
        return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []

    def receive(self) -> Incoming:
        end = None if self.timeout is None else monotonic() + self.timeout
        size, fds = self._packet()
        try:
            header = self._checked(size, 0, None)
            if len(fds) > header.descriptors or header.descriptors > MAX_DESCRIPTORS:
                _refuse("descriptors", 8, f"{len(fds)} came, {header.descriptors} were announced")
            data = bytes(self._view[_HEADER:size])
            if len(data) < header.size:
                data = self._rest(header, data, end)
        except BaseException:
            close_all(fds)
            raise
        return Incoming(data, fds, header.descriptors - len(fds))

    def _rest(self, first: Packet, data: bytes, end: float | None) -> bytes:
        """The whole message, of which `data` is the first piece."""
        pieces, length = [data], len(data)
        while length < first.size:
            if end is not None and monotonic() > end:
                raise self._late()
            size, fds = self._packet()
            close_all(fds)
            self._checked(size, length, first)
            if fds:
                _refuse("descriptors", 8, "not with the first packet")
            pieces.append(bytes(self._view[_HEADER:size]))
            length += size - _HEADER
        return b"".join(pieces)

    def _packet(self) -> tuple[int, Sequence[int]]:
        """A packet into the buffer: its bytes, and the descriptors that came with it."""
        try:
            size, ancillary, _flags, _from = self._socket.recvmsg_into(self._into, _ROOM, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            raise self._late() from None
        fds = [fd for each in ancillary for fd in _passed(*each)] if ancillary else ()
        if not size:
            close_all(fds)
            raise EOFError("the other end is closed")
        if size > PACKET_SIZE:
            close_all(fds)
            _refuse("size", 0, f"a packet of more than {PACKET_SIZE} bytes")
        return size, fds

    def _checked(self, size: int, length: int, first: Packet | None) -> Packet:
        """The header of the packet in the buffer, which goes on where `length` bytes of a message have come."""
        header = Packet.parse(self._view[: min(size, _HEADER)])
        piece = size - _HEADER
        if header.size > self.max_message:
            _refuse("size", 0, f"{header.size} bytes; {self.max_message} at most")
        if header.offset != length or (first is not None and header.size != first.size):
            _refuse("offset", 4, f"a piece at {header.offset} of {header.size} bytes, not at {length}")
        if length + piece > header.size or (not piece and header.size):
            _refuse("offset", 4, f"a piece of {piece} bytes at {header.offset} of {header.size}")
        return header

    def _late(self) -> TimeoutError:
        return TimeoutError(f"nothing for {self.timeout} s")


def _refuse(member: str, offset: int, detail: str) -> NoReturn:
    raise WireError("value", f"vgpu_emu_packet.{member}", offset, detail)


def _passed(level: int, kind: int, data: bytes) -> list[int]:
    if (level, kind) != (socket.SOL_SOCKET, socket.SCM_RIGHTS):
        return []
    fds = array.array("i")
    fds.frombytes(data[: len(data) // _INT * _INT])
    return fds.tolist()


def close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        with suppress(OSError):
            os.close(fd)


def check_peer(end: socket.socket, uid: int) -> int:
    """The pid of the process that made the other end. Raises PermissionError if that ran as another user than `uid`."""
    pid, peer, _gid = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if peer != uid:
        raise PermissionError(f"process {pid} at the other end runs as user {peer}, not {uid}")
    return int(pid)
