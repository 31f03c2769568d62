"""Each fault in each state of a blob's life: whatever happens, every request has one answer or the failure is declared,
nothing is left behind, and the next life is as if nothing had been."""

from collections import Counter
from typing import NamedTuple

import pytest
import trio
import trio.testing
from fault_cells import Cell, cells
from msgspec.structs import replace
from support import alloc

from vgpu_emu.assembly import Config, size_only
from vgpu_emu.faults.plan import (
    FAULTS,
    CorruptBit,
    Drop,
    Duplicate,
    Fault,
    Reorder,
    ShortenCapacity,
    Truncate,
)
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.restarting import rebind, restart
from vgpu_emu.simulation import Simulation
from vgpu_emu.trace.log import GUEST, VMM, Message
from vgpu_wire.context_stream import ExporterKind, StreamWork

pytestmark = pytest.mark.usefixtures("nothing_left")
SMALL = Config(guest_memory=1 << 16, host_visible=1 << 16, backing=size_only)
CELLS = list(cells())
IN_RINGS = [
    cell
    for cell in CELLS
    if cell.point.link == "controlq" and not (isinstance(cell.fault, Duplicate) and cell.fault.answer)
]
#: longer than anything in the model waits
LONG = 120.0
#: faults after which a message of the queues, or a signal, is not there any more, or not what it was
LOSSES = (Drop, Reorder, CorruptBit, Truncate, ShortenCapacity)


class Ended(NamedTuple):
    """How a life ended. error: what the guest was told. waits: who waits for what, if it did not end."""

    error: OSError | None = None
    waits: tuple[str, ...] = ()


async def live(machine: Machine) -> Ended:
    """A blob is made, mapped, worked with behind a fence, unmapped, and ends."""
    with trio.move_on_after(LONG):
        try:
            await _life(machine)
        except OSError as error:
            return Ended(error)
        return Ended()
    return Ended(waits=tuple(machine.waits()))


async def _life(machine: Machine) -> None:
    file = DrmFile(machine.driver)
    try:
        await _use(machine, file)
    finally:
        await machine.run(file.close())
        await machine.settle()


async def _use(machine: Machine, file: DrmFile) -> None:
    cmd = alloc(ExporterKind.WC)
    handle = await machine.run(file.resource_create_blob(size=4096, blob_id=1, cmd=cmd))
    vma = await machine.run(file.mmap(file.map(handle), 4096))
    try:
        work = StreamWork(microseconds=1000).build()
        await machine.run(file.execbuffer(work, bo_handles=[handle]))
        await machine.run(file.execbuffer(b""))
        await machine.run(file.wait(handle))
    finally:
        await machine.run(vma.munmap())


def left(machine: Machine) -> list[str]:
    """What is still there of what the guest made."""
    device, parts = machine.vmm.device, machine.parts
    found = {
        "resources": device.resources,
        "contexts": device.contexts,
        "fences": list(device.fences),
        "blob bytes": device.blob_bytes,
        "mappings": list(parts.region),
        "resources of the renderer": parts.renderer.resources,
        "contexts of the renderer": parts.renderer.contexts,
        "descriptors": {**parts.renderer.process.files, **parts.renderer.vmm.files},
        "dma-bufs": parts.kernel.live,
    }
    return [f"{name}: {things}" for name, things in found.items() if things]


def answers_too_many(machine: Machine) -> dict[int, int]:
    """Chains that were given back more often than they were made available."""
    asked: Counter[int] = Counter()
    given: Counter[int] = Counter()
    for event in machine.log.events:
        if isinstance(event, Message) and event.sender in (GUEST, VMM) and event.receiver in (GUEST, VMM):
            (asked if event.sender == GUEST else given)[event.head] += 1
    again = 1 << 31
    return {head: given[head] for head in given if given[head] > asked[head] and head < again}


def may_be_lost(fault: Fault) -> bool:
    """The VMM misses an answer of the host; nobody misses anything else. The host signals the fence it heard of."""
    return isinstance(fault, LOSSES) and (fault.link != "renderer" or fault.message == "FENCE")


async def suffer(cell: Cell, config: Config) -> None:
    fault = cell.fault
    async with open_machine(config, faults=[fault]) as machine:
        assert machine.injector is not None
        first = await live(machine)
        # a restart or a reset may still be going on
        await trio.testing.wait_all_tasks_blocked()
        assert machine.injector.fired == [fault], "the fault did not happen"
        assert answers_too_many(machine) == {}
        if first.waits:
            assert may_be_lost(fault), f"a hang: {first.waits}"
        elif machine.vmm.device.needs_reset is None:
            assert machine.driver.in_flight == 0
        if machine.vmm.lost is None:
            await rebind(machine)
            if fault.message == "CLOSE":
                # what the kernel was not told to close it closes at the end of the process
                await restart(machine)
            assert left(machine) == []
            assert await live(machine) == Ended()
            assert left(machine) == []
    assert machine.parts.leaks() == []


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_after_the_fault_all_is_answered_nothing_is_left_and_life_goes_on(cell: Cell) -> None:
    Simulation(1).run(suffer, cell, SMALL)


@pytest.mark.parametrize("cell", IN_RINGS, ids=str)
def test_in_rings_of_guest_memory_it_is_the_same(cell: Cell) -> None:
    Simulation(1).run(suffer, cell, replace(SMALL, virtqueues=True))


async def test_answer_in_a_ring_cannot_come_twice() -> None:
    with pytest.raises(ValueError, match="gives no chain back twice"):
        async with open_machine(replace(SMALL, virtqueues=True), faults=[Duplicate(answer=True)]):
            raise AssertionError


def test_matrix_has_every_fault_and_is_not_empty() -> None:
    assert {type(cell.fault) for cell in CELLS} == set(FAULTS)
    assert len(CELLS) > 900
    assert len({str(cell) for cell in CELLS}) == len(CELLS)
