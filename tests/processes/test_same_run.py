"""The same program under the same seed is the same run, event by event, whether the parties are processes or not."""

from collections.abc import Sequence
from contextlib import suppress

import pytest
import trio
from msgspec.structs import replace
from support import PAGE, create_and_mmap

from vgpu_emu.assembly import Config
from vgpu_emu.attributes.platform import platform
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.probe import probe
from vgpu_emu.machine import Isolation, Machine, open_machine
from vgpu_emu.simulation import Simulation
from vgpu_emu.trace.hashing import trace_hash
from vgpu_emu.trace.log import Event
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_wire.context_stream import ExporterKind, StreamWork
from vgpu_wire.virtgpu_drm import ExecbufFlag

pytestmark = pytest.mark.usefixtures("nothing_left", "no_process_left")
KINDS = [ExporterKind.WC, ExporterKind.CACHED, ExporterKind.INCOHERENT]


async def program(machine: Machine, number: int) -> None:
    """A guest program: buffers of its own kind, work that takes time, and a buffer that some VMMs refuse to map."""
    file = DrmFile(machine.driver)
    for blob_id in range(3):
        handle, vma = await machine.run(create_and_mmap(file, KINDS[number], blob_id=blob_id, size=(1 + number) * PAGE))
        vma.write(0, bytes([number]))
        work = StreamWork(microseconds=1000 * (1 + number)).build()
        await machine.run(file.execbuffer(work, flags=ExecbufFlag.FENCE_FD_OUT.value))
        assert vma.read(0, 1) == bytes([number])
        await machine.run(vma.munmap())
        await machine.run(file.gem_close(handle))
    with suppress(OSError):
        await machine.run(create_and_mmap(file, ExporterKind.SILENT, blob_id=9))
    await machine.run(file.close())


async def programs(config: Config, isolation: Isolation | None) -> tuple[Sequence[Event], list[str]]:
    async with open_machine(config, isolation=isolation) as machine:
        await machine.run(probe(machine.driver))
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(program, machine, number)
        await machine.settle()
        aliases = machine.parts.aliases.conflicts if machine.parts.aliases else []
        conflicts = [str(conflict) for conflict in (*machine.conflicts(), *aliases)]
    assert machine.parts.leaks() == []
    return machine.log.events, conflicts


def without_pids(event: Event) -> Event:
    if getattr(event, "name", None) != "assembled":
        return event
    values = {name: value for name, value in event.values.items() if name != "pids"}  # type: ignore[union-attr]
    return replace(event, values=values)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(virtqueues=True, profile=PROFILES["crosvm"]),
        Config(ioctl=False, platform=platform("amd")),
        Config(profile=PROFILES["qemu-virgl"], platform=platform("arm64")),
    ],
    ids=["strict", "crosvm, virtqueues", "amd, no ioctl", "qemu, arm64"],
)
def test_run_across_processes_is_the_run_in_one(config: Config, seed: int) -> None:
    within, conflicts = Simulation(seed).run(programs, config, None)
    across, conflicts_across = Simulation(seed).run(programs, config, "process")
    assert len(within) > 200
    assert [without_pids(event) for event in across] == list(within)
    assert trace_hash(across) == trace_hash(within)
    assert conflicts_across == conflicts


def test_another_seed_is_another_run() -> None:
    """So that the comparison says something."""
    assert Simulation(1).run(programs, Config(), None)[0] != Simulation(2).run(programs, Config(), None)[0]
