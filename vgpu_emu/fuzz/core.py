"""The core target: driver, device and renderer in one thread, and the reference that watches what crosses."""

from collections.abc import Callable, Sequence
from itertools import count
from math import ceil
from typing import Any, NoReturn

from msgspec.structs import replace

from vgpu_emu.assembly import DeviceConfig, assemble
from vgpu_emu.fuzz.actions import Break, Call, Elapse, Fail, Plug, Poke, Program, Reset, Restart, Schedule, Send, Step
from vgpu_emu.fuzz.attending import FIRST_RAW, asked, handled
from vgpu_emu.fuzz.audit import audit
from vgpu_emu.fuzz.bench import Bench, Chooser
from vgpu_emu.fuzz.configuring import config_of, features_of
from vgpu_emu.fuzz.defect import plant
from vgpu_emu.fuzz.differing import Differences, Differs
from vgpu_emu.fuzz.driver_audit import audit_unused_driver
from vgpu_emu.fuzz.hearing import HeardRenderer, HeardWire
from vgpu_emu.fuzz.hosting import Host
from vgpu_emu.fuzz.lockstep import Lockstep
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.passage import Passage, Wire
from vgpu_emu.fuzz.ram import give_back, take_memory
from vgpu_emu.fuzz.remembering import compare, told, unchanged
from vgpu_emu.guest.driver import Capsets
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.fences import timeline_of
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.snapshot import restore, take


class Core(Bench):
    """A machine of one thread. look: audit after every step, not only at the end, and log what crosses."""

    def __init__(
        self, setup: Setup, *, profile: Profile | None = None, defects: Sequence[Any] = (), look: bool = False
    ) -> None:
        self._differences = None if profile is None else Differences(profile)
        if self._differences is not None:
            setup = self._differences.setup(setup)
        super().__init__(setup, defects)
        config = config_of(setup)
        if self._differences is not None:
            config = replace(config, profile=self._differences.profile)
        self._ram = take_memory(setup.memory)
        self.world.memory = take_memory(setup.memory)
        self.parts = assemble(config, Log((lambda: self.world.now) if look else None), self._ram)
        self.device = plant(self.defects, "device", self.parts.device)
        self.renderer = plant(self.defects, "renderer", self.parts.renderer)
        self.driver = plant(self.defects, "driver", self.parts.driver)
        self.wire = plant(self.defects, "link", Wire())
        self.follow_memory(self.parts.driver)
        self.passage = Passage()
        self.world.uncached = getattr(self.renderer, "write_combining_is_uncached", False)
        self.look = look
        if look:
            self._hear()
        self.host = Host(self)
        self.lockstep = Lockstep(self)
        self._heads = count(FIRST_RAW)

    def _hear(self) -> None:
        wire: Any = HeardWire(self.wire, self.parts.log)
        renderer: Any = HeardRenderer(self.renderer, self.parts.log)
        self.wire, self.renderer = wire, renderer

    def close(self) -> None:
        """The end of all three parties, and of the guest's memory."""
        self.parts.close()
        # these refer to the machine: without them it is freed at once, and nobody has to look for cycles
        del self.guest, self.host, self.lockstep
        self.parts.memory.remove(0, len(self._ram))
        give_back(self._ram)
        give_back(self.world.memory)
        self.world.memory = bytearray()

    def run(self, program: Program) -> None:
        """Carry out a program, and end it. Raises Finding."""
        for self.index, step in enumerate(program.steps):
            if self.judge.unsure:
                return
            self.steps.append(step)
            if self.look:
                self.note_step()
            self.do(step)
            if self.look:
                self.audit()
        self.end()

    def explore(self, choose: Chooser, length: int) -> Program:
        """Carry out what is chosen step by step; the program that came of it. Raises Finding, and `steps` has it."""
        for self.index in range(length):
            if self.judge.unsure:
                break
            step = choose.step(self)
            self.steps.append(step)
            self.do(step)
        else:
            self.end()
        return self.program

    def do(self, step: Step) -> None:
        """Raises Finding."""
        _DO[type(step)](self, step)

    def audit(self) -> None:
        if not self.judge.unsure:
            audit(self.parts, self.judge)
            self.census.look(self.parts.device, self.judge)

    def end(self) -> None:
        """All work is done, all is answered; then the device is reset, and nothing may be left. Raises Finding."""
        if self.judge.unsure:
            return
        if self.guest.uses_device:
            # its end may undo what is wrong
            self.audit()
        self.lockstep.run(self.guest.end())
        self.lockstep.kick()
        self._finish()
        while self.idle() or self.driver.available:
            self.lockstep.kick()
            self._finish()
        self.judge.evaluated["I19"] += 1
        self.passage.arrived()
        if not (self.hangs or self.judge.unsure):
            audit_unused_driver(self)
        self.audit()
        self.reset()
        self.audit()

    def _finish(self) -> None:
        """Time passes until all work is done."""
        self.elapse(Elapse(ceil(self.world.left * 1e6) + 1))

    # -- the guest's requests

    def send(self, step: Send) -> None:
        self.meddled = True
        self.submit(Chain(next(self._heads), step.queue, step.data, step.capacity))

    def submit(self, chain: Chain) -> None:
        """One request on its way, whoever made it."""
        self.passage.sends(chain)
        if chain.head < FIRST_RAW:
            self.signalling.sends(chain.readable)
            self.endings.sends(self, chain.readable)
        for arrived in self.wire.available(chain):
            self.passage.arrives(arrived)
            self._handle(arrived)

    def _handle(self, chain: Chain) -> None:
        judge = self.judge
        self.commands += 1
        case = judge.request(chain.head, chain.queue, chain.readable, chain.capacity)
        differences = self._differences
        if differences is not None and (judge.unsure or differences.asked(self.world, case, chain)):
            self._differs()
        asked(self, case, chain.readable)
        used = self.device.handle(chain)
        if used is not None and not isinstance(used, Used):
            used = self.host.carry(used)
        if differences is not None and differences.happened(self.parts.device):
            self._differs()
        if used is None:
            judge.unanswered(case)
        else:
            self._used(used)
        handled(self, case, chain.readable)

    def _differs(self) -> NoReturn:
        """What the VMM has is not what the reference has, from here on. Raises Differs."""
        self.judge.unsure = True
        raise Differs

    def _used(self, used: Used) -> None:
        """The device gives a chain back: it is judged by what it gives, whatever the link makes of that."""
        if self.look:
            self.parts.log.answer(used)
        self.judge.answer(used.head, used.queue, used.written)
        self.passage.answers(used)
        self._come_back(self.wire.used(used))

    def _come_back(self, chains: list[Used]) -> None:
        for back in chains:
            self.passage.returns(back)
            if back.head < FIRST_RAW:
                self.driver.complete(back)
                self.signalling.answered(back.written, self.driver.fences)

    def idle(self) -> bool:
        """Let arrive what the link still has; whether there was something."""
        held = self.wire.idle()
        if held:
            self._come_back(held)
        return bool(held)

    # -- the rest

    def elapse(self, step: Elapse) -> None:
        """Whatever is due meanwhile happens when it is due."""
        self.idle()
        until = self.world.now + step.microseconds / 1e6
        while (due := self.renderer.rings.next_due) is not None and self.world.now < due < until:
            self._advance(due)
        self._advance(until)

    def _advance(self, now: float) -> None:
        self.world.now = now
        for signal in self.renderer.rings.due(now):
            for used in self.device.signal(timeline_of(signal), signal.fence_id):
                self._used(used)
        self.idle()
        self.judge.advanced()
        # what the driver's workers do about the answers
        self.lockstep.kick()

    def restart(self, _step: Restart) -> None:
        """Another VMM goes on from the snapshot of this one; what that said of itself must be true of it."""
        self.idle()
        state = take(self.parts.device)
        self.world.restarted()
        self.host.disarm()
        # what a profile says that it answers otherwise would be seen in these questions
        said = told(self.device, self.world) if self._differences is None else {}
        self.parts = self.parts.restarted()
        self.device = plant(self.defects, "device", self.parts.device)
        self.driver.config = DeviceConfig(self.parts.device, self.parts.driver.features)
        complete = self.host.carry(restore(self.parts.device, plant(self.defects, "snapshot", state)))
        for used in complete:
            self._used(used)
        self.judge.evaluated["I30"] += 1
        if not complete:
            unchanged(state, take(self.parts.device))
        if said:
            compare(said, told(self.device, self.world))
        # as in `_advance`
        self.lockstep.kick()
        self.audit()

    def restart_driver(self, step: Reset) -> None:
        """A driver that programs use, or that waits for answers, is not unbound."""
        if not self.guest.uses_device and not self.driver.in_flight:
            self.reset(step.features)
            driver = self.parts.driver
            driver.features = features_of(self.world.features)
            driver.config = DeviceConfig(self.parts.device, driver.features)
            driver.outputs.clear()
            driver.capsets = Capsets()

    def reset(self, known: int | None = None) -> None:
        """known: as of `forget`. Raises Finding."""
        self.host.disarm()
        self.idle()
        self.host.carry(self.device.reset())
        self.passage.clear()
        self.forget(known)
        if self.parts.device.features:
            raise Finding("I35", "after a reset the device has features before the driver has accepted any")
        if not self.device.negotiate(features_of(self.world.features)):
            raise Finding("I30", "after a reset the device refuses features that it offers")


def nothing(_core: Core, _step: Step) -> None:
    """Of links and tasks, which there are none of here."""


_DO: dict[type[Step], Callable[[Core, Any], None]] = {
    Send: Core.send,
    Poke: lambda core, step: core.poke(step.address, step.data),
    Elapse: Core.elapse,
    Plug: lambda core, step: core.plug(step.scanout_id, step.width, step.height),
    Fail: lambda core, step: core.host.arm(step),
    Call: lambda core, step: core.lockstep.call(step),
    Restart: Core.restart,
    Reset: Core.restart_driver,
    Break: nothing,
    Schedule: nothing,
}
