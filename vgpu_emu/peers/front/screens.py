"""The VMM's end of a vhost-user GPU's socket: it says what displays there are, and sees what they show."""

from collections import Counter
from collections.abc import Sequence

from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.stream import FdStream, PeerGoneError, StreamError
from vgpu_emu.vmm.displays import Displays
from vgpu_emu.vmm.edid import edid_block
from vgpu_wire.display import RespDisplayInfo, RespEdid
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Record
from vgpu_wire.vhost_user import U64
from vgpu_wire.vhost_user_gpu import (
    GPU_PAYLOADS,
    GPU_REPLIES,
    GPU_REPLY,
    EdidRequest,
    GpuHeader,
    GpuProtocolFeature,
    GpuRequest,
    GpuScanout,
    GpuUpdate,
)

#: bytes of a message: a screen of 4096 x 4096 pixels, and some
MAX_MESSAGE = (1 << 26) + 4096
#: requests by their numbers
_REQUESTS = {request.value: request for request in GpuRequest}


class Screens:
    """sizes: of the displays, in pixels. Serves one device, until that is gone.

    heard: how often each request came. shown: scanout -> its size in pixels, of those that are on. updates: scanout ->
    the last rectangle of pixels that was drawn on it.
    """

    def __init__(self, stream: FdStream, sizes: Sequence[tuple[int, int]]) -> None:
        self._stream = stream
        self._sizes = sizes
        self.heard: Counter[GpuRequest] = Counter()
        self.shown: dict[int, tuple[int, int]] = {}
        self.updates: dict[int, GpuUpdate] = {}

    async def serve(self) -> DeviceError:
        """Answer the device until the connection ends: why it did."""
        try:
            while True:
                await self._one()
        except (PeerGoneError, StreamError) as gone:
            return DeviceError(DeviceFault.GONE, f"GPU socket: {gone}")
        except WireError as wrong:
            return DeviceError(DeviceFault.PROTOCOL, f"GPU socket: {wrong}")
        except DeviceError as error:
            return error

    async def _one(self) -> None:
        data, fds = await self._stream.receive_start(GpuHeader.layout.size)
        with fds:
            header = GpuHeader.parse(data)
            request = _REQUESTS.get(header.request)
            if header.size > MAX_MESSAGE or request is None:
                what = f"request {header.request}, flags {header.flags:#x}, {header.size} bytes"
                raise DeviceError(DeviceFault.PROTOCOL, f"GPU socket: {what}")
            payload = await self._stream.receive_rest(header.size)
        self.heard[request] += 1
        known = GPU_PAYLOADS.get(request)
        self._note(known.parse(payload) if known is not None else None)
        if request in GPU_REPLIES:
            answer = self._answer(request, payload)
            reply = GpuHeader(request=request.value, flags=GPU_REPLY, size=len(answer))
            await self._stream.send(reply.build() + answer)

    def _note(self, message: Record | None) -> None:
        if isinstance(message, GpuScanout):
            self.updates.pop(message.scanout_id, None)
            self.shown.pop(message.scanout_id, None)
            if message.width and message.height and message.scanout_id < len(self._sizes):
                self.shown[message.scanout_id] = message.width, message.height
        elif isinstance(message, GpuUpdate) and message.scanout_id in self.shown:
            self.updates[message.scanout_id] = message

    def _answer(self, request: GpuRequest, payload: bytes) -> bytes:
        if request is GpuRequest.GET_PROTOCOL_FEATURES:
            return U64(value=1 << GpuProtocolFeature.EDID).build()
        if request is GpuRequest.GET_DISPLAY_INFO:
            return RespDisplayInfo(pmodes=Displays(self._sizes).modes()).build()
        if request is GpuRequest.GET_EDID:
            return self._edid(EdidRequest.parse(payload).scanout_id).build()
        return b""

    def _edid(self, scanout_id: int) -> RespEdid:
        """A display that is not there has no EDID: one of no bytes."""
        if scanout_id >= len(self._sizes):
            return RespEdid()
        block = edid_block(*self._sizes[scanout_id])
        return RespEdid(size=len(block), edid=block.ljust(1024, b"\0"))
