"""Questions to a front-end that it answers in order, and the patience of those who wait.

A front-end may want an answer itself, on the main socket, before it gives one: QEMU tells of the memory that a mapping
has brought before it answers the mapping, and answers nothing while it waits for a queue to stop. So waiting for an
answer never keeps the main socket waiting, and can be given up.
"""

from collections import deque

import trio

from vgpu_emu.peers.serving import ProtocolError


class Pending:
    """A question. payload: of the answer; None: there is none yet."""

    def __init__(self, request: int) -> None:
        self.request = request
        self.payload: bytes | None = None
        self.settled = trio.Event()


class Answers:
    """What was asked on one socket. While nobody is patient, nobody waits; answers are taken all the same."""

    def __init__(self) -> None:
        self._pending: deque[Pending] = deque()
        self._patient = True

    @property
    def patient(self) -> bool:
        return self._patient

    @patient.setter
    def patient(self, patient: bool) -> None:
        self._patient = patient
        if not patient:
            for pending in self._pending:
                pending.settled.set()

    def expect(self, request: int) -> Pending:
        """This is asked next."""
        pending = Pending(request)
        self._pending.append(pending)
        return pending

    async def wait(self, pending: Pending) -> bytes | None:
        """The answer's payload; None: nobody waits for it."""
        if self.patient:
            await pending.settled.wait()
        return pending.payload

    def take(self, request: int, payload: bytes) -> None:
        """An answer has come. Raises ProtocolError if it is not the one that is due."""
        if not self._pending or self._pending[0].request != request:
            raise ProtocolError(f"an answer to request {request}, which is not due")
        pending = self._pending.popleft()
        pending.payload = payload
        pending.settled.set()
