"""The GPU socket of a front-end that shows screens itself (QEMU 11.1, docs/interop/vhost-user-gpu), our end of it."""

from typing import TypeVar

from vgpu_emu.peers.serving import ProtocolError, patience
from vgpu_emu.peers.stream import FdStream
from vgpu_emu.peers.vhost_user.answers import Answers
from vgpu_emu.peers.vhost_user.link import MAX_PAYLOAD
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Record
from vgpu_wire.vhost_user_gpu import GPU_REPLY, GpuHeader, GpuRequest

R = TypeVar("R", bound=Record)


class GpuLink:
    """stream: the socket, which it owns. `run` is a task beside its users'."""

    def __init__(self, stream: FdStream) -> None:
        self._stream = stream
        self.answers = Answers()

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        self._stream.close()

    async def run(self) -> None:
        """Take answers until the connection ends, with PeerGoneError or StreamError. Raises ProtocolError."""
        while True:
            start, fds = await self._stream.receive_start(GpuHeader.layout.size)
            with fds:
                header = GpuHeader.parse(start)
                if header.flags != GPU_REPLY or header.size > MAX_PAYLOAD:
                    raise ProtocolError(f"no answer on the GPU socket: {header}")
                payload = await self._stream.receive_rest(header.size)
            self.answers.take(header.request, payload)

    async def ask(self, request: GpuRequest, reply: type[R], payload: Record | None = None) -> R | None:
        """Ask, and wait. None: nobody waits for the answer. Raises StreamError; ProtocolError for one that is none."""
        pending = self.answers.expect(request)
        await self.tell(request, payload)
        answer = await self.answers.wait(pending)
        try:
            return reply.parse(answer) if answer is not None else None
        except WireError as error:
            raise ProtocolError(f"the answer to {request.name}: {error}") from None

    async def tell(self, request: GpuRequest, payload: Record | None = None) -> None:
        """Raises StreamError; ProtocolError if the front-end does not read."""
        data = payload.build() if payload is not None else b""
        with patience("it has not read what its screens show"):
            await self._stream.send(GpuHeader(request=request, size=len(data)).build() + data)
