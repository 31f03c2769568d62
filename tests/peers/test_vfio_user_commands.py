"""The commands of a vfio-user client: what they are answered, and refused."""

import struct
from errno import EINVAL, ENOTSUP

import pytest
from backend_kit import CONFIG, RAM
from vfio_user_driver import COMMON, REGS, SHM, SPACE
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
    message,
    served,
)

pytestmark = pytest.mark.usefixtures("nothing_left")


async def test_version_is_answered_with_what_both_have() -> None:
    async with served(CONFIG) as (client, _):
        reply = await client.ok(VERSION, HELLO)
        assert reply == b'\0\0\0\0{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576}}\0'


async def test_client_without_capabilities_is_taken() -> None:
    async with served(CONFIG) as (client, _):
        assert await client.ok(VERSION, bytes(4)) == b'\0\0\0\0{"capabilities":{}}\0'


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
