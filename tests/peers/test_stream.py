"""A stream that carries descriptors: exact reads, descriptors with the first byte only, and nothing left open."""

import fcntl
import os
import resource
import socket
from array import array
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import trio
import trio.testing

from vgpu_emu.peers.stream import MAX_FDS, Fds, FdStream, PeerGoneError, StreamError, StreamFault

pytestmark = pytest.mark.usefixtures("nothing_left")


class Ends(NamedTuple):
    """The stream, and the peer's end of it, which does as a test says."""

    ours: FdStream
    far: socket.socket
    #: a file to send
    file: int

    def send(self, data: bytes, fds: int = 0) -> None:
        """The peer sends bytes with so many descriptors."""
        socket.send_fds(self.far, [data], [self.file] * fds)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ours, far = socket.socketpair()
    file = os.memfd_create("sent")
    with far:
        far.setblocking(False)
        stream = FdStream(trio.socket.from_stdlib_socket(ours))
        yield Ends(stream, far, file)
        stream.close()
    os.close(file)


async def _receive_message(stream: FdStream) -> bytes:
    """A message of eight bytes, the first four of which are its start."""
    data, fds = await stream.receive_start(4)
    with fds:
        return data + await stream.receive_rest(4)


async def test_descriptors_belong_to_the_message_they_were_sent_with(ends: Ends) -> None:
    ends.send(b"first")
    ends.send(b"second", fds=2)
    ends.send(b"third")
    counts = []
    for size in (5, 6, 5):
        data, fds = await ends.ours.receive_start(2)
        with fds:
            counts.append((data + await ends.ours.receive_rest(size - 2), len(fds)))
    assert counts == [(b"first", 0), (b"second", 2), (b"third", 0)]


async def test_descriptor_is_the_same_file_and_is_not_inherited(ends: Ends) -> None:
    ends.send(b"x", fds=1)
    _, fds = await ends.ours.receive_start(1)
    number = fds.take()
    try:
        assert os.fstat(number).st_ino == os.fstat(ends.file).st_ino
        assert fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    finally:
        os.close(number)


async def test_start_that_comes_in_pieces_is_put_together(ends: Ends) -> None:
    async with trio.open_nursery() as nursery:

        async def dribble() -> None:
            for byte in b"abcd":
                ends.send(bytes([byte]), fds=byte == ord("a"))
                await trio.testing.wait_all_tasks_blocked()

        nursery.start_soon(dribble)
        data, fds = await ends.ours.receive_start(4)
    with fds:
        assert (data, len(fds)) == (b"abcd", 1)


async def test_descriptors_in_the_middle_of_a_message_are_refused(ends: Ends) -> None:
    ends.send(b"ab")
    ends.send(b"cd", fds=1)
    assert (await ends.ours.receive_start(2))[0] == b"ab"
    with pytest.raises(StreamError) as refused:
        await ends.ours.receive_rest(2)
    assert refused.value.fault is StreamFault.STRAY_FDS


async def test_descriptors_in_the_middle_of_the_start_close_those_before(ends: Ends) -> None:
    ends.send(b"a", fds=1)
    ends.send(b"b", fds=1)
    with pytest.raises(StreamError) as refused:
        await ends.ours.receive_start(2)
    assert refused.value.fault is StreamFault.STRAY_FDS


@pytest.mark.parametrize("count", [MAX_FDS - 1, MAX_FDS])
async def test_as_many_descriptors_as_a_message_may_have_are_taken(ends: Ends, count: int) -> None:
    ends.send(b"x", fds=count)
    _, fds = await ends.ours.receive_start(1)
    with fds:
        assert len(fds) == count


@pytest.mark.parametrize("count", [MAX_FDS + 1, 253])
async def test_more_descriptors_than_that_are_closed(ends: Ends, count: int) -> None:
    ends.send(b"x", fds=count)
    with pytest.raises(StreamError) as refused:
        await ends.ours.receive_start(1)
    assert refused.value.fault is StreamFault.FDS
    assert str(count) in str(refused.value)


async def test_descriptors_that_this_process_has_no_room_for_are_an_error(ends: Ends) -> None:
    ends.send(b"x", fds=4)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(ends.file)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 2, limits[1]))
    try:
        with pytest.raises(StreamError, match="cannot take") as refused:
            await ends.ours.receive_start(1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert refused.value.fault is StreamFault.FDS


async def test_end_between_messages_is_no_error(ends: Ends) -> None:
    ends.far.close()
    with pytest.raises(PeerGoneError):
        await ends.ours.receive_start(4)


@pytest.mark.parametrize("sent", [b"a", b"abcd", b"abcdefg"])
async def test_end_within_a_message_says_what_is_missing(ends: Ends, sent: bytes) -> None:
    ends.send(sent, fds=1)
    ends.far.close()
    with pytest.raises(StreamError, match="are missing") as refused:
        await _receive_message(ends.ours)
    assert refused.value.fault is StreamFault.CUT


async def test_peer_that_dies_with_messages_unread_breaks_the_connection(ends: Ends) -> None:
    await ends.ours.send(b"never read")
    ends.far.close()
    with pytest.raises(StreamError) as refused:
        await ends.ours.receive_start(4)
    assert refused.value.fault is StreamFault.BROKEN


async def test_sending_to_a_peer_that_is_gone_is_an_error(ends: Ends) -> None:
    ends.far.close()
    with pytest.raises(StreamError) as refused:
        await ends.ours.send(b"hello")
    assert refused.value.fault is StreamFault.BROKEN


async def test_large_message_is_sent_in_parts_with_its_descriptors_once(ends: Ends) -> None:
    message = os.urandom(1 << 20)
    got, numbers = b"", array("i")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends.ours.send, message, [ends.file])
        while len(got) < len(message):
            await trio.lowlevel.wait_readable(ends.far)
            data, fds, _, _ = socket.recv_fds(ends.far, 65536, MAX_FDS)
            got += data
            numbers.extend(fds)
    for number in numbers:
        os.close(number)
    assert (got == message, len(numbers)) == (True, 1)


async def test_messages_of_two_tasks_do_not_mix(ends: Ends) -> None:
    size, got = 1 << 20, b""
    async with trio.open_nursery() as nursery:
        for letter in (b"a", b"b"):
            nursery.start_soon(ends.ours.send, letter * size)
        while len(got) < 2 * size:
            await trio.lowlevel.wait_readable(ends.far)
            got += ends.far.recv(65536)
    assert got in {b"a" * size + b"b" * size, b"b" * size + b"a" * size}


async def test_cancelled_start_closes_what_had_come(ends: Ends) -> None:
    ends.send(b"ab", fds=3)
    with trio.move_on_after(1) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.ours.receive_start, 4)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught


def test_taken_descriptor_is_not_closed_with_the_rest() -> None:
    first, second = os.pipe()
    with Fds([first, second]) as fds:
        assert fds.take() == first
    os.close(first)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.close(second)
    with pytest.raises(IndexError):
        fds.take()
