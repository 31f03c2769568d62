"""The guest's port on a device that is not ours: requests and answers are put beside each other, in order."""

from collections import deque
from collections.abc import Callable

import msgspec
import trio

from vgpu_emu.fuzz.attending import FIRST_RAW
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Port


class Exchange(msgspec.Struct):
    """A request, when it was sent, and its answer, which came at `heard` as the `place`th of all."""

    chain: Chain
    sent: float
    used: Used | None = None
    heard: float = 0.0
    place: int = 0


class ListeningPort:
    """note: takes each exchange that is complete, in the order in which the requests were sent: a device carries out
    the requests of a queue one after the other, even if the answer to one with a fence comes later."""

    def __init__(self, port: Port[list[Chain], list[Used]], note: Callable[[Exchange], None]) -> None:
        self._port = port
        self._note = note
        self._exchanges: deque[Exchange] = deque()
        self._place = 0
        self.close = port.close

    @property
    def waiting(self) -> list[Chain]:
        """What the device has not answered, the oldest first."""
        return [exchange.chain for exchange in self._exchanges if exchange.used is None]

    def send(self, chains: list[Chain]) -> None:
        """Raises OSError for a chain that can never be sent."""
        now = trio.current_time()
        self._exchanges.extend(Exchange(chain, now) for chain in chains)
        try:
            self._port.send(chains)
        except OSError:
            for _ in chains:
                self._exchanges.pop()
            raise

    async def receive(self) -> list[Used]:
        """What is the driver's. Raises DeviceError, Finding."""
        found = await self._port.receive()
        now = trio.current_time()
        for used in found:
            self._answered(used, now)
        while self._exchanges and self._exchanges[0].used is not None:
            self._note(self._exchanges.popleft())
        return [used for used in found if used.head < FIRST_RAW]

    def _answered(self, used: Used, now: float) -> None:
        self._place += 1
        for exchange in self._exchanges:
            if (exchange.chain.queue, exchange.chain.head) == (used.queue, used.head) and exchange.used is None:
                exchange.used, exchange.heard, exchange.place = used, now, self._place
                return
        raise Finding("I19", f"chain {used.head} was answered, and is not with the device")
