"""Clients that do everything wrong: a clear line, a clean end, nothing left, and the next client is served."""

import os
import struct
from errno import EINVAL, ENOTSUP

import pytest
import trio
import trio.testing
from backend_kit import CONFIG
from vfio_user_kit import ERROR, HELLO, READ, RESET, VERSION, message, served

from vgpu_emu.peers.vfio_user.link import MAX_MESSAGE

pytestmark = pytest.mark.usefixtures("nothing_left")


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
