"""The PCI device that a vfio-user client finds, read as a VMM reads it."""

import os
import struct
from errno import EINVAL

import pytest
from backend_kit import CONFIG
from msgspec.structs import replace
from vfio_user_driver import COMMON, DEVICE, ISR, MSIX, NOTIFY, REGS, SHM, SPACE
from vfio_user_kit import (
    GET_INFO,
    IRQ_INFO,
    REGION_INFO,
    RESET,
    SET_IRQS,
    Client,
    drained,
    served,
)

from vgpu_wire.device import Config

pytestmark = pytest.mark.usefixtures("nothing_left")


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
