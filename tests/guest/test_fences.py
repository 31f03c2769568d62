"""Fences: one count for all timelines, signalled by what the answer says, in order within a context and not beyond."""

from errno import EAGAIN, EBUSY, ENOMEM

import pytest
from guest_kit import EVERYTHING, UNSPEC, Guest, errno_of, refusal
from support import Call

from vgpu_emu.guest.fences import DEVICE_CONTEXT, Fence, FenceDriver
from vgpu_emu.guest.ioctls_resource import Transfer
from vgpu_emu.guest.submit import MAX_EVENTS
from vgpu_emu.ids import GemHandle
from vgpu_emu.link.chain import Used
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.render import Box
from vgpu_wire.virtgpu_drm import EVENT_FENCE_SIGNALED, WAIT_NOWAIT, ContextParam, ExecbufFlag

RINGS = [(ContextParam.CAPSET_ID, 4), (ContextParam.NUM_RINGS, 3), (ContextParam.POLL_RINGS_MASK, 0b010)]
REQUEST = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)
ON_RING, OUT = ExecbufFlag.RING_IDX, ExecbufFlag.FENCE_FD_OUT


def _emitted(driver: FenceDriver, *contexts: int) -> list[Fence]:
    fences = [Fence(context) for context in contexts]
    for fence in fences:
        driver.emit(fence, REQUEST)
    return fences


def test_ids_count_from_1_over_all_timelines() -> None:
    fences = _emitted(FenceDriver(), 1, 2, 1)
    assert [fence.fence_id for fence in fences] == [1, 2, 3]


def test_request_says_its_fence_and_only_on_a_ring_its_ring() -> None:
    driver = FenceDriver()
    plain, ring = driver.emit(Fence(), REQUEST), driver.emit(Fence(7, 0), REQUEST)
    assert (plain.flags, plain.fence_id, plain.ring_idx) == (1, 1, 0)
    assert (ring.flags, ring.fence_id, ring.ring_idx) == (3, 2, 0)


def test_fence_completes_those_before_it_in_its_context_only() -> None:
    driver = FenceDriver()
    fences = _emitted(driver, 1, 2, 1, 1)
    driver.process(3)
    assert [fence.signaled for fence in fences] == [True, False, True, False]
    assert len(driver) == 2


@pytest.mark.parametrize("fence_id", [0, 2, 1 << 63])
def test_id_that_nobody_waits_for_is_nothing(fence_id: int) -> None:
    driver = FenceDriver()
    (fence,) = _emitted(driver, 1)
    driver.process(fence_id)
    assert not fence.signaled


def test_fence_that_is_signalled_twice_says_so_once() -> None:
    driver = FenceDriver()
    (fence,) = _emitted(driver, 1)
    signals: list[int] = []
    fence.then = lambda: signals.append(1)
    driver.process(1)
    driver.process(1)
    assert signals == [1]


def _fenced(guest: Guest) -> Fence:
    fence = Fence()
    Call(guest.driver.queue(REQUEST, fence=fence))
    guest.sent()
    return fence


def test_error_signals_the_fence_that_it_carries() -> None:
    guest = Guest()
    fence = _fenced(guest)
    guest.answer(UNSPEC)
    assert fence.signaled


def test_answer_that_lost_its_fence_signals_nothing() -> None:
    guest = Guest()
    fence = _fenced(guest)
    guest.driver.complete(Used(guest.waiting[0].head, 0, UNSPEC.build()))
    assert not fence.signaled


def test_answer_may_carry_the_fence_of_another_request() -> None:
    guest = Guest()
    first, second = _fenced(guest), _fenced(guest)
    response = HeaderOnly(type=0x1100, flags=1, fence_id=2)
    guest.driver.complete(Used(guest.waiting[0].head, 0, response.build()))
    assert (first.signaled, second.signaled) == (True, True)


# -- WAIT


def _busy(guest: Guest) -> GemHandle:
    handle = guest.run(guest.file.resource_create(width=4, height=4))
    Call(guest.file.transfer_to_host(handle, Transfer(box=Box(w=4, h=4, d=1))))
    guest.sent()
    return handle


def test_wait_sleeps_until_the_device_is_done_with_the_object() -> None:
    guest = Guest()
    handle = _busy(guest)
    call = Call(guest.file.wait(handle))
    assert call.wait is not None
    assert call.wait.timeout == 15.0
    guest.answer_all()
    call.step()
    assert not call.sleeps


def test_wait_gives_up_after_15_seconds() -> None:
    guest = Guest()
    call = Call(guest.file.wait(_busy(guest)))
    assert refusal(call.time_out) == EBUSY


def test_wait_with_nowait_only_looks() -> None:
    guest = Guest()
    handle = _busy(guest)
    assert errno_of(guest.file.wait(handle, WAIT_NOWAIT)) == EBUSY
    guest.answer_all()
    assert not Call(guest.file.wait(handle, WAIT_NOWAIT)).sleeps


# -- events


def _with_rings() -> Guest:
    guest = Guest(EVERYTHING)
    guest.driver.capsets.mask = 1 << 4
    guest.run(guest.file.context_init(RINGS))
    return guest


def test_fence_of_a_polled_ring_is_an_event_when_it_is_signalled() -> None:
    guest = _with_rings()
    Call(guest.file.execbuffer(b"", flags=ON_RING, ring_idx=1))
    assert refusal(guest.file.read_event) == EAGAIN
    guest.answer_all()
    assert guest.file.read_event() == EVENT_FENCE_SIGNALED
    assert refusal(guest.file.read_event) == EAGAIN


def test_ring_that_is_not_polled_gives_no_event_and_needs_no_fence() -> None:
    guest = _with_rings()
    Call(guest.file.execbuffer(b"", flags=ON_RING, ring_idx=0))
    (submit,) = guest.sent()
    assert submit.flags == 0
    guest.answer_all()
    assert not guest.file.events


def test_rings_of_a_context_are_timelines_of_their_own() -> None:
    guest = _with_rings()
    first = Call(guest.file.execbuffer(b"", flags=ON_RING | OUT, ring_idx=0)).value
    second = Call(guest.file.execbuffer(b"", flags=ON_RING | OUT, ring_idx=2)).value
    third = Call(guest.file.execbuffer(b"", flags=OUT)).value
    assert first
    assert second
    assert third
    assert [(request.flags, request.ring_idx) for request in guest.sent()] == [(3, 0), (3, 2), (1, 0)]
    contexts = [sync.fence.context for sync in (first, second, third)]
    assert contexts == [contexts[0], contexts[0] + 2, DEVICE_CONTEXT]
    guest.driver.fences.process(second.fence.fence_id)
    assert [sync.fence.signaled for sync in (first, second, third)] == [False, True, False]


def test_unread_events_have_a_limit() -> None:
    guest = _with_rings()
    for _ in range(MAX_EVENTS):
        guest.run(guest.file.execbuffer(b"", flags=ON_RING, ring_idx=1))
    assert errno_of(guest.file.execbuffer(b"", flags=ON_RING, ring_idx=1)) == ENOMEM
    guest.file.read_event()
    assert errno_of(guest.file.execbuffer(b"", flags=ON_RING, ring_idx=1)) is None
