"""From a socket to a guest that runs on the device behind it."""

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from typing import Any

import trio
from msgspec.structs import replace

from vgpu_emu.guest.driver import Driver
from vgpu_emu.guest.probe import accept_features
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.peers.front.backend_requests import BackendRequests
from vgpu_emu.peers.front.config_space import RemoteConfig
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.front.handshake import QUEUES, clear_events, connect_queues, read_config, read_offer
from vgpu_emu.peers.front.link import ControlLink
from vgpu_emu.peers.front.machine import DeviceMachine, FrontConfig
from vgpu_emu.peers.front.memory import SharedMemory
from vgpu_emu.peers.front.port import DevicePort, Notifiers
from vgpu_emu.peers.front.screens import Screens
from vgpu_emu.peers.stream import FdStream
from vgpu_emu.shell import sole
from vgpu_emu.trace.log import Log
from vgpu_wire.device import Config
from vgpu_wire.vhost_user import U64, FrontendRequest, ProtocolFeature
from vgpu_wire.vring import RingFeature


async def connect(path: str) -> FdStream:
    """Raises DeviceError: UNREACHABLE."""
    sock = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        await sock.connect(path)
    except (OSError, ValueError) as error:
        sock.close()
        raise DeviceError(DeviceFault.UNREACHABLE, f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except BaseException:
        sock.close()
        raise
    return FdStream(sock)


@asynccontextmanager
async def open_device(stream: FdStream, config: FrontConfig | None = None) -> AsyncGenerator[DeviceMachine, None]:
    """stream: connected to a device, and closed at the end. Raises DeviceError where the device cannot be set up.

    No task, descriptor or mapping is left behind, and what is raised inside comes out as itself.
    """
    config = config or FrontConfig()
    failure: BaseException | None = None
    try:
        with (
            closing(stream),
            SharedMemory(config.guest_memory) as memory,
            Notifiers(QUEUES) as notifiers,
            ExitStack() as kept,
        ):
            async with trio.open_nursery() as nursery:
                yield await _Front(nursery, stream, memory, notifiers, kept, config).start()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failure = sole(group)
    if failure is not None:
        raise failure


class _Front:
    """The parts of a front-end. kept: closes what they have opened."""

    def __init__(
        self,
        nursery: trio.Nursery,
        stream: FdStream,
        memory: SharedMemory,
        notifiers: Notifiers,
        kept: ExitStack,
        config: FrontConfig,
    ) -> None:
        self._nursery = nursery
        self._link = ControlLink(stream, config.patience)
        self._memory = memory
        self._notifiers = notifiers
        self._kept = kept
        self._config = config

    async def start(self) -> DeviceMachine:
        """Raises DeviceError."""
        link, config, log = self._link, self._config, Log(trio.current_time)
        self._nursery.start_soon(link.listen)
        offer = await read_offer(link)
        accepted = offer.accepted(config.features)
        await link.tell(FrontendRequest.SET_FEATURES, U64(value=accepted))
        port = DevicePort(self._memory.queues(accepted), self._notifiers, log, config.patience)
        self._watch(port, link.gone)
        screens = Screens(await self._open_socket(FrontendRequest.GPU_SET_SOCKET, ack=False), config.scanouts)
        self._watch(port, screens.serve)
        region = HostVisibleRegion(offer.host_visible)
        self._kept.callback(region.clear)
        space = RemoteConfig(self._with_displays(offer.config), partial(self._do, port, clear_events, link))
        driver = Driver(
            region if offer.host_visible else None,
            features=accept_features(accepted),
            log=log,
            config=space,
            memory=self._memory.guest,
            memory_size=self._memory.ram,
            indirect=bool(accepted >> RingFeature.INDIRECT_DESC & 1),
        )
        machine = DeviceMachine(driver, port, offer, region, screens)
        if link.has(ProtocolFeature.BACKEND_REQ):
            requests = await self._open_socket(FrontendRequest.SET_BACKEND_REQ_FD)
            changed = partial(self._do, port, self._changed, machine, space)
            self._watch(port, BackendRequests(requests, region, changed).serve)
        await connect_queues(link, self._memory, self._notifiers)
        return machine

    async def _open_socket(self, request: FrontendRequest, *, ack: bool = True) -> FdStream:
        """A socket of which the device gets the other end."""
        ours, theirs = socket.socketpair()
        with theirs:
            stream = self._kept.enter_context(closing(FdStream(trio.socket.from_stdlib_socket(ours))))
            await self._link.tell(request, None, (theirs.fileno(),), ack=ack)
        return stream

    def _watch(self, port: DevicePort, serve: Callable[[], Awaitable[DeviceError]]) -> None:
        """A task that ends with the device."""

        async def until_gone() -> None:
            port.fail(await serve())

        self._nursery.start_soon(until_gone)

    def _do(self, port: DevicePort, work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """A task of its own for something that the device has to be told or asked."""

        async def attempt() -> None:
            try:
                await work(*arguments)
            except DeviceError as error:
                port.fail(error)

        self._nursery.start_soon(attempt)

    def _with_displays(self, config: Config) -> Config:
        """Displays are the VMM's: vhost-user-gpu says that there are none, and QEMU writes in how many it has."""
        return config if config.num_scanouts else replace(config, num_scanouts=len(self._config.scanouts))

    async def _changed(self, machine: DeviceMachine, space: RemoteConfig) -> None:
        space.current = self._with_displays(await read_config(self._link, machine.offer))
        machine.config_interrupt()
