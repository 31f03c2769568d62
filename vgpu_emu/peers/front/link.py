"""The control socket from the VMM's side: requests, and replies in their order."""

from typing import TypeVar

import trio

from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.stream import FdStream, PeerGoneError, StreamError
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Record
from vgpu_wire.vhost_user import (
    U64,
    VERSION,
    VERSION_MASK,
    FrontendRequest,
    Header,
    HeaderFlag,
    ProtocolFeature,
)

T = TypeVar("T", bound=Record)
#: seconds that a device has for a reply
PATIENCE = 5.0
#: bytes of the largest reply (GET_SHMEM_CONFIG), and some
MAX_REPLY = 4096
_REPLY, _NEED_REPLY = HeaderFlag.REPLY.value, HeaderFlag.NEED_REPLY.value


class ControlLink:
    """stream: connected to a device. patience: seconds for each reply. `listen` has to run meanwhile.

    protocol_features: bits, once they are negotiated. From then on, with REPLY_ACK, every request is answered.
    Every request raises DeviceError (GONE, SILENT, PROTOCOL), and after that there is no use in another one.
    """

    def __init__(self, stream: FdStream, patience: float = PATIENCE) -> None:
        self._stream = stream
        self._patience = patience
        self._turn = trio.StrictFIFOLock()
        self._replies_in, self._replies = trio.open_memory_channel[tuple[Header, bytes]](1)
        #: the request that waits for a reply
        self._asked: FrontendRequest | None = None
        self._error: DeviceError | None = None
        self._closed = trio.Event()
        self.protocol_features = 0

    def has(self, feature: ProtocolFeature) -> bool:
        return bool(self.protocol_features >> feature & 1)

    async def ask(self, request: FrontendRequest, expected: type[T], payload: Record | None = None) -> T:
        """A request that is always answered: its answer."""
        async with self._turn:
            return await self._exchange(request, expected, payload, (), 0)

    async def tell(
        self, request: FrontendRequest, payload: Record | None = None, fds: tuple[int, ...] = (), *, ack: bool = True
    ) -> None:
        """A request without an answer of its own; with REPLY_ACK, and `ack`, the device says whether it has done it."""
        async with self._turn:
            if not ack or not self.has(ProtocolFeature.REPLY_ACK):
                await self._send(request, payload, fds, 0)
            elif status := (await self._exchange(request, U64, payload, fds, _NEED_REPLY)).value:
                raise DeviceError(DeviceFault.PROTOCOL, f"{request.name} failed with {status:#x}")

    async def _exchange(
        self, request: FrontendRequest, expected: type[T], payload: Record | None, fds: tuple[int, ...], flags: int
    ) -> T:
        self._asked = request
        await self._send(request, payload, fds, flags)
        with trio.move_on_after(self._patience):
            try:
                header, data = await self._replies.receive()
            except trio.EndOfChannel:
                raise self._gone() from None
            self._asked = None
            if header.request != request:
                raise DeviceError(DeviceFault.PROTOCOL, f"a reply to {header.request}, not to {request.name}")
            try:
                return expected.parse(data)
            except WireError as wrong:
                raise DeviceError(DeviceFault.PROTOCOL, f"the reply to {request.name}: {wrong}") from None
        raise DeviceError(DeviceFault.SILENT, f"no reply to {request.name} in {self._patience:g} s")

    async def _send(self, request: FrontendRequest, payload: Record | None, fds: tuple[int, ...], flags: int) -> None:
        data = payload.build() if payload is not None else b""
        header = Header(request=request.value, flags=VERSION | flags, size=len(data))
        with trio.move_on_after(self._patience) as scope:
            try:
                await self._stream.send(header.build() + data, fds)
            except StreamError as broken:
                raise self._error or DeviceError(DeviceFault.GONE, f"{broken}, at {request.name}") from None
        if scope.cancelled_caught:
            raise DeviceError(DeviceFault.SILENT, f"{request.name} is not taken in {self._patience:g} s")

    def _gone(self) -> DeviceError:
        return self._error or DeviceError(DeviceFault.GONE, "its control socket is closed")

    # -- what the device says

    async def listen(self) -> None:
        """Receive replies until the connection ends."""
        with self._replies_in:
            try:
                while True:
                    self._replies_in.send_nowait(await self._receive())
            except DeviceError as error:
                self._error = error
            except (PeerGoneError, StreamError) as gone:
                at = f", at {self._asked.name}" if self._asked else ""
                self._error = DeviceError(DeviceFault.GONE, f"{gone}{at}")
        self._closed.set()

    async def gone(self) -> DeviceError:
        """Wait until the connection has ended: why it did."""
        await self._closed.wait()
        return self._gone()

    async def _receive(self) -> tuple[Header, bytes]:
        data, fds = await self._stream.receive_start(Header.layout.size)
        with fds:
            header = Header.parse(data)
            what = f"request {header.request}, flags {header.flags:#x}, {header.size} bytes"
            if self._asked is None:
                raise DeviceError(DeviceFault.PROTOCOL, f"a message that nobody asked for: {what}")
            if header.flags & (VERSION_MASK | _REPLY) != VERSION | _REPLY or header.size > MAX_REPLY:
                raise DeviceError(DeviceFault.PROTOCOL, f"no reply to {self._asked.name}: {what}")
            return header, await self._stream.receive_rest(header.size)
