"""Our own vhost-user back-end as a device that is not ours: in the same process, with defects, or dead."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

import trio

from vgpu_emu.assembly import Config
from vgpu_emu.fuzz.defect import Wrapper, plant
from vgpu_emu.link.chain import Chain
from vgpu_emu.peers.eventfd import EventFd
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.front.machine import DeviceMachine, FrontConfig
from vgpu_emu.peers.front.opening import open_device
from vgpu_emu.peers.outlets import Outlets, open_backend
from vgpu_emu.peers.serving import ProtocolError
from vgpu_emu.peers.stream import FdStream, PeerGoneError, StreamError
from vgpu_emu.peers.vhost_user.ring_state import RingState
from vgpu_emu.peers.vhost_user.session import Session
from vgpu_emu.peers.vhost_user.shared_region import SharedRegion
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.state import DeviceLimits


class DeadlyError(Exception):
    """The process ends."""


class Deadly(Wrapper):
    """A device whose process ends at a command."""

    def __init__(self, inner: Any, command: int) -> None:
        super().__init__(inner)
        self.command = command

    def handle(self, chain: Chain) -> Any:
        if chain.readable[:4] == self.command.to_bytes(4, "little"):
            raise DeadlyError
        return self.inner.handle(chain)


class Silent(Deadly):
    """A device that never answers a command, nor anything after it."""

    def handle(self, chain: Chain) -> Any:
        try:
            return super().handle(chain)
        except DeadlyError:
            self.handle = lambda chain: None  # type: ignore[method-assign]
            return None


class _Session(Session):
    """Does not wait a while for the next kick: who would kick is in this process."""

    async def _kicked(self, ring: RingState, kick: EventFd) -> None:
        kick.drain()
        await self._backend.service(ring.number)


class Served:
    """A Source. defects: of the device. profile: what it is like. lives: how often it can crash before it is gone.

    opened: how often it was started.
    """

    def __init__(self, *defects: Any, profile: str = "strict", lives: float = float("inf")) -> None:
        self.defects = defects
        self.lives = lives
        self.opened = 0
        self.config = Config(
            profile=PROFILES[profile],
            guest_memory=0,
            host_visible=1 << 24,
            opaque_renderer=True,
            tagged_blobs=True,
            device_limits=DeviceLimits(blob_bytes=1 << 30),
        )

    @asynccontextmanager
    async def open(self, config: FrontConfig | None = None) -> AsyncGenerator[DeviceMachine, None]:
        if self.lives <= 0:
            raise DeviceError(DeviceFault.UNREACHABLE, "nobody starts it again")
        self.opened += 1
        ours, theirs = (trio.socket.from_stdlib_socket(end) for end in socket.socketpair())
        error: BaseException | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve, FdStream(theirs))
            try:
                async with open_device(FdStream(ours), config) as machine:
                    yield machine
            except BaseException as raised:
                # not as a group
                error = raised
            nursery.cancel_scope.cancel()
        if error is not None:
            raise error

    async def _serve(self, stream: FdStream) -> None:
        with closing(stream), Outlets(lambda _: None) as outlets:
            region = SharedRegion(self.config.host_visible)
            session = _Session(stream, region, outlets.say)
            try:
                with suppress(PeerGoneError, StreamError, ProtocolError):
                    async with open_backend(self.config, outlets, session, region) as backend:
                        backend.device = plant(self.defects, "device", backend.device)
                        await session.run(backend)
            except BaseExceptionGroup as group:
                if group.subgroup(DeadlyError) is None:
                    raise
                self.lives -= 1
            finally:
                region.forget()


def planted(kind: type[Wrapper], *arguments: Any) -> Any:
    """A defect of the device."""

    class Defect:
        def device(self, device: Any) -> Any:
            return kind(device, *arguments)

    return Defect()
