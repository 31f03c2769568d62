"""The trio machine on split virtqueues in guest memory: the same bytes, batches, and what broken rings do."""

from typing import Any

import trio

from vgpu_emu.assembly import Config
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.link.virtqueues import _ARENA, _RINGS, BASE, QUEUE_SIZES
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.trace.log import CONTROLQ, RENDERER
from vgpu_wire.context_stream import ExporterKind, StreamAlloc, StreamWork
from vgpu_wire.control import CtrlFlag
from vgpu_wire.device import CONTROLQ as CONTROLQ_NUMBER
from vgpu_wire.render import CmdSubmit, CtxCreate

RINGS = Config(virtqueues=True)


async def map_a_blob(machine: Machine) -> Any:
    file = DrmFile(machine.driver)
    cmd = StreamAlloc(exporter=ExporterKind.WC.value, blob_id=1, size=4096).build()
    handle = await machine.run(file.resource_create_blob(size=4096, blob_id=1, cmd=cmd))
    return await machine.run(file.mmap(file.map(handle), 4096))


async def test_attribute_arrives_through_the_rings(autojump_clock: trio.testing.MockClock) -> None:
    async with open_machine(RINGS) as machine:
        vma = await map_a_blob(machine)
        assert vma.pgprot.value == "writecombine"
        vma.write(0, b"through the rings")
        assert vma.read(0, 7) == b"through"


async def test_rings_and_channels_carry_the_same_bytes(autojump_clock: trio.testing.MockClock) -> None:
    said = []
    for config in (Config(), RINGS):
        async with open_machine(config) as machine:
            await map_a_blob(machine)
            said.append([(m.link, m.sender, m.data, m.head) for m in machine.log.messages(CONTROLQ, RENDERER)])
    assert said[0] == said[1]


async def test_more_requests_than_descriptors_are_all_answered_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_machine(RINGS) as machine:
        file = DrmFile(machine.driver)
        for blob_id in range(1, 2 * QUEUE_SIZES[CONTROLQ_NUMBER]):
            cmd = StreamAlloc(exporter=ExporterKind.CACHED.value, blob_id=blob_id, size=4096).build()
            await machine.run(file.resource_create_blob(size=4096, blob_id=blob_id, cmd=cmd))
        await machine.settle()
        answered = [m.head for m in machine.log.messages(CONTROLQ) if m.sender == "vmm"]
        assert answered == sorted(answered)
        assert len(answered) == len(set(answered)) > 1000


async def corrupt(machine: Machine, place: int, value: int) -> None:
    """Write into the controlq's available ring behind the driver's back, and kick."""
    machine.parts.memory.write(BASE + 16 * QUEUE_SIZES[CONTROLQ_NUMBER] + place, value.to_bytes(2, "little"))
    machine.port._port._port.send(None)  # type: ignore[attr-defined]
    await trio.sleep(1)


async def test_broken_rings_put_the_device_in_needs_reset(autojump_clock: trio.testing.MockClock) -> None:
    async with open_machine(RINGS) as machine:
        vma = await map_a_blob(machine)
        await corrupt(machine, 2, 60000)
        assert machine.parts.device.needs_reset is not None
        assert [note.values["reason"] for note in machine.log.notes("needs_reset")] == [
            machine.parts.device.needs_reset
        ]
        with trio.move_on_after(60) as waited:
            await map_a_blob(machine)
        assert waited.cancelled_caught, "Linux waits for ever, and so does the model"
        assert vma.read(0, 1) == b"\0", "what is mapped stays mapped"
    assert not machine.parts.leaks()


async def test_head_out_of_range_is_a_reset_too(autojump_clock: trio.testing.MockClock) -> None:
    async with open_machine(RINGS) as machine:
        machine.parts.memory.write(BASE + 16 * QUEUE_SIZES[CONTROLQ_NUMBER] + 4, b"\xff\xff")
        await corrupt(machine, 2, 1)
        assert "65535" in (machine.parts.device.needs_reset or "")


async def test_fence_that_broken_rings_cannot_take_is_a_reset_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stream = StreamWork(microseconds=1_000_000).build()
    flags = CtrlFlag.FENCE.value
    request = CmdSubmit(ctx_id=1, flags=flags, fence_id=7, size=len(stream), commands=stream)
    async with open_machine(RINGS) as machine:
        await machine.run(machine.driver.command(CtxCreate(ctx_id=1)))
        with trio.move_on_after(0.5):
            await machine.run(machine.driver.command(request))
        machine.parts.memory.remove(BASE, len(QUEUE_SIZES) * _RINGS + _ARENA)
        await trio.sleep(5)
        assert machine.parts.device.needs_reset is not None
