"""Clients that do everything wrong: a clear line, a clean end, nothing left, and the next client is served."""

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
    ERROR,
    HELLO,
    READ,
    RESET,
    SET_IRQS,
    VERSION,
    Client,
    message,
    served,
)

from vgpu_emu.peers import guest_maps
from vgpu_emu.peers.vfio_user import dma
from vgpu_emu.peers.vfio_user.link import MAX_MESSAGE

pytestmark = pytest.mark.usefixtures("nothing_left")
PAGE = 4096


@pytest.fixture
def memfd(nothing_left: None) -> Iterator[int]:
    fileno = os.memfd_create("ram", os.MFD_CLOEXEC)
    os.truncate(fileno, 4 * PAGE)
    yield fileno
    os.close(fileno)


@pytest.fixture
def event(nothing_left: None) -> Iterator[int]:
    fileno = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    yield fileno
    os.close(fileno)


def dma_map(address: int, size: int, offset: int = 0, flags: int = 3) -> bytes:
    return struct.pack("<IIQQQ", 32, flags, offset, address, size)


def dma_unmap(address: int, size: int) -> bytes:
    return struct.pack("<IIQQ", 24, 0, address, size)


def irqs(start: int, count: int, flags: int = 0x24) -> bytes:
    return struct.pack("<5I", 20, flags, 2, start, count)


# -- before the version is agreed


@pytest.mark.parametrize(
    ("first", "errno", "line"),
    [
        pytest.param(message(VERSION, struct.pack("<HH", 1, 0)), ENOTSUP, "version 1.0; here is 0.0", id="newer"),
        pytest.param(message(VERSION, b"\0\0"), EINVAL, "an unreadable VERSION", id="too short"),
        pytest.param(message(VERSION, bytes(4) + b"{]"), EINVAL, "an unreadable VERSION", id="no JSON"),
        pytest.param(message(VERSION, bytes(4) + b"[]\0"), EINVAL, "an unreadable VERSION", id="JSON, but a list"),
        pytest.param(message(VERSION, bytes(4) + b'{"capabilities":3}\0'), EINVAL, "unreadable", id="no capabilities"),
        pytest.param(message(VERSION, bytes(4) + b"[" * 100_000 + b"\0"), EINVAL, "unreadable", id="very deep"),
        pytest.param(
            message(VERSION, bytes(4) + b'{"capabilities":{"\xff":1}}\0'), EINVAL, "unreadable", id="no UTF-8"
        ),
        pytest.param(message(RESET), EINVAL, "the first message is command 13, not VERSION", id="another command"),
    ],
)
async def test_client_of_another_version_is_told_before_it_is_left(first: bytes, errno: int, line: str) -> None:
    async with served(CONFIG) as (client, server):
        await client.send(first)
        answer = await client.sock.recv(16)
        assert struct.unpack("<HHIII", answer)[2:] == (16, ERROR, errno)
        assert line in await server.ends()
        assert await client.sock.recv(1) == b""


# -- messages that are none


@pytest.mark.parametrize(
    ("data", "line"),
    [
        pytest.param(message(RESET, size=15), "a message of 15 bytes", id="shorter than a header"),
        pytest.param(message(RESET, size=MAX_MESSAGE + 1), f"a message of {MAX_MESSAGE + 1} bytes", id="too long"),
        pytest.param(message(RESET, size=0xFFFFFFFF), "a message of 4294967295 bytes", id="4 GiB"),
        pytest.param(message(RESET, flags=1), "flags 0x1: a reply to nothing", id="a reply"),
    ],
)
async def test_frame_that_is_none_ends_the_connection(data: bytes, line: str) -> None:
    async with served(CONFIG) as (client, server):
        await client.hello()
        await client.send(data)
        assert line in await server.ends()


async def test_longest_message_there_is_gets_an_answer() -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await client.send(message(99, bytes(MAX_MESSAGE - 16)))
        assert (await client.reply(99)).errno == ENOTSUP


@pytest.mark.parametrize("length", [1, 15, 16, 31])
async def test_peer_that_dies_in_the_middle_of_a_message_is_reported(length: int) -> None:
    async with served(CONFIG) as (client, server):
        await client.hello()
        await client.send(message(READ, struct.pack("<QII", 0, 7, 4))[:length])
        client.sock.close()
        assert "in the middle of a message" in await server.ends()


async def test_peer_that_dies_before_it_has_said_anything_is_gone() -> None:
    async with served(CONFIG) as (client, server):
        client.sock.close()
        assert await server.ends() == "the peer closed the connection"


@pytest.mark.parametrize("length", [0, 1, 20])
async def test_peer_that_never_says_its_version_is_left(length: int, autojump_clock: trio.testing.MockClock) -> None:
    async with served(CONFIG) as (client, server):
        await client.send(message(VERSION, HELLO)[:length] or b"")
        assert "for 30 seconds" in await server.ends()


async def test_peer_that_stops_in_the_middle_of_a_message_is_left(autojump_clock: trio.testing.MockClock) -> None:
    async with served(CONFIG) as (client, server):
        await client.hello()
        await client.send(message(RESET)[:8])
        assert await server.ends() == "it has not gone on with a message for 30 seconds"


async def test_peer_may_be_silent_between_messages(autojump_clock: trio.testing.MockClock) -> None:
    async with served(CONFIG) as (client, _):
        await client.hello()
        await trio.sleep(10_000)
        await client.ok(RESET)


async def test_peer_that_stops_reading_is_left(autojump_clock: trio.testing.MockClock) -> None:
    async with served(CONFIG) as (client, server):
        await client.hello()
        for _ in range(8):
            await client.send(message(READ, struct.pack("<QII", 0, 0, 1 << 20)))
        assert await server.ends() == "it has not read its replies for 30 seconds"


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


async def test_random_bytes_never_hurt() -> None:
    from random import Random

    for seed in range(30):
        random = Random(seed)
        async with served(CONFIG) as (client, server):
            await client.hello()
            for _ in range(20):
                command, size = random.choice([*range(20), 1000]), random.choice([0, 4, 16, 20, 24, 32, 40])
                payload = bytearray(random.choice([bytes(size), random.randbytes(size)]))
                if size >= 4:
                    payload[:4] = struct.pack("<I", size)
                reply = await client.call(command, bytes(payload))
                for fileno in reply.fds:
                    os.close(fileno)
            server.said.clear()
