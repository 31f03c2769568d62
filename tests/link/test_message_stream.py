"""Messages on a stream of bytes: whole, in order and with their own descriptors, however the bytes arrive."""

from collections.abc import Iterable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from vgpu_emu.faults.pieces import Writes, split
from vgpu_emu.ids import Fd
from vgpu_emu.link.channel import Parcel, open_link
from vgpu_emu.link.stream import MAX_FDS, MAX_FRAME, StreamPort
from vgpu_emu.memory import Memory, PassedFd
from vgpu_wire.renderer_link import Frame


def fds(number: int) -> tuple[PassedFd, ...]:
    return tuple(PassedFd(Fd(fd), Memory(4096, None)) for fd in range(number))


def arriving(pieces: Iterable[Parcel], number: int) -> list[Parcel]:
    """The messages that these pieces are."""

    async def main() -> list[Parcel]:
        there, here = open_link(tuple, tuple)
        port = StreamPort(here)
        for piece in pieces:
            there.send(piece)
        return [await port.receive() for _ in range(number)]

    return trio.run(main)


def framed(data: bytes, passed: tuple[PassedFd, ...] = ()) -> Parcel:
    return Frame(size=len(data), descriptors=len(passed)).build() + data, passed


MESSAGES = st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 3)), min_size=1, max_size=5)


@given(MESSAGES, st.integers(1, 60), st.booleans())
def test_messages_are_the_same_in_whatever_pieces_they_arrive(
    messages: list[tuple[bytes, int]], size: int, merged: bool
) -> None:
    sent = [(data, fds(number)) for data, number in messages]
    frames = [framed(*message) for message in sent]
    if merged:
        frames = [(b"".join(data for data, _ in frames), tuple(fd for _, passed in frames for fd in passed))]
    assert arriving([piece for frame in frames for piece in split(frame, size)], len(sent)) == sent


@pytest.mark.parametrize(("size", "descriptors"), [(MAX_FRAME + 1, 0), (0, MAX_FDS + 1), (0xFFFFFFFF, 0)])
def test_frame_beyond_the_limits_breaks_the_link_before_it_is_read(size: int, descriptors: int) -> None:
    with pytest.raises(trio.BrokenResourceError, match="a frame of"):
        arriving([(Frame(size=size, descriptors=descriptors).build(), ())], 1)


@pytest.mark.parametrize("size", [MAX_FRAME - 1, MAX_FRAME])
def test_frame_within_the_limits_is_a_message(size: int) -> None:
    assert arriving([framed(bytes(size), fds(MAX_FDS))], 1)[0][0] == bytes(size)


async def test_read_that_is_cancelled_loses_nothing() -> None:
    there, here = open_link(tuple, tuple)
    port = StreamPort(here)
    data, _ = framed(b"whole in the end")
    there.send((data[:9], ()))
    with trio.move_on_after(0):
        await trio.lowlevel.checkpoint()
        await port.receive()
    there.send((data[9:], ()))
    assert await port.receive() == (b"whole in the end", ())


async def test_writes_that_are_held_back_arrive_in_one_piece(autojump_clock: trio.testing.MockClock) -> None:
    there, here = open_link(tuple, tuple)
    async with trio.open_nursery() as nursery:
        writes = Writes(there, nursery.start_soon)
        writes.seconds = 2.0
        for data in (b"one", b"two", b"three"):
            writes.send((data, ()))
        assert await here.receive() == (b"onetwothree", ())
        assert trio.current_time() == pytest.approx(2, abs=1e-3)
    writes.send((b"four", ()))
    assert await here.receive() == (b"four", ())
