"""Calls of a guest program on a machine of one thread: while the guest sleeps, time passes and the device works."""

from math import inf
from typing import TYPE_CHECKING, TypeVar

from vgpu_emu.fuzz.actions import Call, Elapse
from vgpu_emu.fuzz.attending import called
from vgpu_emu.fuzz.calls import op_of
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.guest.waiting import Op, Wait

if TYPE_CHECKING:
    from vgpu_emu.fuzz.core import Core

T = TypeVar("T")


class HangError(Exception):
    """A call waits for what nobody will do."""


class Lockstep:
    def __init__(self, core: "Core") -> None:
        self._core = core

    def call(self, step: Call) -> None:
        """Raises Finding. What the kernel refuses, and what Linux waits for without end, is no finding by itself."""
        core = self._core
        core.sent.clear()
        try:
            self.run(op_of(core.guest, step))
        except (OSError, HangError):
            core.judge.evaluated["I28"] += 1
            core.guest.promises.clear()
        self.kick()
        while core.idle():
            self.kick()
        called(core)

    def run(self, op: Op[T]) -> T:
        try:
            wait = next(op)
            while True:
                wait = op.send(self._sleep(wait))
        except StopIteration as done:
            value: T = done.value
            return value

    def _sleep(self, wait: Wait) -> bool:
        core = self._core
        deadline = inf if wait.timeout is None else core.world.now + wait.timeout
        self.kick()
        while not wait.ready():
            if core.idle():
                continue
            due = core.renderer.rings.next_due
            wake = min(deadline, inf if due is None else due)
            if wake == inf:
                self._hangs(wait)
            core.elapse(Elapse(round(max(wake - core.world.now, 0.0) * 1e6) + 1))
            self.kick()
            if core.world.now >= deadline:
                break
        return bool(wait.ready())

    def _hangs(self, wait: Wait) -> None:
        """Linux waits for ever, and cannot be interrupted, where a deferred map found no room."""
        if any(True for _ in self._core.parts.log.notes("deferred_map_failed")):
            self._core.hangs = True
            raise HangError(wait.why)
        raise Finding("I19", f"the guest waits for {wait.why}, and nobody is at it")

    def kick(self) -> None:
        """Hand the driver's requests to the device, one by one."""
        driver = self._core.driver
        while chains := driver.take_available():
            for chain in chains:
                self._core.submit(chain)
