"""Byte streams, packets and descriptors of a process that is not trusted: vhost-user, vfio-user, our own processes.

The first byte says which; then come messages. A session ends as it should, in time (I27, I28), what it said was whole
(I7), and nothing of it stays open (I11).
"""

import gc
import os
import socket
from collections.abc import Awaitable, Callable

import trio

from vgpu_emu.assembly import Config
from vgpu_emu.fuzz.encoding import Reader
from vgpu_emu.fuzz.engines.messages import MESSAGES, Sent, answered
from vgpu_emu.fuzz.engines.target import Target
from vgpu_emu.fuzz.engines.wanted import planted, wanted
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.link.seqpacket import Seqpacket
from vgpu_emu.peers.outlets import Outlets
from vgpu_emu.peers.serving import ProtocolError
from vgpu_emu.peers.stream import FdStream, PeerGoneError, StreamError
from vgpu_emu.peers.vfio_user import session as vfio_user
from vgpu_emu.peers.vhost_user import session as vhost_user
from vgpu_wire.errors import WireError

DEFECTS = wanted("stream")
#: virtual seconds in which a session is over whose peer is gone: more than anybody in it is patient
_SECONDS = 120.0
#: messages of a session
_MESSAGES = 256
#: the limit on a message of ours: enough for packets that say less, as much, and more
_MAX_MESSAGE = 1 << 17
_CONFIG = Config(guest_memory=0, opaque_renderer=True, host_visible=1 << 20)
Serve = Callable[[FdStream, Config, Outlets], Awaitable[None]]


def run_sockets(data: bytes) -> None:
    """Raises Finding, and whatever a session should not have raised."""
    reader = Reader(data)
    kind = reader.byte() % len(MESSAGES)
    before = _open()
    messages = _messages(reader, kind)
    try:
        _RUN[kind](messages)
    finally:
        for message in messages:
            message.close()
    left = _open() - before
    if left:
        # an exception that was caught may still hold a frame in a cycle
        gc.collect()
        left = _open() - before
    if left:
        raise Finding("I11", f"{len(left)} descriptors stay open")


def _messages(reader: Reader, kind: int) -> list[Sent]:
    sent: list[Sent] = []
    while reader and len(sent) < _MESSAGES:
        sent.append(MESSAGES[kind](reader))
    return sent


def _open() -> set[int]:
    """The descriptors of this process."""
    return {int(name) for name in os.listdir("/proc/self/fd") if _is_open(int(name))}


def _is_open(fileno: int) -> bool:
    """That of the listing itself is not."""
    try:
        os.fstat(fileno)
    except OSError:
        return False
    return True


# -- streams


def _vhost(messages: list[Sent]) -> None:
    answered(_stream(vhost_user.serve_guest, messages), 0)


def _vfio(messages: list[Sent]) -> None:
    answered(_stream(vfio_user.serve_guest, messages), 1)


def _stream(serve: Serve, messages: list[Sent]) -> bytes:
    """A session whose peer says all this and hangs up; what it was answered."""
    from trio.testing import MockClock

    ours, far = socket.socketpair()
    with far:
        far.setblocking(False)
        _say(far, messages)
        far.shutdown(socket.SHUT_WR)
        trio.run(_serve, serve, ours, clock=MockClock(autojump_threshold=0))
        return _heard(far)


def _say(far: socket.socket, messages: list[Sent]) -> None:
    """As much of it as goes into the socket's buffer."""
    for message in messages:
        try:
            socket.send_fds(far, [message.data], message.fds)
        except OSError:
            return


def _heard(far: socket.socket) -> bytes:
    """The descriptors that came along are closed."""
    data = b""
    while True:
        try:
            part, fds, _, _ = socket.recv_fds(far, 1 << 20, 16)
        except OSError:
            return data
        for fileno in fds:
            os.close(fileno)
        if not part:
            return data
        data += part


async def _serve(serve: Serve, ours: socket.socket) -> None:
    stream = planted(DEFECTS, "stream", FdStream(trio.socket.from_stdlib_socket(ours)))
    with Outlets(lambda _line: None) as outlets, trio.move_on_after(_SECONDS) as scope:
        try:
            await serve(stream, _CONFIG, outlets)
        except (PeerGoneError, StreamError, ProtocolError):
            pass
        finally:
            stream.close()
    if scope.cancelled_caught:
        raise Finding("I27", f"a session goes on for {_SECONDS:.0f} seconds after its peer is gone")


# -- packets


def _packets(messages: list[Sent]) -> None:
    ours, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with far:
        far.setblocking(False)
        _say(far, messages)
    end = planted(DEFECTS, "stream", Seqpacket(ours, timeout=1.0, max_message=_MAX_MESSAGE))
    try:
        while True:
            message = end.receive()
            for fileno in message.fds:
                os.close(fileno)
            if len(message.data) > _MAX_MESSAGE:
                raise Finding("I17", f"a message of {len(message.data)} bytes, limit {_MAX_MESSAGE}")
    except (EOFError, WireError, ConnectionResetError):
        pass
    finally:
        end.close()


_RUN = (_vhost, _vfio, _packets)
SOCKETS = Target("sockets", run_sockets)
