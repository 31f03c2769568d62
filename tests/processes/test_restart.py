"""A VMM's process that ends, and another that goes on from its snapshot: host, guest and their mappings live on."""

import pytest
from support import create_and_mmap

from vgpu_emu.assembly import Config
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.machine import Isolation, Machine, open_machine
from vgpu_emu.processes.joining import ProcessParts
from vgpu_emu.restarting import rebind, restart
from vgpu_emu.simulation import Simulation
from vgpu_emu.trace.hashing import trace_hash
from vgpu_emu.vmm.snapshot_state import SnapshotError
from vgpu_emu.vocabulary import Pgprot
from vgpu_wire.context_stream import ExporterKind

pytestmark = pytest.mark.usefixtures("nothing_left", "no_process_left")


async def program(machine: Machine) -> None:
    """A mapping that outlives a VMM, and a driver that is bound again."""
    file = DrmFile(machine.driver)
    _, vma = await machine.run(create_and_mmap(file, ExporterKind.WC))
    vma.write(0, b"before")
    await restart(machine)
    assert vma.read(0, 6) == b"before"
    with pytest.raises(SnapshotError):
        await restart(machine, b"{}")
    await rebind(machine)
    _, vma = await machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.INCOHERENT, blob_id=2))
    assert vma.pgprot is Pgprot.CACHED


async def run(isolation: Isolation | None) -> str:
    async with open_machine(Config(), isolation=isolation) as machine:
        first = machine.parts
        await program(machine)
        if isinstance(first, ProcessParts) and isinstance(machine.parts, ProcessParts):
            assert first.vmm.pid != machine.parts.vmm.pid
            assert first.host.pid == machine.parts.host.pid
        await machine.settle()
    assert machine.parts.leaks() == []
    return trace_hash(machine.log.events)


def test_restart_and_rebind_are_the_same_across_processes() -> None:
    assert Simulation(1).run(run, "process") == Simulation(1).run(run, None)
