"""Messages of a hostile process out of few bytes, with the descriptors that go with them, and what it is answered."""

import os
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from vgpu_emu.fuzz.encoding import Reader
from vgpu_emu.fuzz.model.case import Finding
from vgpu_wire import process_link, vfio_user, vhost_user
from vgpu_wire.errors import WireError

#: bytes of a file that is passed
_FILE = 1 << 16
#: more descriptors than any of these takes
_MOST_FDS = 10
#: bytes of an answer after which it may be cut: its reader does not read before the session is over
_CUT = 100_000


class Sent(NamedTuple):
    """fds: the sender's, to close."""

    data: bytes
    fds: Sequence[int] = ()

    def close(self) -> None:
        for fileno in self.fds:
            os.close(fileno)


# -- descriptors


def _file() -> int:
    fileno = os.memfd_create("fuzz", os.MFD_CLOEXEC)
    os.truncate(fileno, _FILE)
    return fileno


def _event() -> int:
    return os.eventfd(1, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def _socket() -> int:
    """Nobody is at its other end."""
    near, far = socket.socketpair()
    far.close()
    return near.detach()


def _null() -> int:
    return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)


_KINDS: Sequence[Callable[[], int]] = (_file, _event, _socket, _null)


def _fds(reader: Reader) -> list[int]:
    """A byte: how many, and of which kind."""
    byte = reader.byte()
    return [_KINDS[byte >> 4 & 3]() for _ in range(min(byte & 0xF, _MOST_FDS))]


# -- messages


def _vhost(reader: Reader) -> Sent:
    """A request, its flags, its payload; from 128 on bytes that are no message."""
    request = reader.byte()
    if request >= 128:
        return Sent(reader.block(), _fds(reader))
    flags, payload = reader.byte(), reader.block()
    header = vhost_user.Header(request=request, flags=flags ^ vhost_user.VERSION, size=len(payload))
    return Sent(header.build() + payload, _fds(reader))


def _vfio(reader: Reader) -> Sent:
    command = reader.byte()
    if command >= 128:
        return Sent(reader.block(), _fds(reader))
    flags, payload = reader.byte(), reader.block()
    size = vfio_user.Header.layout.size + len(payload)
    return Sent(vfio_user.Header(id=1, command=command, size=size, flags=flags).build() + payload, _fds(reader))


def _packet(reader: Reader) -> Sent:
    """Up to 255 times the same bytes, so that packets are as long as they can be."""
    size, offset, announced = (reader.number() % (1 << 32) for _ in range(3))
    piece = (reader.block() * reader.byte())[: process_link.PACKET_SIZE]
    fds = _fds(reader)
    announced = len(fds) if announced > 64 else announced
    return Sent(process_link.Packet(size=size, offset=offset, descriptors=announced).build() + piece, fds)


#: which protocol -> its messages
MESSAGES: Sequence[Callable[[Reader], Sent]] = (_vhost, _vfio, _packet)


# -- answers


def _vhost_size(data: bytes) -> int:
    header = vhost_user.Header.parse(data[: vhost_user.Header.layout.size])
    if header.flags & vhost_user.VERSION_MASK != vhost_user.VERSION or not header.flags & vhost_user.HeaderFlag.REPLY:
        raise Finding("I7", f"a vhost-user answer with flags {header.flags:#x}")
    return vhost_user.Header.layout.size + header.size


def _vfio_size(data: bytes) -> int:
    header = vfio_user.Header.parse(data[: vfio_user.Header.layout.size])
    wrong = header.flags & vfio_user.TYPE_MASK != vfio_user.HeaderFlag.REPLY
    if wrong or bool(header.error_no) != bool(header.flags & vfio_user.HeaderFlag.ERROR):
        raise Finding("I7", f"a vfio-user answer with flags {header.flags:#x} and errno {header.error_no}")
    return header.size


_SIZE: Sequence[Callable[[bytes], int]] = (_vhost_size, _vfio_size)


def answered(data: bytes, kind: int) -> None:
    """What a process was sent is whole replies. Raises Finding."""
    whole = len(data) < _CUT
    while data:
        try:
            size = _SIZE[kind](data)
        except WireError as error:
            raise Finding("I17", f"an answer that is no message: {error}") from None
        if size > len(data) and whole:
            raise Finding("I17", f"an answer of {size} bytes, of which {len(data)} came")
        data = data[size:]
