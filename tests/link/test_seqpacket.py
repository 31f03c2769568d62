"""Messages and descriptors over SEQPACKET: what is sent arrives; whatever else comes is refused, and leaves nothing."""

import array
import os
import resource
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import NamedTuple

import pytest

from vgpu_emu.link.seqpacket import MAX_DESCRIPTORS, Incoming, Seqpacket, check_peer, close_all
from vgpu_emu.memory import Memory
from vgpu_wire.errors import WireError
from vgpu_wire.process_link import PACKET_SIZE, Packet

pytestmark = pytest.mark.usefixtures("nothing_left")
PIECE = PACKET_SIZE - Packet.layout.size


class Ends(NamedTuple):
    """A link, and the bare socket at its other end, for what no well-behaved party sends."""

    link: Seqpacket
    raw: socket.socket


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield Ends(Seqpacket(ours, 0.01, max_message=3 * PACKET_SIZE), theirs)


def header(**values: int) -> bytes:
    return Packet(**values).build()


def rights(fds: list[int]) -> list[tuple[int, int, "array.array[int]"]]:
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]


def through(ends: Ends, data: bytes, fds: list[int] | None = None) -> Incoming:
    """What one end sends and the other receives, as two threads: a socket need not hold all of a message."""
    link = Seqpacket(ends.link._socket, 10.0, max_message=ends.link.max_message)
    other = Seqpacket(ends.raw, 10.0, max_message=ends.link.max_message)
    with ThreadPoolExecutor(1) as second:
        second.submit(link.send, data, fds or [])
        return other.receive()


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PACKET_SIZE - 1, 3 * PACKET_SIZE])
def test_message_of_any_size_arrives_whole(ends: Ends, size: int) -> None:
    data = Random(size).randbytes(size)
    assert through(ends, data) == (data, (), 0)


def test_message_above_the_limit_is_not_sent(ends: Ends) -> None:
    with pytest.raises(WireError, match="196609 bytes; 196608 at most"):
        ends.link.send(bytes(3 * PACKET_SIZE + 1))


@pytest.mark.parametrize("number", [1, MAX_DESCRIPTORS - 1, MAX_DESCRIPTORS])
@pytest.mark.parametrize("size", [3, PIECE + 1])
def test_descriptors_arrive_with_their_message_and_are_closed_on_exec(ends: Ends, number: int, size: int) -> None:
    memories = [Memory.memfd(4096, str(index)) for index in range(number)]
    for index, memory in enumerate(memories):
        memory.write(0, bytes([index]))
    incoming = through(ends, bytes(size), [memory.fileno or -1 for memory in memories])
    assert len(incoming.fds) == number
    assert not any(os.get_inheritable(fd) for fd in incoming.fds)
    received = [Memory.received(fd) for fd in incoming.fds]
    assert [memory.read(0, 1) for memory in received] == [bytes([index]) for index in range(number)]
    assert [memory.identity for memory in received] == [memory.identity for memory in memories]
    for memory in [*memories, *received]:
        memory.release()


def test_descriptors_above_the_limit_are_not_sent(ends: Ends) -> None:
    with pytest.raises(WireError, match="9; 8 at most"):
        ends.link.send(b"", [0] * (MAX_DESCRIPTORS + 1))


def test_messages_do_not_mix(ends: Ends) -> None:
    other = Seqpacket(ends.raw, 0.01)
    messages = [b"one", b"", bytes(1000), b"three"]
    for data in messages:
        ends.link.send(data)
    assert [other.receive().data for _ in messages] == messages


@pytest.mark.parametrize(
    ("packets", "match"),
    [
        ([b"short"], "truncated"),
        ([header(size=3 * PACKET_SIZE + 1)], "196609 bytes; 196608 at most"),
        ([header(size=0xFFFFFFFF) + b"x"], "4294967295 bytes"),
        ([header(size=2) + b"xyz"], "a piece of 3 bytes at 0 of 2"),
        ([header(size=2)], "a piece of 0 bytes at 0 of 2"),
        ([header(size=2, offset=1) + b"x"], "a piece at 1 of 2 bytes, not at 0"),
        ([header(size=4) + b"ab", header(size=4, offset=1) + b"cd"], "a piece at 1 of 4 bytes, not at 2"),
        ([header(size=4) + b"ab", header(size=5, offset=2) + b"cd"], "a piece at 2 of 5 bytes, not at 2"),
        ([header(size=4) + b"ab", header(size=4, offset=2) + b"cde"], "a piece of 3 bytes at 2 of 4"),
        ([header(size=4) + b"ab", header(size=4, offset=2)], "a piece of 0 bytes at 2 of 4"),
        ([header(size=4) + b"ab", b"garbage"], "truncated"),
        ([header(size=1, descriptors=MAX_DESCRIPTORS + 1) + b"x"], "0 came, 9 were announced"),
        ([bytes(PACKET_SIZE + 1)], "a packet of more than 65536 bytes"),
        ([header(size=PACKET_SIZE * 2) + bytes(PACKET_SIZE * 2)], "a packet of more than 65536 bytes"),
    ],
)
def test_packets_that_are_no_message_are_refused(ends: Ends, packets: list[bytes], match: str) -> None:
    for packet in packets:
        ends.raw.send(packet)
    with pytest.raises(WireError, match=match):
        ends.link.receive()


@pytest.mark.parametrize(
    ("packet", "number"),
    [
        (header(size=1) + b"x", 1),
        (header(size=1, descriptors=1) + b"x", 2),
        (header(size=1, descriptors=MAX_DESCRIPTORS) + b"x", MAX_DESCRIPTORS + 1),
        (header(size=1, descriptors=64) + b"x", 64),
        (b"garbage", 3),
        (bytes(PACKET_SIZE + 1), 2),
    ],
)
def test_surplus_descriptors_are_closed(ends: Ends, packet: bytes, number: int) -> None:
    ends.raw.sendmsg([packet], rights([ends.raw.fileno()] * number))
    with pytest.raises(WireError):
        ends.link.receive()


def test_descriptors_with_a_later_packet_are_closed(ends: Ends) -> None:
    ends.raw.send(header(size=4, descriptors=1) + b"ab")
    ends.raw.sendmsg([header(size=4, offset=2) + b"cd"], rights([ends.raw.fileno()]))
    with pytest.raises(WireError, match="not with the first packet"):
        ends.link.receive()


def test_descriptors_that_there_is_no_room_for_are_counted(ends: Ends) -> None:
    """EMFILE: the message is whole, and so is the process. Linux passes what still fits."""
    other = Seqpacket(ends.raw, 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ends.link.send(b"many", [ends.raw.fileno()] * 4)
    room = os.dup(0)
    os.close(room)
    resource.setrlimit(resource.RLIMIT_NOFILE, (room + 2, hard))
    try:
        incoming = other.receive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    close_all(incoming.fds)
    assert (incoming.data, len(incoming.fds), incoming.lost) == (b"many", 2, 2)


def test_silent_end_is_a_timeout(ends: Ends) -> None:
    with pytest.raises(TimeoutError):
        ends.link.receive()


def test_end_that_stops_in_the_middle_is_a_timeout(ends: Ends) -> None:
    ends.raw.sendmsg([header(size=4, descriptors=1) + b"ab"], rights([ends.raw.fileno()]))
    with pytest.raises(TimeoutError):
        ends.link.receive()


def test_end_that_reads_nothing_is_a_timeout(ends: Ends) -> None:
    def fill() -> None:
        while True:
            ends.link.send(bytes(PIECE))

    with pytest.raises(TimeoutError):
        fill()


def test_closed_end_is_the_end(ends: Ends) -> None:
    ends.raw.close()
    with pytest.raises(EOFError, match="closed"):
        ends.link.receive()
    with pytest.raises(BrokenPipeError):
        ends.link.send(b"x")


def test_end_that_closes_in_the_middle_is_the_end(ends: Ends) -> None:
    ends.raw.sendmsg([header(size=4, descriptors=1) + b"ab"], rights([ends.link._socket.fileno()]))
    ends.raw.close()
    with pytest.raises(EOFError):
        ends.link.receive()


def test_random_packets_never_hurt(ends: Ends) -> None:
    random, refused, received = Random(1), 0, 0
    ends.link.set_timeout(0.001)
    for _ in range(2000):
        size = random.choice([0, 1, 3, 8, 40])
        values = {name: random.choice([0, 1, size, size + 1, 40]) for name in ("size", "offset", "descriptors")}
        packet = random.choice([header(**values), random.randbytes(random.randrange(1, 17))]) + bytes(size)
        fds = rights([ends.raw.fileno()] * random.randrange(4))
        ends.raw.sendmsg([packet], fds if fds[0][2] else [])
        try:
            close_all(ends.link.receive().fds)
            received += 1
        except (WireError, TimeoutError):
            refused += 1
    assert refused > 500
    assert received > 5


def test_peer_of_another_user_is_refused(ends: Ends) -> None:
    assert check_peer(ends.raw, os.geteuid()) == os.getpid()
    with pytest.raises(PermissionError, match=f"runs as user {os.geteuid()}, not {os.geteuid() + 1}"):
        check_peer(ends.raw, os.geteuid() + 1)
