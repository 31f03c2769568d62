"""The next kick, waited for beside the scheduler: only as long as nobody else has something to do."""

import os
from collections.abc import Iterator

import pytest

from vgpu_emu.peers.kicks import _TURNS, KickWatch


@pytest.fixture
def eventfds() -> Iterator[tuple[int, int]]:
    kick, other = os.eventfd(0), os.eventfd(0)
    yield kick, other
    os.close(kick)
    os.close(other)


def test_kick_is_seen_and_silence_is_given_up(eventfds: tuple[int, int]) -> None:
    kick, other = eventfds
    watch = KickWatch(kick, [other, kick, -1])
    assert not watch.kicked()
    os.eventfd_write(kick, 1)
    assert watch.kicked()


def test_others_get_their_turn_when_they_have_something_to_do(eventfds: tuple[int, int]) -> None:
    kick, other = eventfds
    os.eventfd_write(kick, 1)
    os.eventfd_write(other, 1)
    assert not KickWatch(kick, [other]).kicked()
    os.eventfd_read(other)
    assert KickWatch(kick, [other]).kicked()


def test_others_get_their_turn_after_some_kicks(eventfds: tuple[int, int]) -> None:
    kick, other = eventfds
    os.eventfd_write(kick, 1)
    watch = KickWatch(kick, [other])
    assert [watch.kicked() for _ in range(_TURNS + 1)] == [True] * _TURNS + [False]
