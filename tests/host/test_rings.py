"""Work takes time, one thing after the other on a ring; a fence is signalled once, when what was before it is done."""

import pytest

from vgpu_emu.host.rings import Rings
from vgpu_wire.renderer_link import Fence, Signal

#: two contexts, and a second ring of the first
A, A1, B = (1, 0), (1, 1), (2, 0)


def fence(ring: tuple[int, int], fence_id: int) -> Fence:
    return Fence(ctx_id=ring[0], ring_idx=ring[1], fence_id=fence_id)


def all_rings(fence_id: int) -> Fence:
    return Fence(is_global=1, fence_id=fence_id)


def ids(signals: list[Signal]) -> list[int]:
    return [signal.fence_id for signal in signals]


@pytest.fixture
def rings() -> Rings:
    return Rings()


def test_fence_behind_nothing_is_not_pending(rings: Rings) -> None:
    assert not rings.fence(fence(A, 1), now=0.0)
    assert not rings.fence(all_rings(2), now=5.0)
    assert rings.next_due is None
    assert rings.due(now=1e9) == []


def test_fence_is_signalled_when_the_work_before_it_is_done_and_only_once(rings: Rings) -> None:
    rings.work(A, 2.0, now=1.0)
    assert rings.fence(fence(A, 7), now=1.5)
    assert rings.next_due == 3.0
    assert rings.due(now=2.999) == []
    assert rings.due(now=3.0) == [Signal(ctx_id=1, ring_idx=0, fence_id=7)]
    assert rings.due(now=99.0) == []
    assert rings.next_due is None


def test_fence_that_comes_when_the_work_is_just_done_is_not_pending(rings: Rings) -> None:
    rings.work(A, 2.0, now=0.0)
    assert not rings.fence(fence(A, 1), now=2.0)


def test_work_on_one_ring_is_done_in_order(rings: Rings) -> None:
    rings.work(A, 1.0, now=0.0)
    rings.fence(fence(A, 1), now=0.0)
    rings.work(A, 1.0, now=0.5)
    rings.fence(fence(A, 2), now=0.5)
    assert ids(rings.due(now=1.0)) == [1]
    assert rings.next_due == 2.0
    rings.work(A, 1.0, now=5.0)
    rings.fence(fence(A, 3), now=5.0)
    assert ids(rings.due(now=5.5)) == [2]
    assert ids(rings.due(now=6.0)) == [3]


def test_rings_do_not_wait_for_each_other(rings: Rings) -> None:
    for ring, seconds, fence_id in ((A, 3.0, 1), (A1, 1.0, 2), (B, 2.0, 3)):
        rings.work(ring, seconds, now=0.0)
        assert rings.fence(fence(ring, fence_id), now=0.0)
    assert [ids(rings.due(now)) for now in (1.0, 2.0, 3.0)] == [[2], [3], [1]]


def test_global_fence_waits_for_every_ring(rings: Rings) -> None:
    rings.work(A, 1.0, now=0.0)
    rings.work(B, 3.0, now=0.0)
    assert rings.fence(all_rings(9), now=0.0)
    assert rings.due(now=2.0) == []
    assert rings.due(now=3.0) == [Signal(is_global=1, fence_id=9)]


def test_fences_of_one_moment_are_signalled_in_the_order_in_which_they_were_asked_for(rings: Rings) -> None:
    rings.work(A, 1.0, now=0.0)
    for fence_id in (5, 3, 9, 1):
        rings.fence(fence(A, fence_id), now=0.0)
    assert ids(rings.due(now=1.0)) == [5, 3, 9, 1]


def test_work_of_a_context_ends_with_it_and_its_fences_are_still_signalled(rings: Rings) -> None:
    rings.work(A, 5.0, now=0.0)
    rings.work(A1, 5.0, now=0.0)
    rings.work(B, 1.0, now=0.0)
    rings.fence(fence(A, 1), now=0.0)
    rings.forget(ctx_id=1)
    assert not rings.fence(fence(A1, 2), now=0.0)
    assert rings.fence(fence(B, 3), now=0.0)
    assert ids(rings.due(now=5.0)) == [3, 1]


def test_fence_is_signalled_after_those_before_it_whose_work_is_gone(rings: Rings) -> None:
    rings.work(A, 5.0, now=0.0)
    rings.fence(fence(A, 1), now=0.0)
    rings.fence(all_rings(2), now=0.0)
    rings.forget(ctx_id=1)
    assert rings.fence(fence(A, 3), now=0.0)
    rings.work(B, 1.0, now=0.0)
    assert rings.fence(all_rings(4), now=0.0)
    assert rings.fence(fence(B, 5), now=0.0)
    assert [ids(rings.due(now)) for now in (1.0, 5.0)] == [[5], [1, 2, 3, 4]]


def test_fences_of_a_vmm_that_ended_are_nobodys_and_the_work_goes_on(rings: Rings) -> None:
    rings.work(A, 5.0, now=0.0)
    rings.fence(fence(A, 1), now=0.0)
    rings.forget_fences()
    assert rings.next_due is None
    assert rings.fence(fence(A, 2), now=0.0)
    assert ids(rings.due(now=5.0)) == [2]
