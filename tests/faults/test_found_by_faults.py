"""What faults have found in the parties: each once more, by itself."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from errno import ENODEV, ENOMEM
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from support import alloc, create_and_mmap

from vgpu_emu.assembly import Config, size_only
from vgpu_emu.faults.plan import (
    CallFails,
    ClockJumps,
    Delay,
    DeviceResets,
    Duplicate,
    ExtraFd,
    Fault,
    HostDies,
    HostHangs,
    ReadOnlyFd,
    Reorder,
    Truncate,
    VmmRestarts,
)
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.parties import PATIENCE
from vgpu_emu.restarting import rebind, restart
from vgpu_emu.simulation import HangError, Simulation
from vgpu_wire.context_stream import ExporterKind, StreamWork
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CmdSubmit, CtxCreate

pytestmark = pytest.mark.usefixtures("nothing_left")
SMALL = Config(guest_memory=2 << 20, host_visible=1 << 16, backing=size_only)


def run(main: Any, *faults: Fault, config: Config = SMALL, seed: int = 0) -> Machine:
    """Under these faults, each of which happens."""

    async def program() -> Machine:
        async with open_machine(config, faults=faults) as machine:
            await main(machine)
            assert (machine.injector.pending if machine.injector is not None else []) == []
        assert machine.parts.leaks() == []
        return machine

    return Simulation(seed).run(program)


async def mapped(machine: Machine) -> None:
    await machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.WC))


async def refused(machine: Machine) -> None:
    with pytest.raises(OSError, match="refused to map"):
        await mapped(machine)


async def worked(machine: Machine, *, fence_id: int = 7) -> CtrlHdr:
    """Context 1 works for a millisecond behind a fence: the answer."""
    await machine.run(machine.driver.command(CtxCreate(ctx_id=1)))
    return await work(machine, fence_id, microseconds=1000)


async def work(
    machine: Machine, fence_id: int, microseconds: int, ctx_id: int = 1, flags: CtrlFlag = CtrlFlag.FENCE
) -> CtrlHdr:
    stream = StreamWork(microseconds=microseconds).build()
    fenced = CmdSubmit(ctx_id=ctx_id, flags=int(flags), fence_id=fence_id, size=len(stream), commands=stream)
    return parse_message(await machine.run(machine.driver.command(fenced)))


def responses(machine: Machine) -> list[str]:
    return [note.values["response"] for note in machine.log.notes("error_response")]


def test_mmap_that_the_kernel_refuses_is_out_of_memory_to_the_guest() -> None:
    machine = run(refused, CallFails(message="IOCTL", call="mmap", errno="ENOMEM"))
    assert responses(machine) == ["RESP_ERR_OUT_OF_MEMORY"]
    assert next(machine.log.notes("mmap_failed")).values == {"errno": ENOMEM}


def test_blob_that_cannot_be_mapped_again_after_a_restart_is_not_mapped() -> None:
    async def main(machine: Machine) -> None:
        file = DrmFile(machine.driver)
        _, vma = await machine.run(create_and_mmap(file, ExporterKind.WC))
        await machine.settle()
        await restart(machine)
        assert machine.vmm.device.resources[vma.vram.resource_id].offset is None  # type: ignore[union-attr]

    run(main, CallFails(message="EXPORT_BLOB", skip=1, call="mmap", errno="ENOMEM"))


@pytest.mark.parametrize("backing", [size_only, Config().backing])
def test_descriptor_that_is_open_for_reading_only_is_not_mapped(backing: Any) -> None:
    machine = run(refused, ReadOnlyFd(), config=Config(guest_memory=1 << 16, backing=backing))
    assert responses(machine) == ["RESP_ERR_UNSPEC"]


def test_signal_that_overtakes_the_answer_about_its_fence_is_not_lost() -> None:
    async def main(machine: Machine) -> None:
        assert (await worked(machine)).type == CtrlType.RESP_OK_NODATA

    run(main, Delay(link="renderer", message="FENCE", answer=True, seconds=1.0))


def test_bytes_that_are_no_signal_are_noted_and_signal_nothing() -> None:
    async def main(machine: Machine) -> None:
        with trio.move_on_after(60):
            await worked(machine)
        assert [note.who for note in machine.log.notes("no_signal")] == ["vmm"]

    run(main, Truncate(link="fences", size=23))


def test_answer_that_comes_twice_is_taken_once_and_its_descriptor_closed() -> None:
    async def main(machine: Machine) -> None:
        await mapped(machine)
        await machine.settle()
        await machine.run(machine.driver.command(CtxCreate(ctx_id=9)))
        assert len(machine.parts.renderer.vmm.files) == 1

    run(main, Duplicate(link="renderer", message="EXPORT_BLOB", answer=True))


def test_descriptor_that_comes_with_the_answer_to_close_is_closed() -> None:
    async def main(machine: Machine) -> None:
        file = DrmFile(machine.driver)
        handle, vma = await machine.run(create_and_mmap(file))
        await machine.run(vma.munmap())
        await machine.run(file.gem_close(handle))
        await machine.settle()
        assert machine.parts.renderer.vmm.files == {}

    run(main, ExtraFd(message="CLOSE"))


def test_host_that_is_late_is_given_up_and_its_late_answer_closes_nothing_open() -> None:
    async def main(machine: Machine) -> None:
        await refused(machine)
        assert trio.current_time() == PATIENCE
        assert machine.vmm.lost == "it did not answer EXPORT_BLOB in 5 seconds"
        await trio.sleep(100)

    run(main, Delay(link="renderer", message="EXPORT_BLOB", answer=True, seconds=30.0))


def test_host_that_hangs_for_a_while_is_waited_for() -> None:
    async def main(machine: Machine) -> None:
        await mapped(machine)
        assert trio.current_time() == 4
        assert machine.vmm.lost is None

    run(main, HostHangs(message="EXPORT_BLOB", seconds=4.0))


def test_what_waits_for_a_fence_of_a_host_that_dies_fails_with_its_fence() -> None:
    async def main(machine: Machine) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(die_soon, machine)
            answer = await worked(machine)
        assert (answer.type, answer.fence_id, answer.flags) == (CtrlType.RESP_ERR_UNSPEC, 7, CtrlFlag.FENCE)

    async def die_soon(machine: Machine) -> None:
        await trio.testing.wait_all_tasks_blocked()
        await machine.run(machine.driver.command(CtxCreate(ctx_id=2)))

    machine = run(main, HostDies(message="CTX_CREATE", skip=1))
    assert machine.vmm.lost == "it is gone"


def test_host_that_dies_when_it_was_asked_about_a_fence_leaves_nobody_waiting() -> None:
    """The descriptor that came with its answer is closed before anybody waits for the fence."""

    async def main(machine: Machine) -> None:
        assert (await worked(machine)).fence_id == 7
        assert machine.vmm.lost == "it is gone"

    run(main, ExtraFd(message="FENCE"), HostDies(message="CLOSE"))


def test_guest_memory_lives_on_when_the_host_is_dead() -> None:
    async def main(machine: Machine) -> None:
        await refused(machine)
        assert await machine.run(DrmFile(machine.driver).create_dumb(16, 16))
        await machine.settle()

    run(main, HostDies(message="CTX_CREATE"))


def test_restart_in_the_middle_of_a_fence_answers_it_once() -> None:
    async def main(machine: Machine) -> None:
        assert (await worked(machine)).type == CtrlType.RESP_OK_NODATA
        assert list(machine.log.notes("spurious")) == []

    run(main, VmmRestarts(link="renderer", message="FENCE", answer=True))


@pytest.mark.parametrize("late", [Delay(link="fences", seconds=1.0), Reorder(link="fences")])
@pytest.mark.parametrize("another", [restart, rebind])
def test_signal_on_its_way_to_a_vmm_that_ends_or_a_device_that_is_reset_is_lost(
    late: Fault, another: Callable[[Machine], Awaitable[None]]
) -> None:
    """A driver uses the number again, and is not told too early."""

    async def waits(machine: Machine) -> None:
        # a driver that is unbound waits no longer
        with suppress(OSError):
            await worked(machine)

    async def main(machine: Machine) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits, machine)
            await trio.sleep(0.1)
            await another(machine)
        for ctx_id in (2, 3):
            await machine.run(machine.driver.command(CtxCreate(ctx_id=ctx_id)))
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            # a signal that another one may come behind
            on_ring = CtrlFlag.FENCE | CtrlFlag.INFO_RING_IDX
            nursery.start_soon(partial(work, machine, fence_id=8, microseconds=1000, ctx_id=2, flags=on_ring))
            answer = await work(machine, fence_id=7, microseconds=3_000_000, ctx_id=3)
            assert answer.type == CtrlType.RESP_OK_NODATA
        assert trio.current_time() - start == pytest.approx(3.0)

    run(main, late)


def test_mapping_is_where_it_was_after_a_restart_with_its_bytes() -> None:
    async def main(machine: Machine) -> None:
        file = DrmFile(machine.driver)
        handle = await machine.run(file.resource_create_blob(size=4096, blob_id=1, cmd=alloc(ExporterKind.WC)))
        vma = await machine.run(file.mmap(file.map(handle), 4096))
        vma.write(5, b"still here")
        before = machine.vmm.device
        await restart(machine)
        assert machine.vmm.device is not before
        assert vma.read(5, 10) == b"still here"
        await machine.run(file.close())
        await machine.run(vma.munmap())
        await machine.settle()
        assert machine.vmm.device.resources == {}

    run(main, config=Config(guest_memory=1 << 16))


def test_answer_that_comes_when_the_host_was_just_given_up_is_too_late() -> None:
    """Its fence would never be signalled. Which of both is first, the answer or the time, is the scheduler's choice."""
    ends = set()

    async def main(machine: Machine) -> None:
        answer = await worked(machine)
        ends.add((machine.vmm.lost, answer.type))

    for seed in range(20):
        run(main, ClockJumps(link="renderer", message="FENCE", answer=True, seconds=6.0), seed=seed)
    silent = "it did not answer FENCE in 5 seconds"
    assert ends == {(None, CtrlType.RESP_OK_NODATA), (silent, CtrlType.RESP_OK_NODATA)}


@pytest.mark.parametrize("virtqueues", [False, True])
def test_call_that_waits_when_the_device_is_reset_is_enodev(virtqueues: bool) -> None:
    async def main(machine: Machine) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(unbound, worked(machine))
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(unbound, machine.settle())
            await rebind(machine)
        assert (await worked(machine)).type == CtrlType.RESP_OK_NODATA

    async def unbound(call: Awaitable[object]) -> None:
        with pytest.raises(OSError, match="unbound") as refused:
            await call
        assert refused.value.errno == ENODEV

    run(main, config=Config(guest_memory=1 << 16, virtqueues=virtqueues))


def test_fence_that_is_signalled_during_a_reset_answers_nobody() -> None:
    async def main(machine: Machine) -> None:
        with suppress(OSError):
            await worked(machine)
        await trio.testing.wait_all_tasks_blocked()
        assert (await worked(machine)).fence_id == 7

    run(main, DeviceResets(link="fences"), config=Config(guest_memory=1 << 16, virtqueues=True))


def test_hang_says_who_waits_for_a_signal_that_was_lost() -> None:
    async def main(machine: Machine) -> None:
        await worked(machine)

    with pytest.raises(HangError, match="the VMM waits for the signal of fence 7 of the device"):
        run(main, Truncate(link="fences", size=0))
