"""Each party in turn is replaced by a recording of itself; the other two say the same bytes. So nobody reaches around
the wire: what a party needs to know reaches it in messages, or not at all."""

from collections.abc import Iterable

import pytest
import trio
from support import PAGE, create, create_and_mmap, said

from vgpu_emu.assembly import Config
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.trace.log import GUEST, HOST, VMM, Event, Log
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.context_stream import ExporterKind

pytestmark = pytest.mark.usefixtures("nothing_left")
Clock = trio.testing.MockClock

CONFIGS = {
    "with the ioctl": Config(),
    "third posting": Config(dialect=Dialect.RFC3),
    "without the ioctl": Config(ioctl=False),
    "qemu-virgl": Config(profile=PROFILES["qemu-virgl"]),
    "a small region": Config(host_visible=2 * PAGE),
}


async def program(machine: Machine) -> None:
    """A guest that succeeds, fails, waits and does not wait; it looks at no byte of a buffer."""
    file = DrmFile(machine.driver)
    for number, kind in enumerate(ExporterKind):
        try:
            handle, vma = await machine.run(create_and_mmap(file, kind, blob_id=number, size=PAGE + 1))
        except OSError:
            continue
        await machine.run(vma.munmap())
        if number != 1:
            await machine.run(file.gem_close(handle))
    await machine.run(create(file, blob_id=9, blob_flags=2))
    await machine.settle()
    await machine.run(file.close())
    await machine.settle()


async def live(config: Config) -> Log:
    async with open_machine(config) as machine:
        await program(machine)
    return machine.log


async def with_recorded(party: str, events: Iterable[Event], config: Config) -> Machine:
    """The same program with one party from a recording."""
    async with open_machine(config, recorded={party: events}) as machine:
        if party != GUEST:
            await program(machine)
        with trio.fail_after(1):
            await machine.replayed[party].wait()
    return machine


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("party", [GUEST, VMM, HOST])
async def test_others_say_the_same_when_one_is_a_recording(party: str, config: Config, autojump_clock: Clock) -> None:
    recorded = await live(config)
    assert len(said(recorded)) == 4
    machine = await with_recorded(party, recorded.events, config)
    assert said(machine.log) == said(recorded)
    assert machine.parts.leaks() == []


async def test_recording_of_a_recording_says_the_same(autojump_clock: Clock) -> None:
    recorded = await live(Config())
    again = await with_recorded(VMM, recorded.events, Config())
    third = await with_recorded(HOST, again.log.events, Config())
    assert said(third.log) == said(recorded)


async def test_replaced_party_does_nothing_itself(autojump_clock: Clock) -> None:
    recorded = await live(Config())
    without_host = await with_recorded(HOST, recorded.events, Config())
    assert (without_host.parts.renderer.contexts, without_host.parts.kernel.live) == ({}, {})
    without_vmm = await with_recorded(VMM, recorded.events, Config())
    assert without_vmm.parts.device.contexts == {}
    without_guest = await with_recorded(GUEST, recorded.events, Config())
    assert without_guest.driver.in_flight == 0


async def test_two_parties_can_be_recordings(autojump_clock: Clock) -> None:
    recorded = await live(Config())
    async with open_machine(recorded={GUEST: recorded.events, HOST: recorded.events}) as machine:
        for over in machine.replayed.values():
            with trio.fail_after(1):
                await over.wait()
    assert said(machine.log) == said(recorded)


async def test_another_recorded_host_makes_another_guest(autojump_clock: Clock) -> None:
    """The attribute comes from the wire: a host that says write-combined does so to whoever asks."""
    async with open_machine() as machine:
        await machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind.WC))
    async with open_machine(recorded={HOST: machine.log.events}) as replayed:
        _, vma = await replayed.run(create_and_mmap(DrmFile(replayed.driver), ExporterKind.CACHED))
        assert vma.pgprot.value == "writecombine"


async def test_recorded_vmm_that_stops_early_leaves_the_guest_waiting(autojump_clock: Clock) -> None:
    recorded = await live(Config())
    async with open_machine(recorded={VMM: recorded.events[:5]}) as machine:
        with trio.move_on_after(60) as patience:
            await program(machine)
        assert patience.cancelled_caught
        assert machine.replayed[VMM].is_set()
