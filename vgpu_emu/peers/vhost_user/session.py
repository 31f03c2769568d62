"""A session of a front-end, from its connection to its end: the tasks that wait for its messages, kicks and answers."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import trio
import trio.lowlevel

from vgpu_emu.assembly import Config
from vgpu_emu.peers.backend import Backend
from vgpu_emu.peers.eventfd import EventFd
from vgpu_emu.peers.kicks import KickWatch
from vgpu_emu.peers.outlets import Outlets, open_backend
from vgpu_emu.peers.serving import ProtocolError
from vgpu_emu.peers.stream import FdStream, PeerGoneError, StreamError
from vgpu_emu.peers.vhost_user.channel import BackendChannel
from vgpu_emu.peers.vhost_user.gpu_link import GpuLink
from vgpu_emu.peers.vhost_user.link import Message, receive_message, send_reply
from vgpu_emu.peers.vhost_user.requests import VhostDevice
from vgpu_emu.peers.vhost_user.ring_state import RingState
from vgpu_emu.peers.vhost_user.screen import Screen
from vgpu_emu.peers.vhost_user.shared_region import SharedRegion
from vgpu_wire.vhost_user import REPLIES, U64, BackendRequest, FrontendRequest, ProtocolFeature, VringState

_GET_VRING_BASE = FrontendRequest.GET_VRING_BASE.value
_DONE, _FAILED = U64(0), U64(1)


async def serve_guest(stream: FdStream, config: Config, outlets: Outlets) -> None:
    """Until the front-end closes the connection: PeerGoneError. Raises StreamError, ProtocolError."""
    region = SharedRegion(config.host_visible)
    session = Session(stream, region, outlets.say)
    try:
        async with open_backend(config, outlets, session, region) as backend:
            await session.run(backend)
    finally:
        # what was unmapped at the end, nobody is told
        region.forget()
    # not inside, where it would become a group
    raise session.end


class Session:
    """stream: the connection, whose owner closes it. say: takes lines for the user. It is the Transport of the
    Backend, and the Shell of the requests."""

    def __init__(self, stream: FdStream, region: SharedRegion, say: Callable[[str], None]) -> None:
        self._stream = stream
        self._region = region
        self._say = say
        self._gpu: GpuLink | None = None
        self.end: Exception = PeerGoneError("the connection is closed")
        self._nursery: trio.Nursery
        self._backend: Backend
        self._device: VhostDevice

    async def run(self, backend: Backend) -> None:
        """Until the connection is of no use any more; `end` says why."""
        self._backend = backend
        self._device = VhostDevice(backend, self)
        try:
            async with trio.open_nursery() as self._nursery:
                await self._serve_all()
        finally:
            self._device.close()
            self._close_channel()
            self._close_screen()

    async def _serve_all(self) -> None:
        try:
            while True:
                await self._serve(await receive_message(self._stream))
        except (PeerGoneError, ProtocolError, StreamError) as end:
            self._finish_with(end)

    def _finish_with(self, end: Exception) -> None:
        self.end = end
        self._nursery.cancel_scope.cancel()

    async def _serve(self, message: Message) -> None:
        with message.fds:
            try:
                if message.request == _GET_VRING_BASE:
                    await self._finish(message)
                answer = self._device.handle(message)
            except OSError as refused:
                self._refuse(message, refused)
                answer = None if message.request in REPLIES else _FAILED
            else:
                answer = answer if answer is not None else _DONE
        if answer is not None and self._is_answered(message):
            await send_reply(self._stream, message, answer)

    def _is_answered(self, message: Message) -> bool:
        return message.request in REPLIES or (message.needs_reply and self._device.has(ProtocolFeature.REPLY_ACK))

    def _refuse(self, message: Message, refused: OSError) -> None:
        """The front-end is told if it asked; if it did not, it would go on as if all were well."""
        what = f"{_name(message.request)} is refused: {refused.strerror}"
        if message.request in REPLIES or not self._is_answered(message):
            raise ProtocolError(what) from None
        self._say(what)

    async def _finish(self, message: Message) -> None:
        """Before a queue is stopped everything in flight is answered. The front-end waits for that, and answers nothing
        itself."""
        number = message.parse(VringState).index
        self._be_patient(False)
        await self._backend.finish_queue(number)

    # -- Transport

    def interrupt(self, queue: int) -> None:
        call = self._device.rings[queue].call
        if call is not None:
            call.signal()

    def config_changed(self) -> None:
        """A queue that its driver broke, too, is told."""
        if self._backend.needs_reset:
            self._say(f"the driver broke its queues: {self._backend.device.needs_reset}")
            for ring in self._device.rings.values():
                if ring.error is not None:
                    ring.error.signal()
        if self._region.channel is not None and self._device.has(ProtocolFeature.CONFIG):
            self._nursery.start_soon(self._notify, self._region.channel)

    async def _notify(self, channel: BackendChannel) -> None:
        with suppress(StreamError, ProtocolError, trio.ClosedResourceError):
            await channel.notify(BackendRequest.CONFIG_CHANGE_MSG)

    # -- Shell

    def watch(self, ring: RingState) -> None:
        self._be_patient(True)
        if ring.kick is not None and ring.watched is not ring.kick:
            ring.watched = ring.kick
            self._nursery.start_soon(self._take_kicks, ring, ring.kick)
        self._nursery.start_soon(self._backend.service, ring.number)

    async def _take_kicks(self, ring: RingState, kick: EventFd) -> None:
        while ring.kick is kick:
            try:
                await trio.lowlevel.wait_readable(kick.fileno)
            except trio.ClosedResourceError:
                return
            await self._kicked(ring, kick)

    async def _kicked(self, ring: RingState, kick: EventFd) -> None:
        """Serve a kick, and those that follow at once."""
        watch = KickWatch(kick.fileno, self._filenos())
        is_over = False
        while not is_over:
            kick.drain()
            await self._backend.service(ring.number)
            is_over = ring.kick is not kick or self._backend.has_work or not watch.kicked()

    def _filenos(self) -> list[int]:
        """What the other tasks wait for."""
        kicks = [ring.kick.fileno for ring in self._device.rings.values() if ring.kick is not None]
        return [*kicks, self._stream.fileno(), *(link.fileno() for link in (self._region.channel, self._gpu) if link)]

    def open_channel(self, sock: socket.socket) -> None:
        self._close_channel()
        self._region.channel = channel = BackendChannel(FdStream(trio.socket.from_stdlib_socket(sock)))
        self._nursery.start_soon(partial(self._run_channel, channel))

    async def _run_channel(self, channel: BackendChannel) -> None:
        try:
            await channel.run()
        except (PeerGoneError, StreamError, trio.ClosedResourceError):
            channel.answers.patient = False
        except ProtocolError as fault:
            self._finish_with(fault)

    def _close_channel(self) -> None:
        if self._region.channel is not None:
            self._region.channel.close()
            self._region.channel = None

    def open_screen(self, sock: socket.socket) -> None:
        self._close_screen()
        self._gpu = link = GpuLink(FdStream(trio.socket.from_stdlib_socket(sock)))
        self._backend.spectator = screen = Screen(self._backend.device, link)
        self._nursery.start_soon(self._run_screen, link, link.run)
        self._nursery.start_soon(self._run_screen, link, screen.run)

    async def _run_screen(self, link: GpuLink, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except (PeerGoneError, StreamError, trio.ClosedResourceError):
            if self._gpu is link:
                self._close_screen()
        except ProtocolError as fault:
            self._finish_with(fault)

    def _close_screen(self) -> None:
        self._backend.spectator = None
        if self._gpu is not None:
            self._gpu.answers.patient = False
            self._gpu.close()
            self._gpu = None

    def reset(self) -> None:
        self._be_patient(False)
        self._region.forget()

    def _be_patient(self, patient: bool) -> None:
        """Whether to wait for answers of the front-end."""
        for asking in (self._region.channel, self._gpu):
            if asking is not None:
                asking.answers.patient = patient


def _name(request: int) -> str:
    try:
        return FrontendRequest(request).name
    except ValueError:
        return f"request {request}"
