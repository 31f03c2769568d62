"""The middleware: a port through which messages are lost, come twice, late, broken, or in another order."""

from collections.abc import Callable
from math import inf
from typing import Any

import trio

from vgpu_emu.faults.pieces import Writes
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Port


class Gate:
    """Closed while the host hangs. opens_at: the time; inf: never."""

    def __init__(self) -> None:
        self.opens_at = -inf

        self._scope = trio.CancelScope()

    def shut(self, seconds: float | None) -> None:
        self.opens_at = inf if seconds is None else trio.current_time() + seconds

    def open(self) -> None:
        self.opens_at = -inf
        self._scope.deadline = -inf

    @property
    def is_shut(self) -> bool:
        return trio.current_time() < self.opens_at

    async def passed(self) -> None:
        with trio.CancelScope(deadline=self.opens_at) as self._scope:
            await trio.sleep_forever()


class FaultyPort:
    """A port of any link. cross: what arrives of each message that is sent, or of each of a list: none, one or more.

    gate: what has arrived is handed on when that is open.
    """

    def __init__(
        self,
        port: Port[Any, Any],
        cross: "Callable[[FaultyPort, Any], list[Any]]",
        *,
        gate: Gate | None = None,
    ) -> None:
        self._port = port
        self._cross = cross
        self._gate = gate
        #: a message that is to arrive behind the next
        self.held: Any = None
        #: what it writes to, if that is a stream of bytes
        self.writes: Writes | None = None
        self._arrived: list[Any] = []
        self.close = port.close
        self.receive = port.receive if gate is None else self._receive

    def send(self, item: Any) -> None:
        through: list[Any] = []
        for each in item if isinstance(item, list) else [item]:
            behind, self.held = self.held, None
            through += self._cross(self, each)
            if behind is not None:
                through.append(behind)
        self.deliver(through)

    def deliver(self, items: list[Any]) -> None:
        """Past all faults."""
        is_batch = bool(items) and isinstance(items[0], (Chain, Used))
        for item in [items] if is_batch else items:
            self._port.send(item)

    async def _receive(self) -> Any:
        # who waits with a time limit does not lose what has arrived
        if not self._arrived:
            self._arrived.append(await self._port.receive())
        assert self._gate is not None
        if self._gate.is_shut:
            await self._gate.passed()
        return self._arrived.pop()

    def undelivered(self) -> list[Any]:
        """What is still on its way."""
        left = [*self._arrived, *([] if self.held is None else [self.held])]
        self.held = None
        self._arrived.clear()
        return left
