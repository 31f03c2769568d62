"""Calls of many tasks on one machine, cancelled or not; time is virtual."""

from random import Random

import pytest
import trio
from busy_guest import Clock, busy, virtually
from hypothesis import given, settings
from hypothesis import strategies as st
from support import PAGE, create, create_and_mmap, names, requests

from vgpu_emu.guest.file import DrmFile
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.parties import PATIENCE
from vgpu_emu.trace.log import HOST, Message
from vgpu_emu.vocabulary import Pgprot
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.render import CtxCreate

pytestmark = pytest.mark.usefixtures("nothing_left")


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_call_that_is_cancelled_at_any_moment_leaves_the_machine_usable(seed: int) -> None:
    random = Random(seed)

    async def main() -> None:
        async with open_machine() as machine:
            for _ in range(5):
                async with trio.open_nursery() as programs:
                    for _ in range(3):
                        programs.start_soon(busy, machine)
                    for _ in range(random.randrange(30)):
                        await trio.lowlevel.checkpoint()
                    programs.cancel_scope.cancel()
            await machine.settle()
            assert machine.driver.in_flight == 0
            _, vma = await machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.WC))
            assert vma.pgprot is Pgprot.WRITECOMBINE
        assert machine.parts.leaks() == []

    virtually(main)


async def test_calls_of_many_tasks_do_not_mix(autojump_clock: Clock) -> None:
    async def program(machine: Machine, number: int) -> None:
        kind = ExporterKind.WC if number % 2 else ExporterKind.CACHED
        file = DrmFile(machine.driver)
        handle, vma = await machine.run(create_and_mmap(file, kind, size=(1 + number % 3) * PAGE))
        vma.write(0, bytes([number]) * PAGE)
        await trio.lowlevel.checkpoint()
        assert vma.read(0, PAGE) == bytes([number]) * PAGE
        assert vma.pgprot is (Pgprot.WRITECOMBINE if number % 2 else Pgprot.CACHED)
        if number % 4:
            await machine.run(vma.munmap())
            await machine.run(file.gem_close(handle))
            await machine.run(file.close())

    async with open_machine() as machine:
        with trio.fail_after(3600):
            async with trio.open_nursery() as nursery:
                for number in range(40):
                    nursery.start_soon(program, machine, number)
        await machine.settle()
        assert len(machine.parts.region) == 10
        assert list(machine.log.notes("refused")) == []


async def test_task_that_received_for_the_others_can_be_cancelled(autojump_clock: Clock) -> None:
    """A silent host: both calls wait, one of them for both. Whichever goes, the other still waits."""
    for first in (0, 1):
        async with open_machine(recorded={HOST: []}) as machine, trio.open_nursery() as nursery:
            scopes = [trio.CancelScope(), trio.CancelScope()]

            async def call(scope: trio.CancelScope, machine: Machine = machine) -> None:
                with scope:
                    await machine.run(machine.driver.command(CtxCreate(ctx_id=1)))

            for scope in scopes:
                nursery.start_soon(call, scope)
            await trio.testing.wait_all_tasks_blocked()
            scopes[first].cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert [scope.cancelled_caught for scope in scopes] == [first == 0, first == 1]
            scopes[1 - first].cancel()


async def test_answers_reach_a_waiting_call_after_the_receiving_one_was_cancelled() -> None:
    async with open_machine() as machine:
        file = DrmFile(machine.driver)
        with trio.CancelScope() as scope:
            scope.cancel()
            await machine.run(create_and_mmap(file))
        assert scope.cancelled_caught
        _, vma = await machine.run(create_and_mmap(file, ExporterKind.WC, blob_id=2))
        assert vma.pgprot is Pgprot.WRITECOMBINE
        assert names(requests(machine.log)).count("RESOURCE_MAP_BLOB") == 2


async def test_run_is_a_checkpoint_also_when_nothing_is_waited_for() -> None:
    async with open_machine() as machine:
        file = DrmFile(machine.driver)
        with trio.testing.assert_checkpoints():
            await machine.run(create(file))
        with trio.testing.assert_checkpoints():
            await machine.run(file.close())


async def test_what_is_queued_is_sent_though_nobody_waits_for_the_answer() -> None:
    async with open_machine() as machine:
        await machine.run(create(DrmFile(machine.driver)))
        await trio.testing.wait_all_tasks_blocked()
        assert len(machine.parts.device.resources) == 1
        await machine.settle()
        assert machine.driver.in_flight == 0


async def test_silent_host_is_given_up_after_five_seconds_and_no_real_time_passes(autojump_clock: Clock) -> None:
    async with open_machine(recorded={HOST: []}) as machine:
        start = trio.current_time()
        with pytest.raises(OSError, match="refused to map"):
            await machine.run(create_and_mmap(DrmFile(machine.driver)))
        assert trio.current_time() - start == PATIENCE == 5
        assert machine.vmm.lost == "it did not answer CTX_CREATE in 5 seconds"
    assert machine.parts.leaks() == []


async def test_messages_carry_the_seconds_since_the_machine_was_opened(autojump_clock: Clock) -> None:
    await trio.sleep(100)
    async with open_machine() as machine:
        file = DrmFile(machine.driver)
        await machine.run(create(file))
        await machine.settle()
        await trio.sleep(2.5)
        await machine.run(file.close())
        await machine.settle()
    seconds = {event.seconds for event in machine.log.events if isinstance(event, Message)}
    assert seconds == {0.0, 2.5}
