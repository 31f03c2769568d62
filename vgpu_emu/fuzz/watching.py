"""The reference at the VMM's side of a machine's queues: it sees what arrives there, and what is said there."""

from collections.abc import Callable
from typing import Any, Protocol

import trio

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.differing import Differences, Differs
from vgpu_emu.fuzz.hosting import Host
from vgpu_emu.fuzz.model.case import Case, Finding
from vgpu_emu.fuzz.model.judge import Judge
from vgpu_emu.fuzz.model.world import World
from vgpu_emu.fuzz.passage import Passage, Wire
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Port
from vgpu_emu.vmm.asking import Steps
from vgpu_wire.device import Feature


class Watcher(Protocol):
    """Who watches. alone: the device as it is. wire: the link's seam. passage: what is on its way through it.
    is_calling: the guest program is in a call."""

    alone: "Alone"
    judge: Judge
    world: World
    host: Host
    wire: Wire
    passage: Passage
    differences: Differences | None
    commands: int
    is_calling: bool

    def look(self) -> None:
        """What time it is, and what has gone wrong meanwhile; before anything is judged."""

    def asked(self, case: Case, data: bytes) -> None:
        """The device has a request, and has not begun with it."""

    def handled(self, case: Case, data: bytes) -> None:
        """The device is done with a request, but for its fence."""

    def sends(self, chain: Chain) -> None:
        """The guest makes a request available."""

    def completed(self, used: Used) -> None:
        """The driver has seen an answer."""


class Alone(Wrapper):
    """A device that has one request at a time (I25). arrived: heads of chains that it has not been given yet."""

    def __init__(self, inner: Any, judge: Judge) -> None:
        super().__init__(inner)
        self.judge = judge
        self.arrived = set[int]()
        #: those that arrived before the last answer of the renderer
        self._early = set[int]()
        #: the chain that waits for the renderer
        self._at: int | None = None

    def handle(self, chain: Chain) -> Used | Steps[Used | None] | None:
        """Raises Finding."""
        if self._at is not None:
            self.judge.evaluated["I25"] += 1
            raise Finding("I25", f"chain {chain.head} is carried out while chain {self._at} waits for the renderer")
        if chain.head in self._early:
            self.judge.evaluated["I25"] += 1
        self.arrived.discard(chain.head)
        used = self.inner.handle(chain)
        done: bool = used is None or isinstance(used, Used)
        return used if done else self._carried(chain, used)

    def _carried(self, chain: Chain, steps: Steps[Used | None]) -> Steps[Used | None]:
        self._at = chain.head
        try:
            return (yield from steps)
        finally:
            self._at, self._early = None, set(self.arrived)


class WatchedDevice(Wrapper):
    """A device whose requests are judged when it takes them, and their answers when it has them.

    given: answers that are judged, and that the VMM has not sent yet; another VMM sends them if it takes over.
    """

    def __init__(self, inner: Any, watcher: Watcher, given: list[Used] | None = None) -> None:
        super().__init__(inner)
        self.watcher = watcher
        self.given: list[Used] = [] if given is None else given

    def handle(self, chain: Chain) -> Used | Steps[Used | None] | None:
        """Raises Differs, Finding."""
        watcher = self.watcher
        watcher.look()
        watcher.commands += 1
        case = watcher.judge.request(chain.head, chain.queue, bytes(chain.readable), chain.capacity)
        differences = watcher.differences
        if differences is not None and (watcher.judge.unsure or differences.asked(watcher.world, case, chain)):
            self._differs()
        watcher.asked(case, bytes(chain.readable))
        used = self.inner.handle(chain)
        if used is None or isinstance(used, Used):
            return self._handled(case, chain, used)
        return self._carried(case, chain, used)

    def _carried(self, case: Case, chain: Chain, steps: Steps[Used | None]) -> Steps[Used | None]:
        used = yield from self.watcher.host.failing(steps)
        return self._handled(case, chain, used)

    def _handled(self, case: Case, chain: Chain, used: Used | None) -> Used | None:
        watcher = self.watcher
        watcher.look()
        if watcher.differences is not None and watcher.differences.happened(self.inner):
            self._differs()
        if used is None:
            watcher.judge.unanswered(case)
        else:
            self._judge(used)
            self.given.append(used)
        watcher.handled(case, bytes(chain.readable))
        return used

    def negotiate(self, features: frozenset[Feature]) -> bool:
        """Raises Finding. A device in another process does not say what it has."""
        if getattr(self.inner, "features", None):
            raise Finding("I35", "after a reset the device has features before the driver has accepted any")
        accepted: bool = self.inner.negotiate(features)
        return accepted

    def _differs(self) -> None:
        self.watcher.judge.unsure = True
        raise Differs

    def _judge(self, used: Used) -> None:
        self.watcher.judge.answer(used.head, used.queue, bytes(used.written))

    def sent(self, used: Used) -> None:
        """The VMM gives a chain back; an answer that did not come at once is judged now."""
        for index, given in enumerate(self.given):
            if given is used:
                del self.given[index]
                return
        self.watcher.look()
        self._judge(used)


class VmmPort:
    """The VMM's end of the queues. device: what it has now."""

    def __init__(
        self, port: Port[list[Used], list[Chain]], watcher: Watcher, device: Callable[[], WatchedDevice]
    ) -> None:
        self._port = port
        self._watcher = watcher
        self._device = device
        self._sleepers = trio.lowlevel.ParkingLot()
        self.receive = port.receive
        self.close = port.close

    async def hand_over(self) -> None:
        """What the link holds back while a call waits arrives when nobody has anything to do."""
        from trio.testing import wait_all_tasks_blocked

        while True:
            await self._sleepers.park()
            await wait_all_tasks_blocked()
            if self._watcher.is_calling:
                self.deliver(self._watcher.wire.idle())

    def send(self, completed: list[Used]) -> None:
        watcher, arrives = self._watcher, list[Used]()
        for used in completed:
            self._device().sent(used)
            watcher.passage.answers(used)
            arrives += watcher.wire.used(used)
        self.deliver(arrives)
        if len(arrives) < len(completed):
            self._sleepers.unpark_all()

    def deliver(self, arrives: list[Used]) -> None:
        """What the link lets through."""
        for back in arrives:
            self._watcher.passage.returns(back)
        if arrives:
            self._port.send(arrives)


class GuestPort:
    """The guest's end of the queues, and the seam of what it sends."""

    def __init__(self, port: Port[list[Chain], list[Used]], watcher: Watcher) -> None:
        self._port = port
        self._watcher = watcher
        self.receive = port.receive
        self.close = port.close

    def send(self, chains: list[Chain]) -> None:
        watcher, arrives = self._watcher, list[Chain]()
        for chain in chains:
            watcher.passage.sends(chain)
            watcher.sends(chain)
            arrives += watcher.wire.available(chain)
        for arrived in arrives:
            watcher.passage.arrives(arrived)
        if arrives:
            watcher.alone.arrived.update([arrived.head for arrived in arrives])
            self._port.send(arrives)


class WatchedDriver(Wrapper):
    """A driver that is looked at when it has seen an answer."""

    def __init__(self, inner: Any, watcher: Watcher) -> None:
        super().__init__(inner)
        self.watcher = watcher

    def complete(self, used: Used) -> None:
        """Raises Finding."""
        self.inner.complete(used)
        self.watcher.completed(used)
