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
from vgpu_emu.fuzz.actions import Break, Call, Elapse, Fail, Plug, Poke, Reset, Restart, Schedule, Send, Step
from vgpu_emu.fuzz.attending import FIRST_RAW, asked, called, handled
from vgpu_emu.fuzz.audit import audit, leftovers
from vgpu_emu.fuzz.bench import Bench, Chooser
from vgpu_emu.fuzz.core import config_of
from vgpu_emu.fuzz.defect import plant
from vgpu_emu.fuzz.differing import Differences
from vgpu_emu.fuzz.driver_audit import audit_unused_driver
from vgpu_emu.fuzz.hosting import Host
from vgpu_emu.fuzz.model.judge import Case, Finding
from vgpu_emu.fuzz.model.world import Setup
from vgpu_emu.fuzz.passage import Passage, Wire
from vgpu_emu.fuzz.remembering import Said, difference, told
from vgpu_emu.fuzz.watching import Alone, GuestPort, VmmPort, WatchedDevice, WatchedDriver
from vgpu_emu.guest.driver import Driver
from vgpu_emu.guest.waiting import Op, Wait
from vgpu_emu.host.renderer import Renderer
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.machine import Machine
from vgpu_emu.restarting import rebind, take_over
from vgpu_emu.vmm.profiles import Profile

#: seconds after which a call that has not returned never will; after which nobody is late any more
FOREVER, LONG = 600.0, 120.0


class MachineBench(Bench):
    """A machine of tasks. inside: its parties are in this process, so that an audit can look into them. look: it does
    so after every step."""

    machine: Machine
    renderer: Renderer
    device: WatchedDevice
    alone: Alone
    #: the guest sends a request before the one before it is answered
    hurries = False

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
        self._heads = count(FIRST_RAW)
        #: faults that have happened and were heard of
        self._known = 0
        self._astray = False

    def change(self, parts: Parts) -> Parts:
        """The parties as a machine is to have them: with the defects, and watched."""
        self.device = self._watched(parts, [])
        self.renderer = plant(self.defects, "renderer", parts.renderer)
        self.driver = self._heard(parts.driver)
        if self.inside:
            self.fill_memory(self.parts.driver)
        else:
            self.world.memory = bytearray(self.world.setup.memory)
            self.guest.free_bytes = parts.driver.pages.free_bytes
        self.world.uncached = getattr(self.renderer, "write_combining_is_uncached", False)
        device: Any = self.device
        return replace(parts, device=device, renderer=self.renderer, driver=self.driver)

    def _heard(self, driver: Driver) -> Driver:
        watched: Any = WatchedDriver(plant(self.defects, "driver", driver), self)
        return watched  # type: ignore[no-any-return]

    def _watched(self, parts: Parts, given: list[Used]) -> WatchedDevice:
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
        await _DO[type(step)](self, step)
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
        for fault in fired[self._known :]:
            self.meddled = True
            if fault.link in ("renderer", "fences"):
                self._astray = True
                self.judge.lose_track()
        self._known = len(fired)

    # -- of a Watcher

    def asked(self, case: Case, data: bytes) -> None:
        asked(self, case, data)

    def handled(self, case: Case, data: bytes) -> None:
        handled(self, case, data)

    def sends(self, chain: Chain) -> None:
        if chain.head < FIRST_RAW:
            self.signalling.sends(chain.readable)

    def completed(self, used: Used) -> None:
        """Of what a fault has changed nobody can say which fences it signals."""
        self.look()
        if used.head < FIRST_RAW and not self._known:
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
        await self._carry(self.guest.end(), "the end of the program")
        if self.machine.injector is not None:
            self.machine.injector.stop()
            await trio.sleep(LONG)
        await self.elapse(Elapse(ceil(self.world.left * 1e6) + 1))
        self.audit()
        self._all_answered()
        if not (self.hangs or self._known or self.judge.unsure):
            audit_unused_driver(self)
        await self.reset()
        if self._astray and self.inside and self.machine.vmm.lost is None:
            # what the host was not told to close its kernel closes at the end of the VMM
            await self.restart(Restart())
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

    # -- steps

    async def send(self, step: Send) -> None:
        self.meddled = True
        self.machine.port.send([Chain(next(self._heads), step.queue, step.data, step.capacity)])

    async def elapse(self, step: Elapse) -> None:
        await trio.sleep(step.microseconds / 1e6)
        await self.quiet()
        self.judge.advanced()

    async def call(self, step: Call) -> None:
        """Raises Finding. What the kernel refuses, and what Linux waits for without end, is no finding by itself."""
        self.sent.clear()
        try:
            await self._carry(self.guest.call(step), step.name)
        except OSError:
            self.judge.evaluated["I28"] += 1
            self.guest.promises.clear()
        await self.quiet()
        called(self)

    async def _carry(self, op: Op[None], name: str) -> None:
        with trio.move_on_after(FOREVER) as scope:
            await self.machine.run(op)
        self.judge.evaluated["I27"] += self.machine.vmm.lost is not None
        if scope.cancelled_caught and not self._may_hang():
            oracle, waits = lost.oracle(self.machine), "; ".join(self.machine.waits())
            raise Finding(oracle, f"{name} never returns: {waits}")
        if scope.cancelled_caught:
            self.hangs = True
            self.guest.promises.clear()

    def _may_hang(self) -> bool:
        """Linux waits for ever, and cannot be interrupted, where a deferred map found no room."""
        if lost.excuses(self.machine) or lost.is_unnoticed(self.machine):
            return True
        return any(True for _ in self.parts.log.notes("deferred_map_failed"))

    async def restart(self, _step: Restart) -> None:
        """Another VMM goes on from the snapshot of this one; what that said of itself must be true of it."""
        self.host.disarm()
        async with self.machine.vmm.stopped():
            await self._take_over()
        self.audit()

    async def _take_over(self) -> None:
        """What the VMM has carried out is in its snapshot: it is taken when the VMM has stopped."""
        state, pending, given = self.machine.parts.snapshot(), len(self.judge.unanswered_cases), self.device.given
        said = self._told()
        self.world.restarted()
        await take_over(self.machine, plant(self.defects, "snapshot", state))
        self.device = self._watched(replace(self.parts, device=self.machine.parts.device), given)
        device: Any = self.device
        self.machine.vmm.device = device
        self.judge.evaluated["I30"] += 1
        # a fault may have struck while the blobs were mapped again
        self.look()
        same = len(self.judge.unanswered_cases) == pending and not self._astray
        if same and self.machine.parts.snapshot() != state:
            raise Finding("I30", "the restored device says other things of itself than the one before")
        if said and said != (now := self._told()):
            raise Finding("I30", f"another VMM answers otherwise: {difference(said, now)}")

    def _told(self) -> Said:
        """Nothing of a device that is elsewhere, or that a profile's VMM would answer otherwise."""
        device = self.device.inner
        is_asked = self.inside and self.differences is None and not device.silent
        return told(device, self.world) if is_asked else {}

    async def restart_driver(self, _step: Reset) -> None:
        """A driver that programs use, or that waits for answers, is not unbound."""
        if not self.guest.uses_device and not self.driver.in_flight:
            await self.reset()

    async def reset(self) -> None:
        self.host.disarm()
        self.passage.clear()
        try:
            await rebind(self.machine)
        except ValueError as refused:
            raise Finding("I30", str(refused)) from None
        self.driver = self.machine.driver = self._heard(self.machine.driver)
        self.forget()
        if self._astray:
            self.judge.lose_track()


async def _poke(bench: MachineBench, step: Poke) -> None:
    bench.poke(step.address, step.data)


async def _plug(bench: MachineBench, step: Plug) -> None:
    bench.plug(step.scanout_id, step.width, step.height)


async def _fail(bench: MachineBench, step: Fail) -> None:
    bench.host.arm(step)


_DO: dict[type[Step], Callable[[MachineBench, Any], Awaitable[None]]] = {
    Send: MachineBench.send,
    Poke: _poke,
    Elapse: MachineBench.elapse,
    Plug: _plug,
    Fail: _fail,
    Call: MachineBench.call,
    Restart: MachineBench.restart,
    Reset: MachineBench.restart_driver,
}


def faults_of(steps: Iterable[Step]) -> list[Fault]:
    return [step.fault for step in steps if isinstance(step, Break)]


def seed_of(steps: Iterable[Step]) -> int:
    return next((step.seed for step in steps if isinstance(step, Schedule)), 0)


def _hurries(steps: Iterable[Step]) -> bool:
    """A schedule is also when the guest sends: under each fourth, before it has the answer to what it sent before."""
    return seed_of(steps) % 4 == 1
