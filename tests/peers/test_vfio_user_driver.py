"""What a driver makes of the PCI device that a vfio-user client finds: queues, interrupts, blobs, reboots."""

import mmap
import os
import struct

import pytest
import trio
import trio.testing
from backend_kit import CONFIG, FEATURES, RAM, RING_FEATURES
from vfio_user_driver import ISR, REGS, SHM, Driver
from vfio_user_kit import (
    REGION_INFO,
    RESET,
    SET_IRQS,
    drained,
    served,
)

from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.vring import Vring
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob, ResourceMapBlob
from vgpu_wire.context_stream import BlobTag
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.render import CtxCreate

pytestmark = pytest.mark.usefixtures("nothing_left")
DISPLAY_INFO = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)


async def test_driver_is_answered_and_interrupted(ram: int, event: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.map(ram, 0, RAM)
        await client.arm(1, event)
        driver = Driver(client, ram)
        assert await driver.offered() == FEATURES | RING_FEATURES
        await driver.start()
        answers = await driver.say(event, DISPLAY_INFO, DISPLAY_INFO)
        assert [answer.type for answer in answers] == [CtrlType.RESP_OK_DISPLAY_INFO.value] * 2
        driver.maps.close()


async def test_guest_and_host_see_the_same_blob(ram: int, event: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.map(ram, 0, RAM)
        await client.arm(1, event)
        reply = await client.call(REGION_INFO, struct.pack("<4IQQ", 32, 0, SHM, 0, 0, 0))
        with mmap.mmap(reply.fds[0], 1 << 24) as bar:
            os.close(reply.fds[0])
            driver = Driver(client, ram)
            await driver.start()
            blob = ResourceCreateBlob(
                ctx_id=1,
                resource_id=1,
                blob_mem=BlobMem.HOST3D.value,
                blob_flags=BlobFlag.USE_MAPPABLE.value,
                blob_id=0x103,
                size=8192,
            )
            await driver.say(event, CtxCreate(ctx_id=1), blob, ResourceMapBlob(resource_id=1, offset=0x5000))
            assert bar[0x5000:0x5010] == BlobTag(blob_id=0x103).build()
            bar[0x5010:0x5015] = b"guest"
            assert await client.read(SHM, 0x5010, 5) == b"guest"
        driver.maps.close()


async def test_nothing_is_consumed_before_driver_ok(ram: int, event: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.map(ram, 0, RAM)
        await client.arm(1, event)
        driver = Driver(client, ram)
        assert await driver.accept(FEATURES | RING_FEATURES)
        vring = Vring.at(0, 64)
        queue = DriverQueue(driver.memory, vring, driver.arena, queue=0, indirect_desc=True, event_idx=True)
        await driver.set_queue(0, vring, 1)
        queue.add([DISPLAY_INFO.build()], [4096])
        await driver.kick()
        await trio.testing.wait_all_tasks_blocked()
        assert queue.get_used() == []
        await driver.set_common(20, 1, 15)
        await trio.lowlevel.wait_readable(event)
        assert len(queue.get_used()) == 1
        driver.maps.close()


async def test_features_that_do_not_go_leave_features_ok_clear(ram: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        driver = Driver(client, ram)
        assert not await driver.accept(1 << 32 | 1 << 40)
        assert not await driver.accept(FEATURES & ~(1 << 32))
        assert await driver.accept(FEATURES)
        driver.maps.close()


async def test_interrupt_that_comes_while_the_vector_is_taken_away_is_not_lost(ram: int, event: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.map(ram, 0, RAM)
        driver = Driver(client, ram)
        await driver.start()
        driver.queues[0].add([DISPLAY_INFO.build()], [4096])
        await driver.kick()
        await trio.testing.wait_all_tasks_blocked()
        await client.arm(1, event)
        assert drained(event) == 1
        # a vector without a descriptor is taken away
        await client.ok(SET_IRQS, struct.pack("<5I", 20, 0x24, 2, 1, 1))
        await client.ok(SET_IRQS, struct.pack("<5I", 20, 0x21, 2, 1, 1))
        await client.arm(1, event)
        assert drained(event) == 1
        driver.maps.close()


async def test_interrupt_pin_is_a_level_until_the_guest_has_seen_why(ram: int, event: int) -> None:
    def irqs(flags: int, count: int = 1) -> bytes:
        return struct.pack("<5I", 20, flags, 0, 0, count)

    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.map(ram, 0, RAM)
        await client.ok(SET_IRQS, irqs(0x24), [event])
        driver = Driver(client, ram)
        await driver.start(vectors=(0xFFFF, 0xFFFF))
        assert len(await driver.say(event, DISPLAY_INFO)) == 1
        # it is masked now; unmasked, it is still there
        assert drained(event) == 0
        await client.ok(SET_IRQS, irqs(0x11))
        assert drained(event) == 1
        assert await client.load(REGS, ISR, 1) == 1
        assert await client.load(REGS, ISR, 1) == 0
        await client.ok(SET_IRQS, irqs(0x11))
        assert drained(event) == 0
        # masked by the client, it waits
        await client.ok(SET_IRQS, irqs(0x09))
        driver.queues[0].add([DISPLAY_INFO.build()], [4096])
        await driver.kick()
        await trio.testing.wait_all_tasks_blocked()
        assert drained(event) == 0
        await client.ok(SET_IRQS, irqs(0x11))
        assert drained(event) == 1
        # the guest goes over to MSI-X
        await client.ok(SET_IRQS, irqs(0x21, 0))
        await client.ok(RESET)
        await client.ok(SET_IRQS, irqs(0x24), [event])
        assert drained(event) == 0
        await client.ok(SET_IRQS, irqs(0x21))
        assert drained(event) == 1
        driver.maps.close()


async def test_broken_ring_shows_in_the_status_and_interrupts(ram: int, event: int) -> None:
    async with served(CONFIG) as (client, server):
        await client.hello()
        await client.map(ram, 0, RAM)
        await client.arm(0, event)
        driver = Driver(client, ram)
        await driver.start()
        generation = await driver.common(21, 1)
        driver.memory.write(driver.queues[0].rings.vring.avail + 2, b"\xff\xff")
        await driver.kick()
        await trio.lowlevel.wait_readable(event)
        assert await driver.common(20, 1) == 0x4F
        assert await driver.common(21, 1) == generation + 1
        assert server.said.pop().startswith("the device needs a reset")
        await driver.start()
        assert await driver.common(20, 1) == 15
        driver.maps.close()


async def test_guest_reboots_and_starts_again(ram: int, event: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.map(ram, 0, RAM)
        for _ in range(3):
            await client.arm(1, event)
            driver = Driver(client, ram)
            await driver.start()
            assert len(await driver.say(event, DISPLAY_INFO)) == 1
            driver.maps.close()
            await client.ok(RESET)
            assert await driver.common(20, 1) == 0
            await client.ok(SET_IRQS, struct.pack("<5I", 20, 0x21, 2, 0, 0))
