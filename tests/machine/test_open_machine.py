"""Leaving a machine: no task, descriptor or mapping is left, and what was raised inside comes out as itself."""

from collections.abc import Awaitable, Callable
from errno import EINVAL

import pytest
import trio
from busy_guest import Clock, busy, virtually
from hypothesis import given, settings
from hypothesis import strategies as st
from support import PAGE, create, create_and_mmap

from vgpu_emu.assembly import Config
from vgpu_emu.guest.file import HINT_DEFER_MAPPING, DrmFile
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.vocabulary import Pgprot
from vgpu_wire.context_stream import ExporterKind

pytestmark = pytest.mark.usefixtures("nothing_left")


def tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


async def test_machine_that_did_nothing_leaves_nothing() -> None:
    before = tasks()
    async with open_machine() as machine:
        assert tasks() == before + 3
    assert tasks() == before
    assert machine.parts.leaks() == []


async def test_buffers_that_are_in_use_at_the_end_are_gone() -> None:
    before = tasks()
    async with open_machine() as machine:
        file = DrmFile(machine.driver)
        for number in range(3):
            await machine.run(create_and_mmap(file, blob_id=number))
        await machine.run(create(file, blob_id=9, blob_hints=HINT_DEFER_MAPPING))
        await machine.settle()
        assert len(machine.parts.leaks()) == 7
    assert (machine.parts.leaks(), tasks()) == ([], before)


async def test_exception_comes_out_as_itself() -> None:
    mine = RuntimeError("mine")
    opened: list[Machine] = []

    async def program() -> None:
        async with open_machine() as outer, open_machine() as machine:
            opened.extend([outer, machine])
            await machine.run(create_and_mmap(DrmFile(machine.driver)))
            raise mine

    with pytest.raises(RuntimeError, match="mine") as caught:
        await program()
    assert caught.value is mine
    assert [machine.parts.leaks() for machine in opened] == [[], []]


async def test_exception_keeps_its_cause_and_its_context() -> None:
    cause, context, raised = KeyError("cause"), IndexError("context"), ValueError("raised")

    async def program() -> None:
        async with open_machine():
            try:
                raise context
            except IndexError:
                raise raised from cause

    with pytest.raises(ValueError, match="raised"):
        await program()
    assert (raised.__cause__, raised.__context__) == (cause, context)


async def test_group_that_the_program_raised_is_not_taken_apart() -> None:
    mine = ExceptionGroup("mine", [ValueError("only one")])
    with pytest.raises(ExceptionGroup, match="mine") as caught:
        async with open_machine():
            raise mine
    assert caught.value.exceptions == mine.exceptions


async def test_refused_call_is_an_oserror_that_can_be_caught_outside() -> None:
    with pytest.raises(OSError, match="refused to map") as refused:
        async with open_machine() as machine:
            await machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.SILENT))
    assert refused.value.errno == EINVAL


async def test_machine_goes_on_after_a_refused_call() -> None:
    async with open_machine() as machine:
        file = DrmFile(machine.driver)
        with pytest.raises(OSError, match="refused to map"):
            await machine.run(create_and_mmap(file, ExporterKind.SILENT))
        _, vma = await machine.run(create_and_mmap(file, ExporterKind.WC, blob_id=2))
        assert vma.pgprot is Pgprot.WRITECOMBINE


async def test_cancelled_machine_leaves_nothing(autojump_clock: Clock) -> None:
    before = tasks()
    with trio.move_on_after(1) as patience:
        async with open_machine() as machine:
            await machine.run(create_and_mmap(DrmFile(machine.driver)))
            await trio.sleep_forever()
    assert patience.cancelled_caught
    assert (machine.parts.leaks(), tasks()) == ([], before)


async def test_exception_while_being_cancelled_comes_out_as_itself(autojump_clock: Clock) -> None:
    mine = ValueError("while cancelled")

    async def program() -> None:
        with trio.move_on_after(1):
            async with open_machine():
                try:
                    await trio.sleep_forever()
                finally:
                    raise mine

    with pytest.raises(ValueError, match="while cancelled") as caught:
        await program()
    assert caught.value is mine


async def test_machines_side_by_side_do_not_know_each_other() -> None:
    async with open_machine(Config(host_visible=PAGE)) as one, open_machine(Config(host_visible=PAGE)) as other:
        _, first = await one.run(create_and_mmap(DrmFile(one.driver)))
        _, second = await other.run(create_and_mmap(DrmFile(other.driver)))
        first.write(0, b"one")
        assert second.read(0, 3) == bytes(3)


async def leave(machine: Machine, scope: trio.CancelScope) -> None:
    """Normally."""


async def fail(machine: Machine, scope: trio.CancelScope) -> None:
    raise ZeroDivisionError


async def cancel(machine: Machine, scope: trio.CancelScope) -> None:
    scope.cancel()
    await trio.sleep_forever()


Ending = Callable[[Machine, trio.CancelScope], Awaitable[None]]


async def _end_at(moment: int, ending: Ending) -> Machine:
    """Three busy guests, and an end after so many turns of the scheduler."""
    opened: list[Machine] = []
    try:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as programs, open_machine() as machine:
                opened.append(machine)
                for _ in range(3):
                    programs.start_soon(busy, machine)
                for _ in range(moment):
                    await trio.lowlevel.checkpoint()
                programs.cancel_scope.cancel()
                await ending(machine, scope)
    except* ZeroDivisionError:
        assert ending is fail
    return opened[0]


@settings(max_examples=60)
@given(moment=st.integers(0, 150), seed=st.integers(0, 2**32), ending=st.sampled_from([leave, fail, cancel]))
def test_end_at_any_moment_leaves_nothing(moment: int, seed: int, ending: Ending) -> None:
    del seed  # another seed, another order of tasks: hypothesis seeds trio's scheduler
    machine = virtually(_end_at, moment, ending)
    assert machine.parts.leaks() == []
