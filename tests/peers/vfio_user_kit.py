"""A vfio-user client by hand: bytes over a socketpair, and the memory and interrupts that a VMM would have."""

import os
import socket
import struct
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import trio

from vgpu_emu.assembly import Config
from vgpu_emu.peers.outlets import Outlets
from vgpu_emu.peers.serving import ProtocolError
from vgpu_emu.peers.stream import FdStream, PeerGoneError, StreamError
from vgpu_emu.peers.vfio_user.session import serve_guest

VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, REGION_INFO = 1, 2, 3, 4, 5
IRQ_INFO, SET_IRQS, READ, WRITE, RESET = 7, 8, 9, 10, 13
JSON = b'{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576,"twin_socket":{"supported":false}}}\0'
HELLO = struct.pack("<HH", 0, 0) + JSON
ERROR, REPLY = 0x21, 0x01


class Reply(NamedTuple):
    """flags, errno and payload as they came; the descriptors are the test's to close."""

    flags: int
    errno: int
    payload: bytes
    fds: list[int]


def message(command: int, payload: bytes = b"", *, number: int = 7, flags: int = 0, size: int | None = None) -> bytes:
    return struct.pack("<HHIII", number, command, 16 + len(payload) if size is None else size, flags, 0) + payload


class Client:
    """The VMM's end of the connection."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self.sock = sock

    async def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))] if fds else []
        sent = await self.sock.sendmsg([data], ancillary)
        while sent < len(data):
            sent += await self.sock.send(data[sent:])

    async def call(self, command: int, payload: bytes = b"", fds: Sequence[int] = ()) -> Reply:
        await self.send(message(command, payload), fds)
        return await self.reply(command)

    async def reply(self, command: int) -> Reply:
        data, ancillary, _, _ = await self.sock.recvmsg(16, 256, socket.MSG_CMSG_CLOEXEC)
        fds = array("i")
        for _, _, numbers in ancillary:
            fds.frombytes(numbers)
        number, answered, size, flags, errno = struct.unpack("<HHIII", data)
        assert (number, answered) == (7, command)
        payload = b""
        while len(payload) < size - 16:
            payload += await self.sock.recv(size - 16 - len(payload))
        return Reply(flags, errno, payload, list(fds))

    async def ok(self, command: int, payload: bytes = b"", fds: Sequence[int] = ()) -> bytes:
        reply = await self.call(command, payload, fds)
        assert (reply.flags, reply.errno) == (REPLY, 0)
        return reply.payload

    async def errno(self, command: int, payload: bytes = b"", fds: Sequence[int] = ()) -> int:
        """Of a command that is refused, with nothing but a header."""
        reply = await self.call(command, payload, fds)
        assert (reply.flags, reply.payload, reply.fds) == (ERROR, b"", [])
        return reply.errno

    async def hello(self) -> None:
        await self.ok(VERSION, HELLO)

    # -- regions

    async def read(self, region: int, offset: int, count: int) -> bytes:
        data = await self.ok(READ, struct.pack("<QII", offset, region, count))
        assert data[:16] == struct.pack("<QII", offset, region, count)
        return data[16:]

    async def load(self, region: int, offset: int, count: int) -> int:
        return int.from_bytes(await self.read(region, offset, count), "little")

    async def write(self, region: int, offset: int, data: bytes) -> None:
        head = struct.pack("<QII", offset, region, len(data))
        assert await self.ok(WRITE, head + data) == head

    async def store(self, region: int, offset: int, count: int, value: int) -> None:
        await self.write(region, offset, value.to_bytes(count, "little"))

    # -- memory and interrupts

    async def map(self, memfd: int, address: int, size: int, offset: int = 0, flags: int = 3) -> None:
        await self.ok(DMA_MAP, struct.pack("<IIQQQ", 32, flags, offset, address, size), [memfd])

    async def arm(self, vector: int, event: int) -> None:
        await self.ok(SET_IRQS, struct.pack("<5I", 20, 0x24, 2, vector, 1), [event])


class Server:
    """How the session ended: None as long as it runs."""

    def __init__(self) -> None:
        self.end: Exception | None = None
        self.ended = trio.Event()
        self.said: list[str] = []

    async def run(self, sock: trio.socket.SocketType, config: Config) -> None:
        with Outlets(self.said.append) as outlets, sock:
            try:
                await serve_guest(FdStream(sock), config, outlets)
            except (PeerGoneError, StreamError, ProtocolError) as error:
                self.end = error
        self.ended.set()

    async def ends(self) -> str:
        """Wait for the end; what the server says of it."""
        await self.ended.wait()
        return str(self.end)


@asynccontextmanager
async def served(config: Config) -> AsyncIterator[tuple[Client, Server]]:
    """A client and its server, which has ended when this does."""
    ours, theirs = trio.socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    server = Server()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run, theirs, config)
        with ours:
            yield Client(ours), server
        await server.ended.wait()


def drained(event: int) -> int:
    """What was added to an eventfd; 0: nothing."""
    with suppress(BlockingIOError):
        return os.eventfd_read(event)
    return 0
