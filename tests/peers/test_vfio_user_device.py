"""The PCI device that a vfio-user client finds, read as a VMM and a driver read it."""

import mmap
import os
import struct
from collections.abc import Iterator
from errno import EINVAL, ENOTSUP

import pytest
import trio
import trio.testing
from backend_kit import CONFIG, FEATURES, RAM, RING_FEATURES
from msgspec.structs import replace
from vfio_user_kit import (
    DMA_MAP,
    DMA_UNMAP,
    GET_INFO,
    HELLO,
    IRQ_INFO,
    READ,
    REGION_INFO,
    RESET,
    SET_IRQS,
    VERSION,
    WRITE,
    Client,
    drained,
    message,
    served,
)

from vgpu_emu.link.dma_arena import DmaArena
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import Vring
from vgpu_emu.peers.guest_maps import GuestMaps
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob, ResourceMapBlob
from vgpu_wire.context_stream import BlobTag
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import Config
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CtxCreate

pytestmark = pytest.mark.usefixtures("nothing_left")
SHM, MSIX, REGS, SPACE = 0, 2, 4, 7
#: offsets in the registers' BAR
COMMON, ISR, DEVICE, NOTIFY = 0, 0x1000, 0x2000, 0x3000
DISPLAY_INFO = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)


@pytest.fixture
def event(nothing_left: None) -> Iterator[int]:
    fileno = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    yield fileno
    os.close(fileno)


@pytest.fixture
def ram(nothing_left: None) -> Iterator[int]:
    fileno = os.memfd_create("ram", os.MFD_CLOEXEC)
    os.truncate(fileno, RAM)
    yield fileno
    os.close(fileno)


async def test_version_is_answered_with_what_both_have() -> None:
    async with served(CONFIG) as (client, _):
        reply = await client.ok(VERSION, HELLO)
        assert reply == b'\0\0\0\0{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576}}\0'


async def test_client_without_capabilities_is_taken() -> None:
    async with served(CONFIG) as (client, _):
        assert await client.ok(VERSION, bytes(4)) == b'\0\0\0\0{"capabilities":{}}\0'


async def test_device_is_a_pci_device_that_can_be_reset() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        assert struct.unpack("<4I", await client.ok(GET_INFO, struct.pack("<4I", 16, 0, 0, 0))) == (16, 3, 9, 5)
        assert await client.ok(RESET) == b""


async def test_regions_have_their_sizes_and_the_host_visible_one_a_descriptor() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        found = {}
        for index in range(9):
            reply = await client.call(REGION_INFO, struct.pack("<4IQQ", 32, 0, index, 0, 0, 0))
            argsz, flags, number, _, size, _ = struct.unpack("<4IQQ", reply.payload)
            assert (argsz, number) == (32, index)
            found[index] = (flags, size, len(reply.fds))
            for fileno in reply.fds:
                assert os.fstat(fileno).st_size == size
                os.close(fileno)
        nothing = (0, 0, 0)
        assert found == {
            0: (7, 1 << 24, 1),
            1: nothing,
            2: (3, 4096, 0),
            3: nothing,
            4: (3, 0x4000, 0),
            5: nothing,
            6: nothing,
            7: (3, 256, 0),
            8: nothing,
        }
        assert await client.errno(REGION_INFO, struct.pack("<4IQQ", 32, 0, 9, 0, 0, 0)) == EINVAL


async def test_interrupts_are_a_pin_and_msi_x() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        found = []
        for index in (0, 1, 2, 4):
            reply = struct.unpack("<4I", await client.ok(IRQ_INFO, struct.pack("<4I", 16, 0, index, 0)))
            assert (reply[0], reply[2]) == (16, index)
            found.append((reply[1], reply[3]))
        assert found == [(7, 1), (9, 0), (9, 3), (9, 0)]
        assert await client.errno(IRQ_INFO, struct.pack("<4I", 16, 0, 3, 0)) == EINVAL
        assert await client.errno(IRQ_INFO, struct.pack("<4I", 16, 0, 5, 0)) == EINVAL


async def capabilities(client: Client) -> dict[int, bytes]:
    """Of the configuration space: cfg_type of a vendor capability, else the id, -> its bytes."""
    space = await client.read(SPACE, 0, 256)
    found, place = {}, space[0x34]
    while place:
        length = space[place + 2] if space[place] == 9 else 12
        found[space[place + 3] if space[place] == 9 else 0x100 | space[place]] = space[place : place + length]
        place = space[place + 1]
    return found


async def test_configuration_space_names_a_virtio_gpu_and_its_capabilities() -> None:
    async with served(replace(CONFIG, host_visible=1 << 33)) as (client, _):
        await client.hello()
        space = await client.read(SPACE, 0, 64)
        assert struct.unpack_from("<HHHHI", space) == (0x1AF4, 0x1050, 0, 0x10, 0x03800001)
        assert space[0x3D] == 1
        found = await capabilities(client)
        assert sorted(found) == [1, 2, 3, 4, 5, 8, 0x111]
        assert struct.unpack("<HII", found[0x111][2:]) == (2, MSIX, 0x800 | MSIX)
        bar, identity, offset, length, offset_hi, length_hi = struct.unpack("<BBxxIIII", found[8][4:])
        assert (bar, identity, offset, length, offset_hi, length_hi) == (SHM, 1, 0, 0, 0, 2)
        places = {kind: struct.unpack_from("<BBxxII", found[kind], 4) for kind in (1, 2, 3, 4)}
        assert places == {
            1: (REGS, 0, COMMON, 0x1000),
            2: (REGS, 0, NOTIFY, 0x1000),
            3: (REGS, 0, ISR, 0x1000),
            4: (REGS, 0, DEVICE, 0x1000),
        }
        assert found[2][16:] == struct.pack("<I", 4)


async def test_without_a_host_visible_region_there_is_neither_bar_nor_capability() -> None:
    async with served(replace(CONFIG, host_visible=0)) as (client, _):
        await client.hello()
        assert 8 not in await capabilities(client)
        assert await client.read(SPACE, 0x10, 8) == bytes(8)


async def test_bars_are_sized_as_pci_does_it() -> None:
    async with served(replace(CONFIG, host_visible=1 << 33)) as (client, _):
        await client.hello()
        await client.write(SPACE, 0x10, b"\xff" * 24)
        sizes = struct.unpack("<QIIQ", await client.read(SPACE, 0x10, 24))
        assert sizes == (-(1 << 33) % (1 << 64) | 12, 0xFFFFF000, 0, -0x4000 % (1 << 64) | 12)


async def test_command_register_takes_what_a_driver_may_switch_and_a_reset_forgets_it() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.store(SPACE, 4, 2, 0xFFFF)
        await client.store(SPACE, 0, 4, 0)
        assert await client.load(SPACE, 4, 2) == 0x0406
        assert await client.load(SPACE, 0, 4) == 0x10501AF4
        await client.ok(RESET)
        assert await client.load(SPACE, 4, 2) == 0


async def test_registers_can_be_reached_through_the_configuration_space() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        space = await client.read(SPACE, 0, 256)
        place = space.index((await capabilities(client))[5])
        await client.store(SPACE, place + 4, 1, REGS)
        await client.store(SPACE, place + 8, 4, DEVICE + 8)
        await client.store(SPACE, place + 12, 4, 4)
        assert await client.load(SPACE, place + 16, 4) == 1
        # num_queues of the common configuration
        await client.store(SPACE, place + 8, 4, COMMON + 18)
        await client.store(SPACE, place + 12, 4, 2)
        assert await client.load(SPACE, place + 16, 2) == 2
        await client.store(SPACE, place + 8, 4, COMMON + 20)
        await client.store(SPACE, place + 12, 4, 1)
        await client.store(SPACE, place + 16, 1, 3)
        assert await client.load(REGS, COMMON + 20, 1) == 3
        # a place that is not there
        await client.store(SPACE, place + 8, 4, 0x4000)
        assert await client.load(SPACE, place + 16, 1) == 0
        await client.store(SPACE, place + 16, 1, 9)


# -- the driver's side


class Driver:
    """What Linux's virtio-pci does, by hand."""

    def __init__(self, client: Client, ram: int) -> None:
        self.client, self.ram = client, ram
        self.memory = GuestMemory()
        self.maps = GuestMaps(self.memory)
        self.maps.add(0, RAM, ram, 0)
        self.arena = DmaArena(RAM // 2, RAM // 2)
        self.queues: dict[int, DriverQueue] = {}

    async def common(self, offset: int, count: int) -> int:
        return await self.client.load(REGS, COMMON + offset, count)

    async def set_common(self, offset: int, count: int, value: int) -> None:
        await self.client.store(REGS, COMMON + offset, count, value)

    async def offered(self) -> int:
        features = 0
        for half in (0, 1):
            await self.set_common(0, 4, half)
            features |= await self.common(4, 4) << 32 * half
        return features

    async def accept(self, features: int) -> bool:
        await self.set_common(20, 1, 0)
        await self.set_common(20, 1, 1)
        await self.set_common(20, 1, 3)
        for half in (0, 1):
            await self.set_common(8, 4, half)
            await self.set_common(12, 4, features >> 32 * half & 0xFFFFFFFF)
        await self.set_common(20, 1, 11)
        return bool(await self.common(20, 1) & 8)

    async def set_queue(self, number: int, vring: Vring, vector: int) -> None:
        await self.set_common(22, 2, number)
        await self.set_common(24, 2, vring.size)
        await self.set_common(26, 2, vector)
        for offset, address in ((32, vring.desc), (40, vring.avail), (48, vring.used)):
            await self.set_common(offset, 4, address & 0xFFFFFFFF)
            await self.set_common(offset + 4, 4, address >> 32)
        await self.set_common(28, 2, 1)

    async def start(self, features: int = FEATURES | RING_FEATURES, vectors: tuple[int, int] = (1, 2)) -> None:
        assert await self.accept(features)
        await self.set_common(16, 2, 0)
        for number, size in ((0, 64), (1, 16)):
            vring = Vring.at(0x8000 * number, size)
            self.queues[number] = DriverQueue(
                self.memory, vring, self.arena, queue=number, indirect_desc=True, event_idx=True
            )
            await self.set_queue(number, vring, vectors[number])
        await self.set_common(20, 1, 15)

    async def kick(self, number: int = 0) -> None:
        await self.client.store(REGS, NOTIFY + 4 * number, 2, number)

    async def say(self, event: int, *requests: CtrlHdr) -> list[CtrlHdr]:
        """All answers, after the interrupt."""
        for request in requests:
            self.queues[0].add([request.build()], [4096])
        if self.queues[0].kick():
            await self.kick()
        await trio.lowlevel.wait_readable(event)
        drained(event)
        return [parse_message(used.written) for used in self.queues[0].get_used()]


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


async def test_client_can_trigger_a_vector_itself_and_disable_all(event: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.arm(2, event)
        await client.ok(SET_IRQS, struct.pack("<5I", 20, 0x21, 2, 2, 1))
        assert drained(event) == 1
        await client.ok(SET_IRQS, struct.pack("<5I3B", 23, 0x22, 2, 0, 3, 1, 0, 1))
        assert drained(event) == 1
        # those of another index are not these
        await client.ok(SET_IRQS, struct.pack("<5I", 20, 0x21, 1, 0, 0))
        await client.ok(SET_IRQS, struct.pack("<5I", 20, 0x21, 2, 2, 1))
        assert drained(event) == 1
        await client.ok(SET_IRQS, struct.pack("<5I", 20, 0x21, 2, 0, 0))
        await client.ok(SET_IRQS, struct.pack("<5I", 20, 0x21, 2, 2, 1))
        assert drained(event) == 0


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


async def test_register_takes_accesses_of_its_own_width_only() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        assert await client.load(REGS, COMMON + 18, 2) == 2
        assert await client.load(REGS, COMMON + 18, 1) == 0
        assert await client.load(REGS, COMMON + 16, 4) == 0
        await client.store(REGS, COMMON + 22, 1, 1)
        assert await client.load(REGS, COMMON + 22, 2) == 0
        await client.store(REGS, COMMON + 22, 2, 1)
        assert await client.load(REGS, COMMON + 24, 2) == 16
        await client.store(REGS, COMMON + 22, 2, 2)
        assert await client.load(REGS, COMMON + 24, 2) == 0


async def test_vector_that_is_not_there_reads_back_as_none() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        for offset in (16, 26):
            await client.store(REGS, COMMON + offset, 2, 2)
            assert await client.load(REGS, COMMON + offset, 2) == 2
            await client.store(REGS, COMMON + offset, 2, 3)
            assert await client.load(REGS, COMMON + offset, 2) == 0xFFFF


async def test_device_configuration_is_the_devices() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        config = Config.parse(await client.read(REGS, DEVICE, 20))
        assert (config.num_scanouts, config.num_capsets, config.blob_alignment) == (1, 4, 4096)
        assert await client.read(REGS, DEVICE + 18, 8) == bytes(8)
        await client.store(REGS, DEVICE + 4, 4, 1)


async def test_user_is_told_of_memory_that_is_not_shared(ram: int) -> None:
    async with served(CONFIG) as (client, server):
        await client.hello()
        window = struct.pack("<IIQQQ", 32, 3, 0, 0, RAM)
        for _ in range(2):
            await client.ok(DMA_MAP, window)
            await client.ok(DMA_UNMAP, struct.pack("<IIQQ", 24, 0, 0, RAM))
        (said,) = server.said
        assert said.startswith("the VMM does not share the guest's memory: QEMU needs -object memory-backend-memfd")
        await client.ok(DMA_MAP, window, [ram])
        # a ROM
        await client.ok(DMA_MAP, struct.pack("<IIQQQ", 32, 1, 0, 1 << 30, RAM))
        assert server.said == [said]


async def test_command_that_wants_no_reply_gets_none() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        write = struct.pack("<QII", COMMON + 22, REGS, 2) + b"\1\0"
        await client.send(message(WRITE, write, flags=0x10) + message(99, flags=0x10))
        assert await client.load(REGS, COMMON + 22, 2) == 1


async def test_command_that_is_not_known_is_not_supported() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        for command in (0, 6, 11, 14, 15, 16, 99, VERSION):
            assert await client.errno(command) == ENOTSUP


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        (GET_INFO, struct.pack("<3I", 16, 0, 0)),
        (GET_INFO, struct.pack("<4I", 15, 0, 0, 0)),
        (REGION_INFO, struct.pack("<4IQQ", 31, 0, 0, 0, 0, 0)),
        (IRQ_INFO, struct.pack("<4I", 15, 0, 0, 0)),
        (READ, struct.pack("<QII", 0, 1, 1)),
        (READ, struct.pack("<QII", 256, SPACE, 1)),
        (READ, struct.pack("<QII", 0, SPACE, 257)),
        (READ, struct.pack("<QII", (1 << 64) - 1, SPACE, 1)),
        (READ, struct.pack("<QII", 0, SHM, (1 << 20) + 1)),
        (WRITE, struct.pack("<QII", 0, SPACE, 4) + b"xyz"),
        (WRITE, struct.pack("<QII", 0, SPACE, 2) + b"xyz"),
        (SET_IRQS, struct.pack("<5I", 20, 0x24, 2, 3, 1)),
        (SET_IRQS, struct.pack("<5I", 20, 0x24, 2, 0xFFFFFFFF, 1)),
        (SET_IRQS, struct.pack("<5I", 20, 0x24, 1, 0, 1)),
        (SET_IRQS, struct.pack("<5I", 20, 0x24, 1, 0, 0)),
        (SET_IRQS, struct.pack("<5I", 20, 0x24, 0, 0, 2)),
        (SET_IRQS, struct.pack("<5I", 20, 0x14, 0, 0, 1)),
        (SET_IRQS, struct.pack("<5I", 20, 0x22, 0, 0, 1)),
        (SET_IRQS, struct.pack("<5I", 20, 0x24, 5, 0, 0)),
        (SET_IRQS, struct.pack("<5I", 20, 0x09, 2, 0, 1)),
        (SET_IRQS, struct.pack("<5I", 20, 0x23, 2, 0, 1)),
        (SET_IRQS, struct.pack("<5IB", 21, 0x22, 2, 0, 2, 1)),
        (DMA_UNMAP, struct.pack("<IIQQ", 24, 0, 0, 4096)),
        (DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, 0)),
        (DMA_MAP, struct.pack("<IIQQQ", 32, 7, 0, 0, 4096)),
    ],
)
async def test_payload_that_makes_no_sense_is_invalid(command: int, payload: bytes) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        assert await client.errno(command, payload) == EINVAL
        assert await client.ok(RESET) == b""


async def test_largest_read_there_is_comes_whole() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        assert await client.read(SHM, 0, 1 << 20) == bytes(1 << 20)
