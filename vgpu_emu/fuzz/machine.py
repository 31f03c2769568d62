"""The trio machine as a target: three parties as tasks or processes, links that fail, a schedule from a seed."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from itertools import count
from math import ceil
from typing import Any

import trio
from msgspec.structs import replace

from vgpu_emu.assembly import Parts
from vgpu_emu.faults.plan import Fault
from vgpu_emu.fuzz import lost
from vgpu_emu.fuzz.actions import Break, Elapse, Restart, Schedule, Send, Step
from vgpu_emu.fuzz.attending import FIRST_RAW, asked, handled
from vgpu_emu.fuzz.audit import audit, leftovers
from vgpu_emu.fuzz.bench import Bench, Chooser
from vgpu_emu.fuzz.configuring import config_of
from vgpu_emu.fuzz.defect import plant
from vgpu_emu.fuzz.differing import Differences
from vgpu_emu.fuzz.driver_audit import audit_unused_driver
from vgpu_emu.fuzz.hosting import Host
from vgpu_emu.fuzz.machine_steps import DO, carry, elapse, reset, restart
from vgpu_emu.fuzz.model.case import Case, Finding
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.passage import Passage, Wire
from vgpu_emu.fuzz.watching import Alone, GuestPort, VmmPort, WatchedDevice, WatchedDriver
from vgpu_emu.guest.driver import Driver
from vgpu_emu.guest.waiting import Op, Wait
from vgpu_emu.host.renderer import Renderer
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.machine import Machine
from vgpu_emu.vmm.profiles import Profile

#: seconds after which nobody is late any more
LONG = 120.0


class MachineBench(Bench):
    """A machine of tasks. inside: its parties are in this process, so that an audit can look into them. look: it does
    so after every step."""

    machine: Machine
    renderer: Renderer
    device: WatchedDevice
    alone: Alone
    #: the guest sends a request before the one before it is answered
    hurries = False
    #: the guest program is in a call
    is_calling = False

    def __init__(
        self,
        setup: Setup,
        *,
        profile: Profile | None = None,
        defects: Sequence[Any] = (),
        inside: bool = True,
        look: bool = False,
    ) -> None:
        self.differences = None if profile is None else Differences(profile)
        super().__init__(setup if self.differences is None else self.differences.setup(setup), defects)
        self.config = config_of(self.world.setup)
        if self.differences is not None:
            self.config = replace(self.config, profile=self.differences.profile)
        self.wire = plant(self.defects, "link", Wire())
        self.passage = Passage()
        self.host = Host(self)
        self.inside = inside
        self.each = look
        #: of requests that no driver sends
        self.heads = count(FIRST_RAW)
        #: faults that have happened and were heard of
        self.fired = 0
        #: of what a fault has changed nobody knows what it did
        self.astray = False

    def change(self, parts: Parts) -> Parts:
        """The parties as a machine is to have them: with the defects, and watched."""
        self.device = self.watched(parts, [])
        self.renderer = plant(self.defects, "renderer", parts.renderer)
        self.driver = self.heard(parts.driver)
        if self.inside:
            self.fill_memory(self.parts.driver)
        else:
            self.world.memory = bytearray(self.world.setup.memory)
            self.guest.free_bytes = parts.driver.pages.free_bytes
        self.world.uncached = getattr(self.renderer, "write_combining_is_uncached", False)
        device: Any = self.device
        return replace(parts, device=device, renderer=self.renderer, driver=self.driver)

    def heard(self, driver: Driver) -> Driver:
        watched: Any = WatchedDriver(plant(self.defects, "driver", driver), self)
        return watched  # type: ignore[no-any-return]

    def watched(self, parts: Parts, given: list[Used]) -> WatchedDevice:
        """given: as of a WatchedDevice."""
        self.parts = parts
        self.alone = Alone(parts.device, self.judge)
        return WatchedDevice(plant(self.defects, "device", self.alone), self, given)

    async def live(self, machine: Machine, drive: Callable[[], Awaitable[None]]) -> None:
        """Drive the machine, and end what was begun. Raises Finding."""
        self.machine = machine
        machine.vmm.guest = self.vmm_port = VmmPort(machine.vmm.guest, self, lambda: self.device)
        machine.port = GuestPort(machine.port, self)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._interrupts)
            nursery.start_soon(self.vmm_port.hand_over)
            await drive()
            nursery.cancel_scope.cancel()

    async def _interrupts(self) -> None:
        """The guest's interrupt handler: takes every answer as it comes."""

        def never() -> Op[None]:
            yield Wait(lambda: False, "interrupts")

        while True:
            # the handler of an unbound driver ends, and the next driver has one of its own
            with suppress(OSError):
                await self.machine.run(never())

    # -- programs

    async def run(self, steps: Sequence[Step]) -> None:
        self.hurries = _hurries(steps)
        for self.index, step in enumerate(steps):
            if isinstance(step, Break | Schedule):
                # it was there from the start, and takes no turn: a program has the order of tasks that it had when it
                # was made up
                self.steps.append(step)
            elif not await self._do(step):
                return
        await self.end()

    async def explore(self, choose: Chooser, weather: Sequence[Step], length: int) -> None:
        self.hurries = _hurries(weather)
        self.steps += weather
        for self.index in range(len(weather), len(weather) + length):
            if not await self._do(choose.step(self)):
                return
        await self.end()

    async def _do(self, step: Step) -> bool:
        """False: from here on nobody can say what is right."""
        if self.hurries and not isinstance(step, Send):
            await self.quiet()
        if self._gives_up():
            return False
        self.steps.append(step)
        if self.each:
            self.note_step()
        await DO[type(step)](self, step)
        if not (self.hurries and isinstance(step, Send)):
            await self.quiet()
            if self.each:
                self.audit()
        return True

    def _gives_up(self) -> bool:
        return self.judge.unsure and not self.judge.lost

    async def quiet(self) -> None:
        """Until nobody has anything to do at this time."""
        from trio.testing import wait_all_tasks_blocked

        await wait_all_tasks_blocked()
        while held := self.wire.idle():
            self.vmm_port.deliver(held)
            await wait_all_tasks_blocked()
        self.look()

    def look(self) -> None:
        """What time it is, and what has gone wrong on the links: a fault there is in no model."""
        self.world.now = trio.current_time()
        fired = [] if self.machine.injector is None else self.machine.injector.fired
        for fault in fired[self.fired :]:
            self.meddled = True
            if fault.link in ("renderer", "fences"):
                self.astray = True
                self.judge.lose_track()
        self.fired = len(fired)

    # -- of a Watcher

    def asked(self, case: Case, data: bytes) -> None:
        asked(self, case, data)

    def handled(self, case: Case, data: bytes) -> None:
        handled(self, case, data)

    def sends(self, chain: Chain) -> None:
        """The driver goes on, maybe because it has given up waiting for an answer that a fault holds back."""
        self.look()
        if chain.head < FIRST_RAW:
            self.signalling.sends(chain.readable)
            self.endings.sends(self, chain.readable)

    def completed(self, used: Used) -> None:
        """Of what a fault has changed nobody can say which fences it signals."""
        self.look()
        if self.fired:
            self.signalling.clear()
        elif used.head < FIRST_RAW:
            self.signalling.answered(used.written, self.driver.fences)

    def audit(self) -> None:
        if self.inside and not self.judge.unsure:
            audit(self.parts, self.judge)
            if not self.machine.vmm.is_busy:
                self.census.look(self.parts.device, self.judge)

    async def end(self) -> None:
        """All work is done, all is answered; then the device is reset, and nothing may be left. Raises Finding."""
        await self.quiet()
        if self._gives_up():
            return
        await carry(self, self.guest.end(), "the end of the program")
        if self.machine.injector is not None:
            self.machine.injector.stop()
            await trio.sleep(LONG)
        await elapse(self, Elapse(ceil(self.world.left * 1e6) + 1))
        self.audit()
        self._all_answered()
        if not (self.hangs or self.fired or self.judge.unsure):
            audit_unused_driver(self)
        await reset(self)
        if self.astray and self.inside and self.machine.vmm.lost is None:
            # what the host was not told to close its kernel closes at the end of the VMM
            await restart(self, Restart())
            leftovers(self.parts, self.judge)
        self.audit()

    def _all_answered(self) -> None:
        """Or the failure is declared, or an answer of the host to a question about a fence was lost."""
        self.judge.evaluated["I19"] += 1
        self.passage.arrived()
        if lost.excuses(self.machine):
            return
        for case in self.judge.unanswered_cases:
            raise Finding(lost.oracle(self.machine), f"{case} has not been answered, and nobody is at it")
        if not self.meddled and self.driver.in_flight:
            raise Finding("I19", f"the driver waits for {self.driver.in_flight} answers that were given")


def faults_of(steps: Iterable[Step]) -> list[Fault]:
    return [step.fault for step in steps if isinstance(step, Break)]


def seed_of(steps: Iterable[Step]) -> int:
    return next((step.seed for step in steps if isinstance(step, Schedule)), 0)


def _hurries(steps: Iterable[Step]) -> bool:
    """A schedule is also when the guest sends: under each fourth, before it has the answer to what it sent before."""
    return seed_of(steps) % 4 == 1
