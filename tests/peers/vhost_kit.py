"""A front-end by hand: the far end of a back-end's socket, guest memory in a memfd, queues in it, eventfds."""

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import trio
import trio.lowlevel

from vgpu_emu.assembly import Config
from vgpu_emu.guest.probe import VERSION_1
from vgpu_emu.link.dma_arena import DmaArena
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import Vring
from vgpu_emu.peers.guest_maps import GuestMaps
from vgpu_emu.peers.outlets import Outlets
from vgpu_emu.peers.serving import ProtocolError
from vgpu_emu.peers.stream import FdStream, PeerGoneError, StreamError
from vgpu_emu.peers.vhost_user.link import Message, receive_message, send_message
from vgpu_emu.peers.vhost_user.session import serve_guest
from vgpu_wire.control import CtrlHdr
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature
from vgpu_wire.layout import Record
from vgpu_wire.messages import parse_message
from vgpu_wire.vhost_user import (
    F_PROTOCOL_FEATURES,
    REPLIES,
    U64,
    FrontendRequest,
    HeaderFlag,
    Memory,
    MemoryRegion,
    ProtocolFeature,
    VringAddr,
    VringState,
)
from vgpu_wire.vring import RingFeature

R = TypeVar("R", bound=Record)
F = FrontendRequest
RAM = 1 << 20
#: seconds until a test that hangs fails; longer than the back-end is patient
PATIENCE = 60.0
#: where the front-end has guest memory
USER = 0x7F00_0000_0000
CONFIG = Config(guest_memory=0, opaque_renderer=True, tagged_blobs=True, host_visible=1 << 24)
FEATURES = (
    sum(1 << feature for feature in Feature)
    | 1 << VERSION_1
    | 1 << RingFeature.INDIRECT_DESC
    | 1 << RingFeature.EVENT_IDX
)
PROTOCOL = sum(
    1 << feature
    for feature in (
        ProtocolFeature.MQ,
        ProtocolFeature.REPLY_ACK,
        ProtocolFeature.BACKEND_REQ,
        ProtocolFeature.CONFIG,
        ProtocolFeature.BACKEND_SEND_FD,
        ProtocolFeature.RESET_DEVICE,
        ProtocolFeature.SHMEM_MAP,
    )
)
PLACES = {CONTROLQ: Vring.at(0, 64), CURSORQ: Vring.at(0x8000, 16)}


class Frontend:
    """stream: its end of the connection."""

    def __init__(self, stream: FdStream) -> None:
        self.stream = stream
        self.memfd = os.memfd_create("ram", os.MFD_CLOEXEC)
        os.truncate(self.memfd, RAM)
        self.maps = GuestMaps(GuestMemory())
        self.maps.add(0, RAM, self.memfd, 0)
        self.kicks = {number: os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for number in PLACES}
        self.calls = {number: os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for number in PLACES}
        self.errors = {number: os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for number in PLACES}
        self.queues: dict[int, DriverQueue] = {}
        self.region = MemoryRegion(0, RAM, USER, 0)

    def close(self) -> None:
        self.stream.close()
        self.maps.close()
        for number in (self.memfd, *self.kicks.values(), *self.calls.values(), *self.errors.values()):
            os.close(number)

    # -- messages

    async def send(
        self, request: int, payload: Record | bytes = b"", fds: Sequence[int] = (), *, flags: int = 0
    ) -> None:
        await send_message(self.stream, request, payload, fds=fds, flags=flags)

    async def receive(self) -> Message:
        message = await receive_message(self.stream)
        message.fds.close()
        return message

    async def ask(self, request: FrontendRequest, payload: Record | bytes = b"") -> Record:
        """A request that is answered: its answer."""
        await self.send(request, payload)
        message = await self.receive()
        assert (message.request, message.is_reply) == (request, True)
        return message.parse(REPLIES[request])

    async def tell(self, request: int, payload: Record | bytes = b"", fds: Sequence[int] = ()) -> int:
        """Any other, with NEED_REPLY: 0 for success."""
        await self.send(request, payload, fds, flags=HeaderFlag.NEED_REPLY)
        message = await self.receive()
        assert (message.request, message.is_reply) == (request, True)
        return message.parse(U64).value

    # -- the usual way

    async def negotiate(self, protocol: int = PROTOCOL, features: int = FEATURES) -> None:
        await self.send(F.SET_PROTOCOL_FEATURES, U64(protocol))
        await self.send(F.SET_OWNER)
        await self.send(F.SET_FEATURES, U64(features | 1 << F_PROTOCOL_FEATURES))

    async def share_memory(self) -> None:
        assert await self.tell(F.SET_MEM_TABLE, Memory(1, 0, [self.region]), [self.memfd]) == 0

    async def start_queue(self, number: int = CONTROLQ, base: int = 0) -> None:
        """As QEMU does it, request by request."""
        vring = PLACES[number]
        if number not in self.queues:
            arena = DmaArena(RAM // 2 + number * RAM // 4, RAM // 4)
            options = {"indirect_desc": True, "event_idx": True}
            self.queues[number] = DriverQueue(self.maps.memory, vring, arena, queue=number, **options)
        await self.send(F.SET_VRING_NUM, VringState(number, vring.size))
        await self.send(F.SET_VRING_BASE, VringState(number, base))
        addresses = VringAddr(number, 0, USER + vring.desc, USER + vring.used, USER + vring.avail)
        await self.send(F.SET_VRING_ADDR, addresses)
        assert await self.tell(F.SET_VRING_KICK, U64(number), [self.kicks[number]]) == 0
        assert await self.tell(F.SET_VRING_CALL, U64(number), [self.calls[number]]) == 0
        assert await self.tell(F.SET_VRING_ERR, U64(number), [self.errors[number]]) == 0
        assert await self.tell(F.SET_VRING_ENABLE, VringState(number, 1)) == 0

    async def open_channel(self) -> FdStream:
        """The back-end's own requests come here."""
        ours, theirs = socket.socketpair()
        with theirs:
            assert await self.tell(F.SET_BACKEND_REQ_FD, fds=[theirs.fileno()]) == 0
        return FdStream(trio.socket.from_stdlib_socket(ours))

    async def set_up(self) -> None:
        await self.negotiate()
        await self.share_memory()
        await self.start_queue()

    # -- the guest

    def kick(self, *requests: Record, queue: int = CONTROLQ) -> None:
        """Requests in one kick."""
        for request in requests:
            self.queues[queue].add([request.build()], [4096])
        self.queues[queue].kick()
        os.eventfd_write(self.kicks[queue], 1)

    async def answers(self, queue: int = CONTROLQ) -> list[CtrlHdr]:
        """Wait for an interrupt: what was answered."""
        await trio.lowlevel.wait_readable(self.calls[queue])
        os.eventfd_read(self.calls[queue])
        return [parse_message(used.written) for used in self.queues[queue].get_used()]

    async def run(self, *requests: Record, queue: int = CONTROLQ) -> list[CtrlHdr]:
        self.kick(*requests, queue=queue)
        return await self.answers(queue)


class Ending:
    """How the session ended, once it has. said: lines for the user."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.error: Exception | None = None
        self.over = trio.Event()

    async def serve(self, stream: FdStream, config: Config) -> None:
        with Outlets(self.said.append) as outlets:
            try:
                await serve_guest(stream, config, outlets)
            except (PeerGoneError, StreamError, ProtocolError) as error:
                self.error = error
            finally:
                stream.close()
                self.over.set()


@asynccontextmanager
async def frontend(config: Config = CONFIG) -> AsyncIterator[tuple[Frontend, Ending]]:
    """A front-end that is connected to a back-end. At the end it closes the connection, if it has not, and waits."""
    ours, theirs = socket.socketpair()
    ending = Ending()
    with trio.fail_after(PATIENCE):
        async with _frontend(config, ending, ours, theirs) as peer:
            yield peer, ending


@asynccontextmanager
async def _frontend(
    config: Config, ending: Ending, ours: socket.socket, theirs: socket.socket
) -> AsyncIterator[Frontend]:
    async with trio.open_nursery() as nursery:
        stream = FdStream(trio.socket.from_stdlib_socket(theirs))
        nursery.start_soon(ending.serve, stream, config)
        peer = Frontend(FdStream(trio.socket.from_stdlib_socket(ours)))
        try:
            yield peer
        finally:
            peer.close()
            with trio.CancelScope(shield=True), suppress(trio.Cancelled):
                await ending.over.wait()
