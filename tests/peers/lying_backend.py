"""A small vhost-user back-end at the other end of a socket pair, which can be told to lie. Our device is behind it."""

import mmap
import os
import socket
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager, closing, suppress

import trio

from vgpu_emu.assembly import Config as DeviceConfig
from vgpu_emu.guest.probe import VERSION_1
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import Vring
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.front.machine import DeviceMachine, FrontConfig
from vgpu_emu.peers.front.opening import open_device
from vgpu_emu.peers.stream import Fds, FdStream, PeerGoneError, StreamError
from vgpu_emu.shell import sole
from vgpu_wire.device import Config, Feature, ShmId
from vgpu_wire.layout import Record
from vgpu_wire.vhost_user import (
    F_PROTOCOL_FEATURES,
    FRONTEND_PAYLOADS,
    REPLIES,
    U64,
    VERSION,
    ConfigSpace,
    FrontendRequest,
    Header,
    HeaderFlag,
    Memory,
    ProtocolFeature,
    ShmemConfig,
    VringAddr,
    VringState,
)
from vgpu_wire.vring import RingFeature

R = FrontendRequest
FEATURES = {Feature.VIRGL, Feature.EDID, VERSION_1, F_PROTOCOL_FEATURES, *RingFeature}
PROTOCOL = {
    ProtocolFeature.REPLY_ACK,
    ProtocolFeature.CONFIG,
    ProtocolFeature.BACKEND_REQ,
    ProtocolFeature.BACKEND_SEND_FD,
    ProtocolFeature.SHMEM_MAP,
}
REGION = 1 << 20
#: what a front-end says, in order
SEQUENCE = (
    R.GET_FEATURES,
    R.GET_PROTOCOL_FEATURES,
    R.SET_OWNER,
    R.SET_PROTOCOL_FEATURES,
    R.GET_CONFIG,
    R.GET_SHMEM_CONFIG,
    R.SET_FEATURES,
    R.GPU_SET_SOCKET,
    R.SET_BACKEND_REQ_FD,
    R.SET_MEM_TABLE,
    R.SET_VRING_NUM,
    R.SET_VRING_BASE,
    R.SET_VRING_ADDR,
    R.SET_VRING_CALL,
    R.SET_VRING_KICK,
    R.SET_VRING_ENABLE,
)
Carry = Callable[["Backend", DeviceQueue, list[Chain]], None]
Lie = Callable[["Backend", Header], bytes | None]


def bits(features: Iterable[int]) -> int:
    return sum(1 << feature for feature in features)


def reply_to(request: int, payload: bytes) -> bytes:
    return Header(request=request, flags=VERSION | HeaderFlag.REPLY, size=len(payload)).build() + payload


class Backend:
    """lies: request -> what is sent instead of its reply; None: nothing. carry: does a kick's chains, instead of us.

    gpu, requests: the other two sockets, once they came. call: the driver's eventfd.
    """

    def __init__(self, sock: socket.socket, kept: ExitStack, nursery: trio.Nursery) -> None:
        self.stream = FdStream(trio.socket.from_stdlib_socket(sock))
        self.nursery = nursery
        self.kept = kept
        self.lies: dict[int, Lie] = {}
        self.carry: Carry = Backend.answer
        self.features = {*FEATURES}
        self.config = Config(num_scanouts=1, num_capsets=1)
        self.region = REGION
        self.heard: list[FrontendRequest] = []
        self.memory = GuestMemory()
        self.queues: dict[int, DeviceQueue] = {}
        self.device = kept.enter_context(Lockstep())
        self.call = -1
        self.gpu: FdStream | None = None
        self.requests: FdStream | None = None
        self._regions: list[tuple[int, int]] = []
        self._sizes: dict[int, int] = {}

    async def serve(self) -> None:
        with suppress(PeerGoneError, StreamError, trio.ClosedResourceError):
            while True:
                data, fds = await self.stream.receive_start(Header.layout.size)
                with fds:
                    header = Header.parse(data)
                    await self.one(header, await self.stream.receive_rest(header.size), fds)

    async def one(self, header: Header, payload: bytes, fds: Fds) -> None:
        request = R(header.request)
        self.heard.append(request)
        parsed = FRONTEND_PAYLOADS[request].parse(payload) if request in FRONTEND_PAYLOADS else None
        answer = self.do(request, parsed, fds)
        if request in self.lies:
            lie = self.lies[request](self, header)
            if lie is not None:
                await self.stream.send(lie)
        elif request in REPLIES or header.flags & HeaderFlag.NEED_REPLY:
            await self.stream.send(reply_to(request, answer.build()))

    def do(self, request: R, payload: Record | None, fds: Fds) -> Record:
        answer: Record = U64()
        match request, payload:
            case R.GET_FEATURES, _:
                answer = U64(value=bits(self.features))
            case R.GET_PROTOCOL_FEATURES, _:
                answer = U64(value=bits({*PROTOCOL}))
            case R.GET_CONFIG, ConfigSpace():
                answer = ConfigSpace(size=payload.size, region=self.config.build()[: payload.size])
            case R.GET_SHMEM_CONFIG, _:
                sizes = [0] * 256
                sizes[ShmId.HOST_VISIBLE] = self.region
                answer = ShmemConfig(nregions=1, memory_sizes=sizes)
            case R.GPU_SET_SOCKET, _:
                self.gpu = self._take_socket(fds)
            case R.SET_BACKEND_REQ_FD, _:
                self.requests = self._take_socket(fds)
            case R.SET_FEATURES, U64():
                accepted = frozenset(feature for feature in Feature if payload.value >> feature & 1)
                self.device = self.kept.enter_context(Lockstep(DeviceConfig(features=accepted, host_visible=REGION)))
            case R.SET_MEM_TABLE, Memory():
                self._map(payload, fds)
            case R.SET_VRING_NUM, VringState():
                self._sizes[payload.index] = payload.num
            case R.SET_VRING_ADDR, VringAddr():
                vring = Vring(
                    self._sizes[payload.index],
                    *map(self._physical, (payload.desc_user_addr, payload.avail_user_addr, payload.used_user_addr)),
                )
                self.queues[payload.index] = DeviceQueue(
                    self.memory, vring, queue=payload.index, indirect_desc=True, event_idx=True
                )
            case R.SET_VRING_CALL, U64():
                self.call = self._keep(fds.take())
            case R.SET_VRING_KICK, U64():
                self.nursery.start_soon(self.kicked, payload.value, self._keep(fds.take()))
            case _:
                pass
        return answer

    def _take_socket(self, fds: Fds) -> FdStream:
        sock = socket.socket(fileno=fds.take())
        return self.kept.enter_context(closing(FdStream(trio.socket.from_stdlib_socket(sock))))

    def _keep(self, fileno: int) -> int:
        self.kept.callback(os.close, fileno)
        return fileno

    def _map(self, table: Memory, fds: Fds) -> None:
        for region in table.regions:
            fileno = fds.take()
            pages = mmap.mmap(fileno, region.memory_size, offset=region.mmap_offset)
            os.close(fileno)
            self.memory.add(region.guest_phys_addr, pages)
            self.kept.callback(pages.close)
            self.kept.callback(self.memory.remove, region.guest_phys_addr, region.memory_size)
            self._regions.append((region.userspace_addr, region.guest_phys_addr))

    def _physical(self, user: int) -> int:
        start, physical = max(pair for pair in self._regions if pair[0] <= user)
        return user - start + physical

    async def kicked(self, queue: int, kick: int) -> None:
        while True:
            await trio.lowlevel.wait_readable(kick)
            os.eventfd_read(kick)
            while chains := self.queues[queue].pop_all():
                self.carry(self, self.queues[queue], chains)

    def answer(self, queue: DeviceQueue, chains: list[Chain]) -> None:
        used = [found for chain in chains if (found := self.device.submit(chain)) is not None]
        if queue.push_all(used):
            self.interrupt()

    def interrupt(self) -> None:
        os.eventfd_write(self.call, 1)


@asynccontextmanager
async def open_backend() -> AsyncGenerator[tuple[Backend, FdStream], None]:
    """A back-end that serves, and the front-end's end of its socket."""
    ours, theirs = socket.socketpair()
    failure: BaseException | None = None
    try:
        with ExitStack() as kept:
            async with trio.open_nursery() as nursery:
                backend = Backend(theirs, kept, nursery)
                kept.callback(backend.stream.close)
                nursery.start_soon(backend.serve)
                yield backend, FdStream(trio.socket.from_stdlib_socket(ours))
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failure = sole(group)
    if failure is not None:
        raise failure


@asynccontextmanager
async def open_pair(config: FrontConfig | None = None) -> AsyncGenerator[tuple[Backend, DeviceMachine], None]:
    """Our guest on such a back-end."""
    async with open_backend() as (backend, stream), open_device(stream, config) as machine:
        yield backend, machine


def heads(used: list[Used]) -> list[int]:
    return [each.head for each in used]


class OurDevice:
    """A source of devices that are ours. opened: how often; most: how often it can be."""

    def __init__(
        self,
        carry: Carry = Backend.answer,
        most: int = 100,
        features: Iterable[Feature] = tuple(Feature),
        region: int = REGION,
    ) -> None:
        self.region = region
        self.carry = carry
        self.features = {*features}
        self.opened = 0
        self.most = most

    @asynccontextmanager
    async def open(self, config: FrontConfig | None = None) -> AsyncGenerator[DeviceMachine, None]:
        self.opened += 1
        if self.opened > self.most:
            raise DeviceError(DeviceFault.UNREACHABLE, "it is not there")
        async with open_backend() as (backend, stream):
            backend.carry = self.carry
            backend.region = self.region
            backend.features = {*backend.features} - {*Feature} | self.features
            backend.config = Config(num_scanouts=1, num_capsets=4, blob_alignment=4096)
            async with open_device(stream, config) as machine:
                yield machine
