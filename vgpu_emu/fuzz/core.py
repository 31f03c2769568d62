"""The core target: driver, device and renderer in one thread, and the reference that watches what crosses."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from math import ceil
from types import MappingProxyType
from typing import Any, Protocol

from msgspec.structs import replace

from vgpu_emu.assembly import Config, assemble, size_only
from vgpu_emu.fuzz.actions import Call, Elapse, Fail, Plug, Poke, Program, Reset, Restart, Send, Step
from vgpu_emu.fuzz.audit import audit
from vgpu_emu.fuzz.defect import plant
from vgpu_emu.fuzz.guest import Guest
from vgpu_emu.fuzz.hosting import Host
from vgpu_emu.fuzz.model.contexts import capset_data
from vgpu_emu.fuzz.model.judge import Finding, Judge
from vgpu_emu.fuzz.model.world import Asks, Setup, World
from vgpu_emu.host.renderer import RendererLimits
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.memory import Memory
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.command import Capset
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.fences import timeline_of
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.snapshot import restore, take
from vgpu_emu.vmm.state import Blob, DeviceLimits
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import MapCache
from vgpu_wire.device import Feature

_CAPSETS: dict[tuple[tuple[int, int, int], ...], Mapping[int, Capset]] = {}


def config_of(setup: Setup) -> Config:
    """The machine that a setup asks for. Buffers of the host have a size and no bytes."""
    capsets = _CAPSETS.get(setup.capsets)
    if capsets is None:
        made = {number: Capset(version, capset_data(number, size)) for number, version, size in setup.capsets}
        capsets = _CAPSETS[setup.capsets] = MappingProxyType(made)
    return Config(
        dialect=Dialect.RFC3 if setup.asks is Asks.RFC3 else Dialect.RFC1,
        ioctl=setup.asks is not Asks.GUESS,
        guess=MapCache(setup.guess),
        features=frozenset(feature for feature in Feature if setup.has(feature)),
        scanouts=setup.scanouts,
        host_visible=setup.host_visible,
        guest_memory=setup.memory,
        blob_alignment=setup.blob_alignment,
        capsets=capsets,
        backing=Memory.memfd if setup.real else size_only,
        device_limits=DeviceLimits(
            resources=setup.resources,
            contexts=setup.contexts,
            host_memory=setup.host_memory,
            image_lines=setup.image_lines,
            blob_bytes=setup.blob_bytes,
            entries=setup.entries,
            submit_bytes=setup.submit_bytes,
            fences=setup.fences,
        ),
        renderer_limits=RendererLimits(host_memory=setup.object_bytes, objects=setup.objects),
    )


#: heads from here on are those of requests that no driver sent
_RAW = 1 << 32


class Wire:
    """What carries chains between guest and VMM: each method gets what is sent and gives what arrives, in order."""

    def available(self, chain: Chain) -> list[Chain]:
        return [chain]

    def used(self, used: Used) -> list[Used]:
        return [used]


class Chooser(Protocol):
    """Who makes a program up, step by step, knowing what became of the ones before."""

    def step(self, core: "Core") -> Step: ...


class Core:
    """One machine, and the reference beside it. index: the step that is carried out.

    defects: see defect.py. look: audit after every step, not only at the end.
    """

    def __init__(
        self, setup: Setup, *, profile: Profile | None = None, defects: Sequence[Any] = (), look: bool = False
    ) -> None:
        config = config_of(setup)
        self.parts = assemble(config if profile is None else replace(config, profile=profile), Log())
        self.world = World(setup)
        self.judge = Judge(self.world)
        self.defects = defects
        self.device = plant(defects, "device", self.parts.device)
        self.renderer = plant(defects, "renderer", self.parts.renderer)
        self.driver = plant(defects, "driver", self.parts.driver)
        self.wire = plant(defects, "link", Wire())
        self.look = look
        self.index = 0
        #: chains that the device was given
        self.commands = 0
        #: there were requests that no driver sent, so that the driver cannot know what the device has
        self.meddled = False
        self.steps: list[Step] = []
        self.host = Host(self)
        self.guest = Guest(self)
        #: resource -> what its host buffer holds, of a setup with real memory
        self._contents: dict[int, bytearray] = {}
        self._heads = count(_RAW)

    def close(self) -> None:
        self.parts.close()

    def run(self, program: Program) -> None:
        """Carry out a program, and end it. Raises Finding."""
        for self.index, step in enumerate(program.steps):
            if self.judge.unsure:
                return
            self.steps.append(step)
            _DO[type(step)](self, step)
            if self.look:
                self.audit()
        self.end()

    def explore(self, choose: "Chooser", length: int) -> Program:
        """Carry out what is chosen step by step; the program that came of it. Raises Finding, and `steps` has it."""
        for self.index in range(length):
            if self.judge.unsure:
                break
            step = choose.step(self)
            self.steps.append(step)
            _DO[type(step)](self, step)
        else:
            self.end()
        return self.program

    @property
    def program(self) -> Program:
        """What was carried out so far."""
        return Program(self.world.setup, tuple(self.steps))

    def audit(self) -> None:
        if not self.judge.unsure:
            audit(self.parts, self.judge)

    def end(self) -> None:
        """All work is done, all is answered; then the device is reset, and nothing may be left. Raises Finding."""
        self.guest.end()
        last = max([self.world.now, *self.world.busy.values(), *(pending.due for pending in self.world.pending)])
        self.elapse(Elapse(ceil((last - self.world.now) * 1e6) + 1))
        self.audit()
        self.reset()
        self.audit()

    # -- the guest's requests

    def send(self, step: Send) -> None:
        self.meddled = True
        self.submit(Chain(next(self._heads), step.queue, step.data, step.capacity))

    def submit(self, chain: Chain) -> None:
        """One request on its way, whoever made it."""
        for arrived in self.wire.available(chain):
            self._handle(arrived)

    def _handle(self, chain: Chain) -> None:
        judge = self.judge
        self.commands += 1
        case = judge.request(chain.head, chain.queue, chain.readable, chain.capacity)
        used = self.device.handle(chain)
        if used is not None and not isinstance(used, Used):
            used = self.host.carry(used)
        if used is None:
            judge.unanswered(case)
        else:
            self._used(used)
        if self.host.failed:
            self.host.forgive(chain.readable)

    def _used(self, used: Used) -> None:
        for back in self.wire.used(used):
            self.judge.answer(back.head, back.queue, back.written)
            if back.head < _RAW:
                self.driver.complete(back)

    def contents(self, resource_id: int) -> bytearray | None:
        """What a blob on the host must hold; None: it has no bytes, or is none."""
        blob = self.world.resources.get(resource_id)
        if blob is None or not blob.on_host or not self.world.setup.real:
            return None
        return self._contents.setdefault(resource_id, bytearray(blob.buffer))

    # -- the rest

    def poke(self, step: Poke) -> None:
        data = step.data[: max(self.world.setup.memory - step.address, 0)]
        if data:
            self.parts.memory.write(step.address, data)
            self.world.memory[step.address : step.address + len(data)] = data

    def elapse(self, step: Elapse) -> None:
        self.world.now += step.microseconds / 1e6
        for signal in self.renderer.rings.due(self.world.now):
            for used in self.device.signal(timeline_of(signal), signal.fence_id):
                self._used(used)
        self.judge.advanced()

    def plug(self, step: Plug) -> None:
        index = step.scanout_id % len(self.world.scanouts)
        display, displays = self.world.scanouts[index], self.parts.device.displays
        if step.width and step.height:
            display.width, display.height, display.enabled = step.width, step.height, True
            displays.plug(index, step.width, step.height)
        else:
            display.enabled = False
            displays.unplug(index)

    def restart(self, _step: Restart) -> None:
        """Another VMM goes on from the snapshot of this one; what that said of itself must be true of it."""
        device = self.parts.device
        state = take(device)
        self._kill(device)
        complete = self.host.carry(restore(device, plant(self.defects, "snapshot", state)))
        for used in complete:
            self._used(used)
        self.judge.evaluated["I30"] += 1
        if not complete and take(device) != state:
            raise Finding("I30", "the restored device says other things of itself than the one before")
        self.audit()

    def _kill(self, device: Device) -> None:
        """The VMM's process ends: its mappings and descriptors go, the renderer and the guest are as they were."""
        self.host.disarm()
        self.parts.region.clear()
        for resource in device.resources.values():
            if isinstance(resource, Blob) and resource.exported is not None:
                resource.exported.memory.release()
        self.parts.renderer.vmm.exit()
        device.resources.clear()
        device.contexts.clear()
        device.fences.clear()
        device.image_bytes = device.blob_bytes = 0

    def restart_driver(self, _step: Reset) -> None:
        """A driver that programs use is not unbound."""
        if not self.guest.files:
            self.reset()

    def reset(self) -> None:
        self.host.disarm()
        self._contents.clear()
        self.host.carry(self.device.reset())
        self.world.forget_all()
        self.judge.forget()
        features = frozenset(feature for feature in Feature if self.world.setup.has(feature))
        if not self.device.negotiate(features):
            raise Finding("I30", "after a reset the device refuses features that it took before")


_DO: dict[type[Step], Callable[[Core, Any], None]] = {
    Send: Core.send,
    Poke: Core.poke,
    Elapse: Core.elapse,
    Plug: Core.plug,
    Fail: lambda core, step: core.host.arm(step),
    Call: lambda core, step: core.guest.call(step),
    Restart: Core.restart,
    Reset: Core.restart_driver,
}
