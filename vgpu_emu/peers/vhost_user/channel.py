"""The back-end's own requests to the front-end, on a socket that the front-end gave (SET_BACKEND_REQ_FD)."""

from collections.abc import Sequence

from vgpu_emu.peers.serving import ProtocolError
from vgpu_emu.peers.stream import FdStream
from vgpu_emu.peers.vhost_user.answers import Answers
from vgpu_emu.peers.vhost_user.link import receive_message, send_message
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Record
from vgpu_wire.vhost_user import U64, HeaderFlag


class BackendChannel:
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
            message = await receive_message(self._stream)
            with message.fds:
                if not message.is_reply:
                    raise ProtocolError(f"request {message.request} on the back-end's channel")
                self.answers.take(message.request, message.payload)

    async def call(self, request: int, payload: Record, fds: Sequence[int] = ()) -> int:
        """Ask, and wait: 0 for success, or if nobody waits. Raises StreamError, ProtocolError."""
        pending = self.answers.expect(request)
        await send_message(self._stream, request, payload, fds=fds, flags=HeaderFlag.NEED_REPLY)
        answer = await self.answers.wait(pending)
        try:
            return U64.parse(answer).value if answer is not None else 0
        except WireError as error:
            raise ProtocolError(f"the answer to request {request}: {error}") from None

    async def notify(self, request: int) -> None:
        """Say something that needs no answer. Raises StreamError, ProtocolError."""
        await send_message(self._stream, request)
