"""The three parties in lockstep: one thread, no event loop, every message in its turn.

For tests of one behaviour, and wherever a scheduler would only be in the way. The trio machine gives the same bytes.
"""

from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import Self, TypeVar

from vgpu_emu.assembly import Config, Parts, assemble, offered
from vgpu_emu.guest.probe import accept_features, config_interrupt, remove
from vgpu_emu.guest.waiting import Op, Wait
from vgpu_emu.host.interface import Host
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.trace.log import FENCES, HOST, QUEUE_NAMES, RENDERER, VMM, Log
from vgpu_emu.vmm.asking import Steps, parse_reply
from vgpu_emu.vmm.fences import timeline_of
from vgpu_wire.renderer_link import numbered

T = TypeVar("T")


class WouldHangError(RuntimeError):
    """The guest waits for something, and nobody is left who could do it."""


class Lockstep:
    """A context manager: what it has opened is closed at its end.

    host: makes what answers the device in the place of our renderer, which then has nothing to do.
    """

    def __init__(self, config: Config | None = None, *, host: Callable[[], Host] | None = None) -> None:
        self.parts: Parts = assemble(config or Config(), Log())
        self.host: Host = self.parts.renderer if host is None else host()
        self.log = self.parts.log
        #: seconds; passes only by `advance`
        self.now = 0.0
        self._serial = 0
        self.driver = self.parts.driver

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.parts.close()
        self.host.die()

    def run(self, op: Op[T]) -> T:
        """Carry out a call of the guest, and everything it queues. Where it sleeps, time passes until the renderer is
        done or the wait is over. Raises WouldHangError where Linux would hang."""
        try:
            wait = next(op)
            while True:
                wait = op.send(self._sleep(wait))
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            self.kick()

    def _sleep(self, wait: Wait) -> bool:
        """Whether what the guest waits for came true in time."""
        deadline = inf if wait.timeout is None else self.now + wait.timeout
        self.kick()
        while not wait.ready():
            due = self.host.rings.next_due
            wake = min(deadline, inf if due is None else due)
            if wake == inf:
                raise WouldHangError(f"the guest waits for {wait.why}")
            self.advance(max(0.0, wake - self.now))
            self.kick()
            if self.now >= deadline:
                break
        return bool(wait.ready())

    def kick(self) -> None:
        """Hand the guest's queued requests to the device, one by one, and the answers back."""
        while chains := self.driver.take_available():
            for chain in chains:
                used = self.submit(chain)
                if used is not None:
                    self.driver.complete(used)

    def submit(self, chain: Chain) -> Used | None:
        """One request, whoever made it up: the device's answer. None: it waits for a fence, or the device is dead.

        Raises ValueError for a queue that a GPU does not have.
        """
        if chain.queue not in QUEUE_NAMES:
            raise ValueError(f"queue {chain.queue}; there are {sorted(QUEUE_NAMES)}")
        self.log.request(chain)
        used = self.parts.device.handle(chain)
        if used is not None and not isinstance(used, Used):
            used = self.carry(used)
        if used is not None:
            self.log.answer(used)
        return used

    def advance(self, seconds: float) -> list[Used]:
        """Let time pass: fences whose work is done by then are signalled, and their answers go to the guest."""
        self.now += seconds
        released = []
        for signal in self.host.rings.due(self.now):
            self.log.message(FENCES, HOST, VMM, signal.build())
            for used in self.parts.device.signal(timeline_of(signal), signal.fence_id):
                self.log.answer(used)
                self.driver.complete(used)
                released.append(used)
        return released

    def config_interrupt(self) -> None:
        """The device tells the guest that its configuration space has changed."""
        config_interrupt(self.driver)
        self.kick()

    def rebind(self) -> None:
        """Unbind the driver, and bind it again: the device is reset, and `driver` a new one that is still to probe."""
        remove(self.driver)
        self.carry(self.parts.device.reset())
        features = accept_features(offered(self.parts.config))
        if not self.parts.device.negotiate(features):
            raise ValueError("the device refuses the features that it took before")
        self.driver = self.driver.successor()

    def carry(self, steps: Steps[T]) -> T:
        """Let the renderer answer every question of the VMM."""
        try:
            question = next(steps)
            while True:
                self._serial += 1
                data = numbered(question.build(), self._serial)
                self.log.message(RENDERER, VMM, HOST, data)
                answer, fds = self.host.handle(data, self.now)
                self.log.message(RENDERER, HOST, VMM, answer, fds=tuple(passed.fd for passed in fds))
                question = steps.send(parse_reply(answer, fds))
        except StopIteration as done:
            value: T = done.value
            return value
