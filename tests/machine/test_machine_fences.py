"""Fences in the trio machine, under virtual time: the guest waits for GPUs that take as long as they are told."""

import pytest
import trio
from trio.testing import MockClock

from vgpu_emu.assembly import Config
from vgpu_emu.machine import Machine, open_machine
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CmdSubmit, CtxCreate
from vgpu_wire.resource import ResourceUnref

FENCE, RING = CtrlFlag.FENCE.value, CtrlFlag.INFO_RING_IDX.value
SMALL = Config(guest_memory=1 << 16)


def work(seconds: float, fence_id: int, ctx_id: int = 1, ring_idx: int | None = 0) -> CtrlHdr:
    stream = StreamWork(microseconds=int(seconds * 1e6)).build()
    flags = FENCE | (RING if ring_idx is not None else 0)
    return CmdSubmit(
        ctx_id=ctx_id, flags=flags, fence_id=fence_id, ring_idx=ring_idx or 0, size=len(stream), commands=stream
    )


async def send(machine: Machine, request: CtrlHdr) -> CtrlHdr:
    return parse_message(await machine.run(machine.driver.command(request)))


async def test_submitting_task_sleeps_until_the_work_is_done(autojump_clock: MockClock) -> None:
    async with open_machine(SMALL) as machine:
        await send(machine, CtxCreate(ctx_id=1))
        start = trio.current_time()
        answer = await send(machine, work(3.5, fence_id=7))
        assert (answer.type, answer.fence_id) == (CtrlType.RESP_OK_NODATA, 7)
        assert trio.current_time() - start == pytest.approx(3.5)


async def test_tasks_on_their_own_rings_do_not_wait_for_each_other(autojump_clock: MockClock) -> None:
    done: dict[tuple[int, int], float] = {}
    async with open_machine(SMALL) as machine:
        await send(machine, CtxCreate(ctx_id=1))
        await send(machine, CtxCreate(ctx_id=2))
        start = trio.current_time()

        async def client(ctx_id: int, ring_idx: int, seconds: float) -> None:
            for number in range(3):
                await send(machine, work(seconds, ctx_id * 100 + ring_idx * 10 + number, ctx_id, ring_idx))
            done[ctx_id, ring_idx] = trio.current_time() - start

        async with trio.open_nursery() as nursery:
            for ctx_id, ring_idx, seconds in ((1, 0, 4), (1, 1, 2), (2, 0, 1)):
                nursery.start_soon(client, ctx_id, ring_idx, seconds)
    assert done == {(1, 0): pytest.approx(12), (1, 1): pytest.approx(6), (2, 0): pytest.approx(3)}


async def test_global_fence_of_one_task_waits_for_the_work_of_another(autojump_clock: MockClock) -> None:
    async with open_machine(SMALL) as machine:
        await send(machine, CtxCreate(ctx_id=1))
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, machine, work(5, fence_id=1))
            await trio.sleep(1)
            error = await send(machine, ResourceUnref(flags=FENCE, fence_id=2, resource_id=404))
            assert error.type == CtrlType.RESP_ERR_INVALID_RESOURCE_ID
            assert trio.current_time() - start == pytest.approx(5)


async def test_unfenced_requests_go_on_while_the_gpu_works(autojump_clock: MockClock) -> None:
    async with open_machine(SMALL) as machine:
        await send(machine, CtxCreate(ctx_id=1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, machine, work(1000, fence_id=1))
            await trio.sleep(1)
            for ctx_id in range(2, 40):
                assert (await send(machine, CtxCreate(ctx_id=ctx_id))).type == CtrlType.RESP_OK_NODATA
            assert trio.current_time() < 10
        assert trio.current_time() == pytest.approx(1000)


@pytest.mark.parametrize("steps", range(8))
def test_fences_of_one_timeline_are_answered_in_their_order_whatever_the_scheduler_does(steps: int) -> None:
    """The work ends just when the host is asked about the next fence: signal and answer leave it together."""
    answers: list[int] = []

    async def fenced(machine: Machine, request: CtrlHdr) -> None:
        answers.append((await send(machine, request)).fence_id)

    async def main(clock: MockClock) -> None:
        async with open_machine(SMALL) as machine:
            await send(machine, CtxCreate(ctx_id=1))
            for number in range(0, 32, 2):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(fenced, machine, work(1, number))
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.start_soon(fenced, machine, work(0, number + 1))
                    for _ in range(steps):
                        await trio.lowlevel.checkpoint()
                    clock.jump(1)

    clock = MockClock()
    trio.run(main, clock, clock=clock)
    assert answers == list(range(32))


async def test_machine_that_is_left_while_fences_wait_leaves_nothing(autojump_clock: MockClock) -> None:
    with trio.move_on_after(1) as scope:
        async with open_machine(SMALL) as machine:
            await send(machine, CtxCreate(ctx_id=1))
            await send(machine, work(1000, fence_id=1))
    assert scope.cancelled_caught
    assert not machine.parts.leaks()
    assert trio.current_time() < 10
