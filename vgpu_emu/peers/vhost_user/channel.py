"""The back-end's own requests to the front-end, on a socket that the front-end gave (SET_BACKEND_REQ_FD).

The front-end answers in order. It may want an answer itself, on the main socket, before it comes to that: it tells of
the memory that a mapping has brought before it answers the mapping. So nobody here waits while the main socket waits.
"""

from collections import deque
from collections.abc import Sequence

import trio

from vgpu_emu.peers.stream import FdStream
from vgpu_emu.peers.vhost_user.link import VhostUserError, receive_message, send_message
from vgpu_wire.layout import Record
from vgpu_wire.vhost_user import U64, HeaderFlag


class _Call:
    """A request that is not answered yet."""

    def __init__(self, request: int) -> None:
        self.request = request
        self.answered = trio.Event()
        self.value: int | None = None


class BackendChannel:
    """stream: the socket, which it owns. `run` is a task beside its users'.

    patient: a call waits for its answer. Otherwise the front-end, which itself waits for us, will answer later.
    """

    def __init__(self, stream: FdStream) -> None:
        self._stream = stream
        self._calls: deque[_Call] = deque()
        self._patient = True

    def close(self) -> None:
        self._stream.close()

    async def run(self) -> None:
        """Take answers until the connection ends. Raises VhostUserError for one that nobody asked for."""
        while True:
            message = await receive_message(self._stream)
            with message.fds:
                if not message.is_reply or not self._calls or self._calls[0].request != message.request:
                    raise VhostUserError(f"answer to request {message.request} on the back-end's channel")
                call = self._calls.popleft()
                call.value = message.parse(U64).value
                call.answered.set()

    async def call(self, request: int, payload: Record, fds: Sequence[int] = ()) -> int | None:
        """Ask, and wait: 0 for success. None: it will be answered, but nobody can wait. Raises StreamError."""
        call = _Call(request)
        self._calls.append(call)
        await send_message(self._stream, request, payload, fds=fds, flags=HeaderFlag.NEED_REPLY)
        if self.patient:
            await call.answered.wait()
        return call.value

    async def notify(self, request: int) -> None:
        """Say something that needs no answer. Raises StreamError."""
        await send_message(self._stream, request)

    @property
    def patient(self) -> bool:
        return self._patient

    @patient.setter
    def patient(self, patient: bool) -> None:
        self._patient = patient
        if not patient:
            for call in self._calls:
                call.answered.set()
