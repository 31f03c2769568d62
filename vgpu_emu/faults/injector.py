"""Carries out a plan: looks at every message that crosses a link, and lets happen what is due."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from vgpu_emu.faults.effects import EFFECTS
from vgpu_emu.faults.hands import Hands
from vgpu_emu.faults.links import FaultyPort, Gate
from vgpu_emu.faults.messages import Name, Names, data_of, link_of, sender_of
from vgpu_emu.faults.pieces import Writes
from vgpu_emu.faults.plan import Fault, MissingFd, ReadOnlyFd, ShortFd, StreamFault, ZeroPages
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Port
from vgpu_emu.link.stream import StreamPort
from vgpu_emu.link.vring import VringError
from vgpu_emu.trace.log import FENCES, GUEST, HOST, VMM, Log

if TYPE_CHECKING:
    from vgpu_emu.machine import Machine


#: who sends on the wires of a machine
_SENDERS = (GUEST, VMM, VMM, HOST, HOST)
#: which of them are the renderer link
_RENDERER_WIRES = (2, 3)


#: faults of a descriptor: where none is passed, they do not happen
_NEED_FDS = (ReadOnlyFd, ShortFd, ZeroPages, MissingFd)


class Armed:
    """A fault that waits for its messages."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._left = fault.skip
        self.times = fault.times

    def is_due(self, name: Name, item: Any) -> bool:
        fault = self.fault
        if (fault.link, fault.answer) != (name.link, name.answer) or fault.message not in ("", name.message):
            return False
        if isinstance(fault, _NEED_FDS) and not item[1]:
            return False
        self._left -= 1
        return self._left < 0 < self.times


class Injector:
    """fired: what has happened, in its order. pending: what has not, or not as often as planned."""

    def __init__(self, plan: Iterable[Fault], log: Log, hands: Hands) -> None:
        self._armed = [Armed(fault) for fault in plan]
        #: nothing happens on any other
        self._links = {armed.fault.link for armed in self._armed}
        self._is_stream = any(isinstance(armed.fault, StreamFault) for armed in self._armed)
        #: of the renderer link, if it is a stream of bytes: what is not whole, or held back
        self._streams: list[Writes | StreamPort] = []
        self._log = log
        self._names = Names()
        self.hands = hands
        self.gate = Gate()
        self.fired: list[Fault] = []
        self.ports: list[FaultyPort] = []
        #: started with the machine: whatever happens later happens in it
        self.nursery: trio.Nursery | None = None
        self._machine: Machine | None = None
        self._host: Port[Any, Any] | None = None
        #: what will arrive later, as far as it is not forgotten
        self._late: list[Any] = []

    @property
    def pending(self) -> list[Fault]:
        return [armed.fault for armed in self._armed]

    def stop(self) -> None:
        """From now on nothing goes wrong; what is late still arrives."""
        self._armed.clear()
        self.gate.open()
        self.hands.stop()

    def around(self, wires: Iterable[Port[Any, Any]]) -> list[FaultyPort]:
        """Middleware around guest's and VMM's ends of the queues, VMM's and host's of the renderer link, and the end
        that signals."""
        self.ports = [
            self._stream(wire, sender) if self._is_stream and place in _RENDERER_WIRES else self._port(wire, sender)
            for place, (wire, sender) in enumerate(zip(wires, _SENDERS, strict=True))
        ]
        return self.ports

    def _port(self, wire: Port[Any, Any], sender: str) -> FaultyPort:
        gate = self.gate if sender == HOST else None
        return FaultyPort(wire, partial(self._cross, sender), gate=gate)

    def _stream(self, wire: Port[Any, Any], sender: str) -> FaultyPort:
        """Messages in frames on a stream of bytes."""
        writes = Writes(wire, self.start)
        frames = StreamPort(writes)
        self._streams += [writes, frames]
        port = self._port(frames, sender)
        port.writes = writes
        return port

    def begin(self, machine: "Machine", nursery: trio.Nursery, host: Port[Any, Any]) -> None:
        """host: where the host says something."""
        self._machine, self.nursery, self._host = machine, nursery, host

    def _cross(self, sender: str, port: FaultyPort, item: Any) -> list[Any]:
        if not self._armed or link_of(item) not in self._links:
            return [item]
        name = self._names.of(item, sender)
        due = [armed for armed in self._armed if armed.is_due(name, item)]
        items = [item]
        for armed in due:
            if items and data_of(items[0]):
                armed.times -= 1
                if not armed.times:
                    self._armed.remove(armed)
                items = self._happens(port, armed.fault, items, name)
        return items

    def _happens(self, port: FaultyPort, fault: Fault, items: list[Any], name: Name) -> list[Any]:
        self.fired.append(fault)
        self._log.note(sender_of(name), "fault", fault=repr(fault), message=str(name))
        effect = EFFECTS[type(fault)]
        return [arriving for item in items for arriving in effect(self, port, fault, item)]

    # -- for effects

    def later(self, seconds: float, port: FaultyPort, item: Any) -> None:
        self._late.append(item)
        self.start(self._deliver_late, seconds, port, item)

    async def _deliver_late(self, seconds: float, port: FaultyPort, item: Any) -> None:
        await trio.sleep(seconds)
        if not any(late is item for late in self._late):
            return
        self._late = [late for late in self._late if late is not item]
        try:
            port.deliver([item])
        except VringError as refused:
            self._log.note(VMM, "late_refused", detail=str(refused))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.hands.let_go(item)

    def host_says(self, item: Any) -> None:
        assert self._host is not None
        self._host.send(item)

    def host_dies(self) -> None:
        for port in self.ports[3:]:
            port.close()

    @property
    def machine(self) -> "Machine":
        assert self._machine is not None
        return self._machine

    def start(self, task: Callable[..., Any], *arguments: Any) -> None:
        assert self.nursery is not None
        self.nursery.start_soon(task, *arguments)

    def forget_queues(self) -> None:
        """What is on its way through the queues is lost."""
        self._late = [item for item in self._late if not isinstance(item, Chain | Used)]
        for port in self.ports[:2]:
            port.undelivered()

    def forget_signals(self) -> None:
        """What is on its way on the fences link is lost."""
        self._late = [item for item in self._late if link_of(item) != FENCES]
        self.ports[-1].undelivered()

    def close(self) -> None:
        """What is still on its way is lost."""
        for item in [*self._late, *(item for port in (*self.ports, *self._streams) for item in port.undelivered())]:
            self.hands.let_go(item)
        self._late.clear()
