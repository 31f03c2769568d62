"""The three parties in lockstep: one thread, no event loop, every message in its turn.

For tests of one behaviour, and wherever a scheduler would only be in the way. The trio machine gives the same bytes.
"""

from types import TracebackType
from typing import Self, TypeVar

from vgpu_emu.assembly import Config, Parts, assemble
from vgpu_emu.guest.driver import Op
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.trace.log import CONTROLQ, GUEST, HOST, RENDERER, VMM, Log
from vgpu_emu.vmm.asking import Steps, parse_reply

T = TypeVar("T")


class WouldHangError(RuntimeError):
    """The guest waits for something, and nobody is left who could do it."""


class Lockstep:
    """A context manager: what it has opened is closed at its end."""

    def __init__(self, config: Config | None = None) -> None:
        self.parts: Parts = assemble(config or Config(), Log())
        self.log = self.parts.log
        self.driver = self.parts.driver

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.parts.close()

    def run(self, op: Op[T]) -> T:
        """Carry out a call of the guest, and everything it queues. Raises WouldHangError where Linux would hang."""
        try:
            while True:
                wait = next(op)
                self.kick()
                if not wait.ready():
                    raise WouldHangError(f"the guest waits for {wait.why}")
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            self.kick()

    def kick(self) -> None:
        """Hand the guest's queued requests to the device, one by one, and the answers back."""
        while chains := self.driver.take_available():
            for chain in chains:
                self.driver.complete(self.submit(chain))

    def submit(self, chain: Chain) -> Used:
        """One request, whoever made it up: the device's answer."""
        self.log.message(CONTROLQ, GUEST, VMM, chain.readable, chain.head, chain.capacity)
        used = self.carry(self.parts.device.handle(chain))
        self.log.message(CONTROLQ, VMM, GUEST, used.written, used.head)
        return used

    def carry(self, steps: Steps[T]) -> T:
        """Let the renderer answer every question of the VMM."""
        try:
            question = next(steps)
            while True:
                data = question.build()
                self.log.message(RENDERER, VMM, HOST, data)
                answer, fds = self.parts.renderer.handle(data)
                self.log.message(RENDERER, HOST, VMM, answer, fds=tuple(passed.fd for passed in fds))
                question = steps.send(parse_reply(answer, fds))
        except StopIteration as done:
            value: T = done.value
            return value
