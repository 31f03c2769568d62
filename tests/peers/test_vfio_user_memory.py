"""Descriptors and memory that a vfio-user client should not have given: errors by name, nothing leaked."""

import os
import struct
from collections.abc import Iterator
from errno import EEXIST, EINVAL, ENOSPC, ENOTSUP

import pytest
import trio
import trio.testing
from backend_kit import CONFIG
from vfio_user_kit import (
    DMA_MAP,
    DMA_UNMAP,
    RESET,
    SET_IRQS,
    Client,
    message,
    served,
)

from vgpu_emu.peers import guest_maps
from vgpu_emu.peers.vfio_user import dma

pytestmark = pytest.mark.usefixtures("nothing_left")
PAGE = 4096


@pytest.fixture
def memfd(nothing_left: None) -> Iterator[int]:
    fileno = os.memfd_create("ram", os.MFD_CLOEXEC)
    os.truncate(fileno, 4 * PAGE)
    yield fileno
    os.close(fileno)


def dma_map(address: int, size: int, offset: int = 0, flags: int = 3) -> bytes:
    return struct.pack("<IIQQQ", 32, flags, offset, address, size)


def dma_unmap(address: int, size: int) -> bytes:
    return struct.pack("<IIQQ", 24, 0, address, size)


def irqs(start: int, count: int, flags: int = 0x24) -> bytes:
    return struct.pack("<5I", 20, flags, 2, start, count)


# -- descriptors


async def test_descriptors_that_a_command_does_not_take_are_closed(memfd: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.ok(RESET, b"", [memfd] * 8)
        assert await client.errno(DMA_MAP, dma_map(0, PAGE), [memfd] * 2) == EINVAL
        assert await client.errno(99, b"", [memfd]) == ENOTSUP


async def test_more_descriptors_than_a_message_may_have_end_the_connection(memfd: int) -> None:
    async with served(CONFIG) as (client, server):
        await client.hello()
        await client.send(message(RESET), [memfd] * 9)
        assert "more descriptors than a message may have" in await server.ends()


async def test_descriptor_in_the_middle_of_a_message_ends_the_connection(memfd: int) -> None:
    async with served(CONFIG) as (client, server):
        await client.hello()
        data = message(DMA_MAP, dma_map(0, PAGE))
        await client.send(data[:20])
        await trio.testing.wait_all_tasks_blocked()
        await client.send(data[20:], [memfd])
        assert "descriptors came in the middle of a message" in await server.ends()


async def test_pipelined_messages_keep_their_descriptors(memfd: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.send(message(DMA_MAP, dma_map(0, PAGE, flags=1)))
        await client.send(message(DMA_MAP, dma_map(0x10000, PAGE)), [memfd])
        assert (await client.reply(DMA_MAP)).errno == 0
        assert (await client.reply(DMA_MAP)).errno == 0
        await client.ok(DMA_UNMAP, dma_unmap(0, PAGE))
        await client.ok(DMA_UNMAP, dma_unmap(0x10000, PAGE))


@pytest.mark.parametrize("count", [1, 3])
async def test_interrupt_that_is_no_eventfd_is_refused(memfd: int, event: int, count: int) -> None:
    reader, writer = os.pipe()
    async with served(CONFIG) as (client, _):
        await client.hello()
        for fileno in (memfd, reader, writer):
            assert await client.errno(SET_IRQS, irqs(0, count), [event] * (count - 1) + [fileno]) == EINVAL
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("count", [1, 3, 8])
async def test_number_of_eventfds_must_be_that_of_the_vectors(event: int, count: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        assert await client.errno(SET_IRQS, irqs(0, 2), [event] * count) == EINVAL


async def test_full_eventfd_does_not_stop_the_server(event: int) -> None:
    os.eventfd_write(event, (1 << 64) - 2)
    os.set_blocking(event, True)
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.ok(SET_IRQS, irqs(1, 1), [event])
        await client.ok(SET_IRQS, irqs(1, 1, 0x21))
        await client.ok(RESET)


# -- memory


@pytest.mark.parametrize(
    ("address", "size", "offset", "errno"),
    [
        pytest.param(0x10000 - PAGE, 2 * PAGE, 0, EEXIST, id="over the start"),
        pytest.param(0x10000 + PAGE, 2 * PAGE, 0, EEXIST, id="over the end"),
        pytest.param(0x10000, 2 * PAGE, 0, EEXIST, id="the same again"),
        pytest.param(0x20000 + PAGE, PAGE, 0, EEXIST, id="inside a window without memory"),
        pytest.param((1 << 64) - PAGE, 2 * PAGE, 0, EINVAL, id="wraps around"),
        pytest.param(0, 5 * PAGE, 0, EINVAL, id="more than the file has"),
        pytest.param(0, PAGE, 4 * PAGE, EINVAL, id="behind the end of the file"),
        pytest.param(0, PAGE, (1 << 64) - PAGE, EINVAL, id="offset wraps around"),
        pytest.param(1, PAGE, 0, EINVAL, id="address inside a page"),
        pytest.param(0, (1 << 64) - PAGE, 0, EEXIST, id="all there is"),
    ],
)
async def test_window_that_lies_or_overlaps_is_refused(
    memfd: int, address: int, size: int, offset: int, errno: int
) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.map(memfd, 0x10000, 2 * PAGE)
        await client.ok(DMA_MAP, dma_map(0x20000, 4 * PAGE))
        assert await client.errno(DMA_MAP, dma_map(address, size, offset), [memfd]) == errno


async def test_window_is_taken_away_as_a_whole_or_not_at_all(memfd: int) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.map(memfd, 0x10000, 2 * PAGE)
        for address, size in ((0x10000, PAGE), (0x10000 + PAGE, PAGE), (0, 0x20000), (0x10000, 0)):
            assert await client.errno(DMA_UNMAP, dma_unmap(address, size)) == EINVAL
        assert await client.ok(DMA_UNMAP, dma_unmap(0x10000, 2 * PAGE)) == dma_unmap(0x10000, 2 * PAGE)
        await client.map(memfd, 0x10000, 2 * PAGE)


@pytest.mark.parametrize("with_memory", [True, False])
async def test_number_of_windows_is_limited(memfd: int, with_memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dma, "MAX_MAPS", 3)
    monkeypatch.setattr(guest_maps, "MAX_MAPS", 3)
    fds = [memfd] if with_memory else []
    async with served(CONFIG) as (client, _):
        await client.hello()
        for number in range(3):
            await client.ok(DMA_MAP, dma_map(number * PAGE, PAGE), fds)
        assert await client.errno(DMA_MAP, dma_map(3 * PAGE, PAGE), fds) == ENOSPC
        await client.ok(DMA_UNMAP, dma_unmap(0, PAGE))
        await client.ok(DMA_MAP, dma_map(3 * PAGE, PAGE), fds)


async def start_queue(client: Client, desc: int, size: int = 64) -> int:
    """Set up controlq with its rings at `desc`: the device's status then."""
    common = {0: (20, 1, 0), 1: (20, 1, 3), 2: (8, 4, 1), 3: (12, 4, 1), 4: (20, 1, 11), 5: (22, 2, 0)}
    common |= {6: (24, 2, size), 7: (32, 4, desc & 0xFFFFFFFF), 8: (36, 4, desc >> 32)}
    for offset, width, value in (*common.values(), (40, 4, 0x8000), (48, 4, 0x9000), (28, 2, 1)):
        await client.store(4, offset, width, value)
    return await client.load(4, 20, 1)


@pytest.mark.parametrize(
    ("desc", "size"),
    [
        pytest.param(0, 64, id="no memory at all"),
        pytest.param(1 << 63, 64, id="far away"),
        pytest.param((1 << 64) - 16, 64, id="the table wraps around"),
        pytest.param(8, 64, id="misaligned"),
        pytest.param(0, 63, id="no power of two"),
        pytest.param(0, 0, id="no entries"),
    ],
)
async def test_ring_that_cannot_be_needs_a_reset_and_no_more(desc: int, size: int) -> None:
    async with served(CONFIG) as (client, server):
        await client.hello()
        assert await start_queue(client, desc, size) == 0x4B
        assert server.said.pop().startswith("the device needs a reset")
        await client.store(4, 20, 1, 0)
        assert await client.load(4, 20, 1) == 0


async def test_memory_may_go_away_while_a_queue_is_in_it(memfd: int) -> None:
    ram = os.memfd_create("ram", os.MFD_CLOEXEC)
    os.truncate(ram, 0x10000)
    async with served(CONFIG) as (client, server):
        await client.hello()
        await client.map(ram, 0, 0x10000)
        assert await start_queue(client, 0) == 0x0B
        await client.store(4, 20, 1, 15)
        await client.ok(DMA_UNMAP, dma_unmap(0, 0x10000))
        await client.store(4, 0x3000, 2, 0)
        await trio.testing.wait_all_tasks_blocked()
        assert await client.load(4, 20, 1) == 0x4F
        assert "not in guest memory" in server.said.pop()
    os.close(ram)


@pytest.mark.parametrize("when", ["before the queue", "before a kick"])
async def test_memory_that_is_shortened_after_it_was_mapped_needs_a_reset(when: str) -> None:
    ram = os.memfd_create("ram", os.MFD_CLOEXEC)
    os.truncate(ram, 0x10000)
    async with served(CONFIG) as (client, server):
        await client.hello()
        await client.map(ram, 0, 0x10000)
        if when == "before the queue":
            os.truncate(ram, 0)
        await start_queue(client, 0)
        await client.store(4, 20, 1, 15)
        await trio.testing.wait_all_tasks_blocked()
        os.truncate(ram, 0)
        await client.store(4, 0x3000, 2, 0)
        await trio.testing.wait_all_tasks_blocked()
        assert await client.load(4, 20, 1) == 0x4F
        assert "not in guest memory" in server.said.pop()
        await client.ok(DMA_UNMAP, dma_unmap(0, 0x10000))
        await client.ok(RESET)
    os.close(ram)
