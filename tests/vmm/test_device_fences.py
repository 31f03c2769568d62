"""Fences: an answer comes when the work is done, in the order of its timeline, once. Time passes by `advance` only."""

from errno import EIO

import pytest
from device_kit import Rig

from vgpu_emu.drive.requests import FENCE, PAGE, RING, host_blob, submit, work
from vgpu_emu.link.chain import Used
from vgpu_emu.vmm.fences import GLOBAL, Fences
from vgpu_wire.blob import ResourceMapBlob, RespMapInfo
from vgpu_wire.context_stream import StreamAlloc, StreamWork
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.display import Rect, ResourceFlush
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CmdSubmit, CtxCreate, CtxDestroy, GetCapsetInfo
from vgpu_wire.renderer_link import Op
from vgpu_wire.resource import ResourceUnref

OK, UNSPEC = CtrlType.RESP_OK_NODATA, CtrlType.RESP_ERR_UNSPEC


def flush(fence_id: int, ctx_id: int = 0, ring_idx: int | None = None) -> CtrlHdr:
    """A fenced request that succeeds at once; of no ring_idx, on the global timeline."""
    flags = FENCE | (RING if ring_idx is not None else 0)
    return ResourceFlush(
        flags=flags, fence_id=fence_id, ctx_id=ctx_id, ring_idx=ring_idx or 0, r=Rect(width=1, height=1), resource_id=9
    )


def bad(fence_id: int, ctx_id: int = 0, ring_idx: int | None = None) -> CtrlHdr:
    """A fenced request that is refused."""
    flags = FENCE | (RING if ring_idx is not None else 0)
    return ResourceUnref(flags=flags, fence_id=fence_id, ctx_id=ctx_id, ring_idx=ring_idx or 0, resource_id=404)


def rig_with(*contexts: int) -> Rig:
    rig = Rig()
    rig.image(9, 1, 1)
    for ctx_id in contexts:
        rig.ok(CtxCreate(ctx_id=ctx_id))
    return rig


def passed(rig: Rig, milliseconds: int) -> list[int]:
    """The fences whose answers come in that time."""
    return [answer_of(used).fence_id for used in rig.advance(milliseconds / 1000)]


def answer_of(used: Used) -> CtrlHdr:
    return parse_message(used.written)


def test_fenced_request_is_answered_when_the_work_is_done() -> None:
    with rig_with(1) as rig:
        assert rig.send(work(1, 1000, ring_idx=0, fence_id=7)) is None
        assert passed(rig, 875) == []
        (used,) = rig.advance(0.125)
        answer = HeaderOnly(type=OK, flags=FENCE | RING, fence_id=7, ctx_id=1, ring_idx=0)
        assert used.written == answer.build()
        assert passed(rig, 1000) == []


def test_request_without_a_fence_is_answered_before_the_work_is_done() -> None:
    with rig_with(1) as rig:
        assert rig.type_of(work(1, 10)) == OK


def test_fence_with_nothing_before_it_is_answered_at_once() -> None:
    with rig_with(1) as rig:
        for request in (flush(1), flush(2, ctx_id=1, ring_idx=0), flush(3, ctx_id=77, ring_idx=63)):
            assert rig.answer(request) == HeaderOnly(
                type=OK,
                flags=request.flags,
                fence_id=request.fence_id,
                ctx_id=request.ctx_id,
                ring_idx=request.ring_idx,
            )


@pytest.mark.parametrize("fence_id", [0, 1, 2**63, 2**64 - 1])
def test_any_64_bits_are_a_fence_id(fence_id: int) -> None:
    with rig_with(1) as rig:
        assert rig.answer(flush(fence_id)).fence_id == fence_id
        assert rig.send(work(1, 1, ring_idx=63, fence_id=fence_id)) is None
        assert passed(rig, 1) == [fence_id]


def test_answer_has_its_whole_payload_when_it_comes_late() -> None:
    with rig_with() as rig:
        rig.blob(5)
        rig.ok(work(1, 10))
        assert rig.send(ResourceMapBlob(flags=FENCE, fence_id=3, resource_id=5)) is None
        (used,) = rig.advance(0.01)
        assert used.written == RespMapInfo(flags=FENCE, fence_id=3, map_info=3).build()


def test_what_a_fenced_request_does_is_done_before_its_answer_comes() -> None:
    """The fence is about the GPU's work; the device has carried the request out."""
    with rig_with(1) as rig:
        rig.ok(work(1, 10))
        rig.send(flush(1))
        assert rig.send(ResourceUnref(flags=FENCE, fence_id=2, resource_id=9)) is None
        assert not rig.device.resources


def test_completing_a_fence_completes_those_before_it_on_its_timeline_only() -> None:
    with rig_with(1, 2) as rig:
        for ctx_id, ring_idx, first in ((1, 0, 10), (1, 1, 20), (2, 0, 30)):
            rig.ok(work(ctx_id, first, ring_idx=ring_idx))
            for number in range(3):
                assert rig.send(flush(first + number, ctx_id, ring_idx)) is None
        assert passed(rig, 10) == [10, 11, 12]
        assert passed(rig, 10) == [20, 21, 22]
        assert passed(rig, 10) == [30, 31, 32]


def test_a_signal_for_a_later_fence_answers_the_earlier_ones_too() -> None:
    """The renderer may tell of the last one alone."""
    with rig_with(1) as rig:
        rig.ok(work(1, 10, ring_idx=0))
        for fence_id in (4, 6, 8):
            rig.send(flush(fence_id, 1, 0))
        rig.send(flush(9))
        released = rig.device.signal((1, 0), 6)
        assert [answer_of(used).fence_id for used in released] == [4, 6]
        assert passed(rig, 10) == [8, 9]


def test_a_signal_that_nobody_waits_for_is_nothing() -> None:
    with rig_with(1) as rig:
        rig.send(work(1, 10, ring_idx=0, fence_id=4))
        for timeline, fence_id in (((1, 0), 5), ((1, 1), 4), ((2, 0), 4), ((0, -1), 4)):
            assert rig.device.signal(timeline, fence_id) == []
        assert passed(rig, 10) == [4]
        assert rig.device.signal((1, 0), 4) == []


def test_global_fence_waits_for_all_rings_and_rings_do_not_wait_for_it() -> None:
    with rig_with(1, 2) as rig:
        rig.ok(work(1, 10, ring_idx=0), work(2, 30, ring_idx=5))
        assert rig.send(flush(1)) is None
        assert rig.send(flush(2, 1, 0)) is None
        assert passed(rig, 10) == [2]
        assert rig.answer(flush(3, 1, 0)).fence_id == 3
        assert passed(rig, 20) == [1]


def test_submit_without_ring_idx_is_work_on_ring_0_and_its_fence_is_global() -> None:
    with rig_with(1) as rig:
        assert rig.send(work(1, 10, fence_id=5)) is None
        assert rig.send(flush(6, 1, 0)) is None
        assert rig.answer(flush(7, 1, 1)).fence_id == 7
        (first, second) = rig.advance(0.01)
        assert [answer_of(first).flags, answer_of(second).flags] == [FENCE, FENCE | RING]
        assert [answer_of(first).fence_id, answer_of(second).fence_id] == [5, 6]


def test_64_rings_of_many_contexts_each_keep_their_own_order() -> None:
    rings = [(ctx_id, ring_idx) for ctx_id in (1, 2, 3) for ring_idx in range(64)]
    with rig_with(1, 2, 3) as rig:
        for place, (ctx_id, ring_idx) in enumerate(rings):
            delay = (place * 37) % len(rings) + 1
            for fence_id in (2 * place, 2 * place + 1):
                assert rig.send(work(ctx_id, delay, ring_idx=ring_idx, fence_id=fence_id)) is None
        released = [answer_of(used) for used in rig.advance(1)]
        assert len(released) == 2 * len(rings)
        assert {(answer.ctx_id, answer.ring_idx) for answer in released} == set(rings)
        for place in range(len(rings)):
            order = [answer.fence_id for answer in released if answer.fence_id // 2 == place]
            assert order == [2 * place, 2 * place + 1]


# -- errors


@pytest.mark.parametrize("ring_idx", [None, 0, 63])
def test_refused_request_echoes_its_fence(ring_idx: int | None) -> None:
    with rig_with(1) as rig:
        request = bad(5, ctx_id=1, ring_idx=ring_idx)
        answer = rig.answer(request)
        assert answer == HeaderOnly(
            type=CtrlType.RESP_ERR_INVALID_RESOURCE_ID,
            flags=request.flags,
            fence_id=5,
            ctx_id=1,
            ring_idx=request.ring_idx,
        )


def test_refusal_waits_for_the_fences_before_it() -> None:
    """Linux takes every fence up to an answered one for signalled, so an error must not overtake."""
    with rig_with(1) as rig:
        rig.send(work(1, 10, ring_idx=0, fence_id=4))
        assert rig.send(bad(5, 1, 0)) is None
        assert rig.type_of(bad(6, 1, 1)) == CtrlType.RESP_ERR_INVALID_RESOURCE_ID
        first, second = rig.advance(0.01)
        assert (answer_of(first).fence_id, answer_of(first).type) == (4, OK)
        assert (answer_of(second).fence_id, answer_of(second).type) == (5, CtrlType.RESP_ERR_INVALID_RESOURCE_ID)


def test_stream_that_fails_at_its_end_has_begun_and_its_fence_waits_for_that() -> None:
    with rig_with(1) as rig:
        stream = StreamWork(microseconds=10_000).build() + b"\xff" * 4
        request = CmdSubmit(ctx_id=1, flags=FENCE | RING, fence_id=3, size=len(stream), commands=stream)
        assert rig.send(request) is None
        assert rig.send(flush(4, 1, 0)) is None
        first, second = rig.advance(0.01)
        assert (answer_of(first).type, answer_of(second).type) == (UNSPEC, OK)


def test_ring_that_cannot_be_is_refused_fenced_or_not() -> None:
    with rig_with(1) as rig:
        for flags in (RING, RING | FENCE):
            request = CmdSubmit(ctx_id=1, flags=flags, ring_idx=64)
            assert rig.type_of(request) == CtrlType.RESP_ERR_INVALID_PARAMETER


def test_without_its_flag_ring_idx_is_not_looked_at() -> None:
    with rig_with(1) as rig:
        answer = rig.answer(ResourceFlush(flags=FENCE, fence_id=1, ring_idx=200, resource_id=9))
        assert (answer.type, answer.flags, answer.ring_idx) == (OK, FENCE, 0)


def test_flags_that_nobody_defined_are_not_echoed() -> None:
    with rig_with() as rig:
        answer = rig.answer(ResourceFlush(flags=0xFFFFFFFC | FENCE, fence_id=1, resource_id=9))
        assert (answer.type, answer.flags) == (OK, FENCE)


def test_unfenced_answer_has_an_empty_header() -> None:
    with rig_with() as rig:
        answer = rig.answer(ResourceFlush(fence_id=7, ctx_id=3, ring_idx=2, resource_id=9))
        assert answer == HeaderOnly(type=OK)


# -- what could lose a fence, or fire it early or twice


def test_complete_fence_does_not_overtake_one_whose_signal_is_on_its_way() -> None:
    """The host has signalled 1, and answers that nothing is left before 2; the VMM hears the answer first."""
    with rig_with(1) as rig:
        rig.send(work(1, 10, ring_idx=0, fence_id=1))
        rig.now = 0.01
        assert rig.send(flush(2, 1, 0)) is None
        assert rig.send(flush(3, 1, 0)) is None
        assert [answer_of(used).fence_id for used in rig.device.signal((1, 0), 1)] == [1, 2, 3]
        assert rig.device.fences.count == 0


def test_fences_of_a_context_that_is_destroyed_are_answered() -> None:
    with rig_with(1) as rig:
        rig.send(work(1, 10, ring_idx=0, fence_id=1))
        rig.ok(CtxDestroy(ctx_id=1))
        assert passed(rig, 10) == [1]


def test_new_context_of_an_old_number_does_not_overtake_the_old_ones_fences() -> None:
    with rig_with(1) as rig:
        rig.send(work(1, 10, ring_idx=0, fence_id=1))
        rig.ok(CtxDestroy(ctx_id=1), CtxCreate(ctx_id=1))
        assert rig.send(flush(2, 1, 0)) is None
        assert rig.send(work(1, 50, ring_idx=0, fence_id=3)) is None
        assert passed(rig, 10) == [1, 2]
        assert passed(rig, 40) == [3]


def test_two_fences_of_one_number_are_two() -> None:
    with rig_with(1) as rig:
        assert rig.send(work(1, 10, ring_idx=0, fence_id=7)) is None
        assert rig.send(work(1, 10, ring_idx=0, fence_id=7)) is None
        assert passed(rig, 10) == [7]
        assert passed(rig, 10) == [7]


def test_reset_drops_what_was_due_and_a_new_driver_with_the_same_numbers_is_not_early() -> None:
    with rig_with(1) as rig:
        features = rig.device.features
        rig.send(work(1, 10, ring_idx=0, fence_id=1))
        rig.send(flush(2))
        rig.carry(rig.device.reset())
        assert rig.device.fences.count == 0
        assert rig.device.negotiate(features)
        rig.ok(CtxCreate(ctx_id=1))
        assert rig.send(work(1, 100, ring_idx=0, fence_id=1)) is None
        assert rig.send(flush(2)) is None
        assert passed(rig, 99) == []
        assert passed(rig, 1) == [1, 2]


def test_renderer_that_cannot_make_a_fence_delays_nothing() -> None:
    with rig_with(1) as rig:
        rig.ok(work(1, 10, ring_idx=0))
        rig.refusals[Op.FENCE] = EIO
        assert rig.answer(flush(1, 1, 0)).fence_id == 1
        rig.refusals.clear()
        assert rig.send(flush(2, 1, 0)) is None


@pytest.mark.parametrize("capacity", [23, 24, 2048])
def test_answer_that_no_fence_will_complete_is_an_error_without_a_payload(capacity: int) -> None:
    with rig_with(1) as rig:
        rig.send(work(1, 1000, ring_idx=0, fence_id=6))
        asked = GetCapsetInfo(flags=FENCE | RING, fence_id=7, ctx_id=1, ring_idx=0)
        assert rig.send(asked, capacity=capacity) is None
        answer = HeaderOnly(type=UNSPEC, flags=FENCE | RING, fence_id=7, ctx_id=1, ring_idx=0).build()
        assert rig.device.fences.fail()[1].written == answer[:capacity]


def test_requests_that_come_while_others_wait_are_carried_out_and_answered() -> None:
    with rig_with(1) as rig:
        rig.send(work(1, 10, ring_idx=1, fence_id=1))
        rig.ok(submit(1, StreamAlloc(exporter=1, blob_id=5, size=PAGE)), host_blob(5), ResourceMapBlob(resource_id=5))
        assert rig.answer(flush(2, 1, 0)).fence_id == 2
        assert passed(rig, 10) == [1]


@pytest.mark.parametrize("end", ["needs_reset", "dead"])
def test_no_fence_is_answered_by_a_device_that_needs_reset_or_is_dead(end: str) -> None:
    with rig_with(1) as rig:
        assert rig.send(work(1, 1000, ring_idx=0, fence_id=7)) is None
        setattr(rig.device, end, "for this test")
        assert passed(rig, 1000) == []


def test_complete_fence_waits_for_the_last_one_before_it() -> None:
    fences, ring = Fences(), (1, 0)
    chains = {number: Used(number, 0, b"") for number in (5, 6, 7)}
    fences.park(ring, 5, chains[5])
    fences.park(ring, 6, chains[6])
    assert fences.follow(ring, chains[7])
    assert fences.signal(ring, 5) == [chains[5]]
    assert fences.signal(ring, 6) == [chains[6], chains[7]]


def test_nothing_left_to_do_anywhere_is_nothing_left_on_any_ring() -> None:
    fences = Fences()
    fences.busy = {(1, 0), (1, 1), GLOBAL}
    fences.idle((1, 1))
    assert (fences.waits((1, 0)), fences.waits((1, 1)), fences.waits(GLOBAL)) == (True, False, True)
    fences.idle(GLOBAL)
    assert not any(fences.waits(timeline) for timeline in ((1, 0), (1, 1), GLOBAL))
