"""A server and its guests, one after another, whatever became of the last one."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from backend_kit import CONFIG
from vfio_user_kit import READ, RESET, VERSION, Client, message

from vgpu_emu.peers.outlets import Outlets
from vgpu_emu.peers.serving import serve
from vgpu_emu.peers.stream import FdStream
from vgpu_emu.peers.vfio_user.session import serve_guest
from vgpu_emu.trace.log import Message
from vgpu_emu.trace.logfile import read_log

pytestmark = pytest.mark.usefixtures("nothing_left")


class Running:
    def __init__(self, path: str) -> None:
        self.path = path
        self.said: list[str] = []
        self.number = 0
        self.ended = trio.Event()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        with trio.socket.socket(trio.socket.AF_UNIX) as sock:
            await sock.connect(self.path)
            yield Client(sock)


@asynccontextmanager
async def running(log: Path | None = None) -> AsyncIterator[Running]:
    """A server, which a signal ends."""
    with TemporaryDirectory() as directory:
        server = Running(f"{directory}/gpu.sock")
        ready = trio.Event()

        async def run() -> None:
            with Outlets(server.said.append, log=log) as outlets:

                async def session(stream: FdStream) -> None:
                    await serve_guest(stream, CONFIG, outlets)

                server.number = await serve(server.path, session, server.said.append, ready.set)
            server.ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await ready.wait()
            yield server
            # another one would end the tests
            if not server.ended.is_set():
                os.kill(os.getpid(), signal.SIGTERM)
        assert not os.path.lexists(server.path)  # noqa: ASYNC240


async def test_guests_are_served_one_after_another() -> None:
    async with running() as server:
        for _ in range(3):
            async with server.client() as client:
                await client.hello()
                await client.ok(RESET)
        async with server.client() as client:
            await client.hello()
    assert server.said[:4] == [
        "guest 1 is connected",
        "guest 1: it has closed the connection",
        "guest 2 is connected",
        "guest 2: it has closed the connection",
    ]
    assert server.number == signal.SIGTERM


async def test_guest_that_comes_early_is_served_when_it_is_its_turn() -> None:
    async with running() as server, server.client() as second, server.client() as third:
        await second.hello()
        await third.send(message(VERSION, bytes(4)))
        await second.ok(RESET)
        second.sock.close()
        assert (await third.reply(VERSION)).errno == 0


async def test_guest_after_one_that_did_everything_wrong_is_served() -> None:
    async with running() as server:
        async with server.client() as client:
            await client.send(b"GET / HTTP/1.1\r\n")
        async with server.client() as client:
            await client.hello()
            await client.send(message(READ, size=20)[:18])
        async with server.client() as client:
            await client.hello()
    assert server.said[1].startswith("guest 1: a message of ")
    assert server.said[1].endswith("; the connection is closed")
    assert server.said[3].startswith("guest 2: the peer closed the connection in the middle of a message")


async def test_signal_ends_a_server_with_a_guest() -> None:
    async with running() as server, server.client() as client:
        await client.hello()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await client.sock.recv(1) == b""
        await server.ended.wait()


async def test_log_has_a_run_for_each_guest(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    async with running(log) as server:
        for _ in range(2):
            async with server.client() as client:
                await client.hello()
                await client.ok(RESET)
    with log.open("rb") as stream:
        runs = read_log(stream, "run.log")
    assert list(runs) == ["guest 1", "guest 2"]
    for events in runs.values():
        assert [event.link if isinstance(event, Message) else event.name for event in events] == [
            "assembled",
            "reset",
            "renderer",
            "renderer",
            "disconnected",
        ]
