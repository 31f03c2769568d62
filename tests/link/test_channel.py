"""Ports of a link: bytes arrive in order, taps see them first, and a party that is gone is noticed."""

import pytest
import trio

from vgpu_emu.ids import Fd
from vgpu_emu.link.channel import Tap, open_link
from vgpu_emu.memory import Memory, PassedFd


async def test_both_ends_receive_what_the_other_sent_in_order() -> None:
    front, back = open_link(int, str)
    for number in range(3):
        front.send(number)
    back.send("answer")
    assert [await back.receive() for _ in range(3)] == [0, 1, 2]
    assert await front.receive() == "answer"


async def test_descriptors_travel_beside_the_bytes() -> None:
    front, back = open_link(tuple, tuple)
    passed = PassedFd(Fd(3), Memory(4096, None))
    front.send((b"bytes", (passed,)))
    assert await back.receive() == (b"bytes", (passed,))


async def test_tap_records_before_the_other_party_can_see() -> None:
    seen: list[int] = []
    front, back = open_link(int, int)
    tap = Tap(front, seen.append)
    tap.send(1)
    assert seen == [1]
    assert await back.receive() == 1
    back.send(2)
    assert await tap.receive() == 2
    assert seen == [1]
    tap.close()
    with pytest.raises(trio.EndOfChannel):
        await back.receive()


async def test_party_that_is_gone_is_noticed() -> None:
    front, back = open_link(int, int)
    back.send(1)
    back.close()
    assert await front.receive() == 1
    with pytest.raises(trio.EndOfChannel):
        await front.receive()
    with pytest.raises(trio.BrokenResourceError):
        front.send(1)


async def test_what_was_not_received_can_be_taken() -> None:
    front, back = open_link(int, int)
    for number in range(3):
        front.send(number)
    assert await back.receive() == 0
    assert (back.undelivered(), back.undelivered(), front.undelivered()) == ([1, 2], [], [])
    front.send(3)
    front.close()
    assert back.undelivered() == [3]
