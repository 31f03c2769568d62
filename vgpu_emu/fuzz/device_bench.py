"""A device that is not ours as a target: what crosses its queues is judged, and what of the guest it touches."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import count

import trio
from msgspec.structs import replace

from vgpu_emu.fuzz.actions import Call, Elapse, Poke, Program, Send, Step
from vgpu_emu.fuzz.attending import FIRST_RAW
from vgpu_emu.fuzz.bench import Bench, Chooser
from vgpu_emu.fuzz.calls import op_of
from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.leniency import QUESTIONS, Known, Likeness, relax, succeeds
from vgpu_emu.fuzz.listening import Exchange, ListeningPort
from vgpu_emu.fuzz.model.case import Case, Finding
from vgpu_emu.fuzz.model.expectation import Verdict
from vgpu_emu.fuzz.model.judge import Judge
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.model.world import GLOBAL, Resource, World
from vgpu_emu.fuzz.outside import Outside
from vgpu_emu.guest.probe import probe
from vgpu_emu.guest.waiting import Op
from vgpu_emu.link.chain import Chain
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.peers.front.machine import DeviceMachine
from vgpu_emu.vmm.profiles import Profile
from vgpu_wire.blob import ResourceUnmapBlob
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, CURSORQ, Config, Feature
from vgpu_wire.display import CursorPos, SetScanout, UpdateCursor
from vgpu_wire.render import CtxDestroy
from vgpu_wire.resource import ResourceUnref
from vgpu_wire.vhost_user_gpu import GpuRequest

#: device-writable bytes of what ends a program
_ROOM = 2048
#: fenced requests that the device may have before somebody waits for it
_AHEAD = 8
#: seconds that a step of real time takes at most
_LONGEST = 0.001
#: what is held even against a device of which nobody knows what it has
_OF_ANY = {"I7", "I17", "I19"}
_FENCE = CtrlFlag.FENCE.value


class _LateJudge(Judge):
    """A judge of answers that are looked at after they came. The world's time is that of the request."""

    heard = 0.0

    @property
    def heard_at(self) -> float:
        return self.heard


class _NoCapsets(Wrapper):
    """A configuration space without the capsets that a driver cannot ask for, and would wait for."""

    def read(self) -> Config:
        current: Config = self.inner.read()
        return replace(current, num_capsets=0)


class DeviceBench(Bench):
    """outside: the device. profile: what it is like."""

    machine: DeviceMachine
    port: ListeningPort
    judge: _LateJudge

    def __init__(self, setup: Setup, outside: Outside, profile: Profile | None) -> None:
        super().__init__(setup)
        self.outside = outside
        self.profile = profile
        self.asked_for = setup
        self.is_there = False
        self.likeness: Likeness | None = None
        #: nobody knows any more what the device has; what it answers is believed
        self.believes = False
        #: (context, ring) -> the place of the latest answer on it
        self._latest: dict[tuple[int, int], int] = {}
        #: resource -> what it was seen to have, and what was stored since
        self._seen: dict[int, tuple[Resource, bytearray]] = {}
        self._heads = count(FIRST_RAW)

    @property
    def program(self) -> Program:
        return Program(self.asked_for, tuple(self.steps))

    @property
    def memory(self) -> GuestMemory:
        return self.machine.memory

    async def live(self, machine: DeviceMachine, drive: Callable[[], Awaitable[None]]) -> None:
        """Drive the machine, and end what was begun. Raises Finding, DeviceError."""
        self.machine, self.driver = machine, machine.driver
        if not machine.driver.has(Feature.VIRGL):
            machine.driver.config = _NoCapsets(machine.driver.config)
        await machine.run(probe(machine.driver))
        self.is_there = True
        self._begin(self.outside.setup(self.asked_for, machine))
        machine.port = self.port = ListeningPort(machine.port, self._note)
        try:
            await drive()
        finally:
            if self.likeness is not None:
                self.likeness.close()

    def _begin(self, setup: Setup) -> None:
        self.world = World(setup)
        self.world.has_our_capsets = False
        # what it was carried out with
        self.asked_for = replace(self.asked_for, features=setup.features)
        for scanout, output in zip(self.world.scanouts, self.driver.outputs, strict=True):
            scanout.enabled = output.is_connected
        self.judge = _LateJudge(self.world)
        self.fill_memory(self.driver)
        if self.profile is not None and self.profile.name != "strict":
            self.likeness = Likeness(setup, self.profile)

    # -- programs

    async def run(self, steps: Sequence[Step]) -> None:
        for self.index, step in enumerate(steps):
            await self._do(step)
        await self.end()

    async def explore(self, choose: Chooser, length: int) -> None:
        for self.index in range(length):
            await self._do(choose.step(self))
        await self.end()

    async def _do(self, step: Step) -> None:
        self.steps.append(step)
        if isinstance(step, Send):
            self.meddled = True
            await self.send(step.data, step.queue, step.capacity)
        elif isinstance(step, Call):
            await self._call(step)
        elif isinstance(step, Poke):
            await self.drain()
            self.poke(step.address, step.data)
        elif isinstance(step, Elapse):
            await trio.sleep(min(step.microseconds / 1e6, _LONGEST))

    async def send(self, data: bytes, queue: int, capacity: int = _ROOM) -> None:
        """A request; one without a fence is waited for, and so are all before it."""
        waiting = self.port.waiting
        if len(waiting) >= _AHEAD or any(chain.queue != queue for chain in waiting):
            await self.drain()
        try:
            self.port.send([Chain(next(self._heads), queue, data, capacity)])
        except OSError:
            # the queue has no room for it, ever
            return
        if not data[4:5] or not data[4] & _FENCE:
            await self.drain()

    async def _call(self, step: Call) -> None:
        """What the kernel refuses is no finding by itself."""
        await self.drain()
        try:
            await self._carry(op_of(self.guest, step), step.name)
        except OSError:
            self.judge.evaluated["I28"] += 1
        await self.drain()

    async def _carry(self, op: Op[None], name: str) -> None:
        with trio.move_on_after(2 * self.outside.patience) as scope:
            await self.machine.run(op)
        if scope.cancelled_caught:
            raise Finding("I19", f"{name} never returns: {'; '.join(self.machine.waits())}")

    async def drain(self) -> None:
        """Until the device has answered everything."""
        while self.port.waiting or self.driver.available:
            if self.driver.available:
                self.port.send(self.driver.take_available())
            for used in await self.port.receive():
                self.driver.complete(used)

    async def end(self) -> None:
        """All is answered, and nothing of it is left when all is undone, which is part of the program then. Raises
        Finding."""
        await self._carry(self.guest.end(), "the end of the program")
        await self.drain()
        self._look()
        for request, queue in _undoing(self.world):
            self.index = len(self.steps)
            await self._do(Send(request.build(), queue))
        await self.send(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value).build(), CONTROLQ)
        self._look()

    def _look(self) -> None:
        """At what the guest sees of the device without a request."""
        if self.believes:
            return
        self.judge.evaluated["I14", "I31"] += 1
        mapped = sorted((slot.offset, slot.length) for slot in self.machine.region)
        if mapped != self.world.mapped:
            raise Finding("I14", f"mappings: {mapped}, not {self.world.mapped}")
        size = self.world.setup.memory
        actual = self.memory.read(0, size)
        if actual != self.world.memory:
            place = next(at for at in range(size) if actual[at] != self.world.memory[at])
            raise Finding("I31", f"guest memory at {place:#x} is {actual[place]}, not {self.world.memory[place]}")

    # -- the reference

    def _note(self, exchange: Exchange) -> None:
        """A request and its answer. Raises Finding."""
        chain, used, judge = exchange.chain, exchange.used, self.judge
        assert used is not None
        self.commands += 1
        self.world.now, judge.heard = exchange.sent, exchange.heard
        case = judge.request(chain.head, chain.queue, bytes(chain.readable), chain.capacity)
        must_be_refused = case.expected.verdict is Verdict.REFUSE
        relax(case, self._known(), int.from_bytes(used.written[:4], "little"))
        self._compare(case, chain, used.written)
        if self.believes:
            case.expected, case.lenient = replace(case.expected, verdict=Verdict.OPEN), True
        try:
            judge.answer(used.head, used.queue, used.written)
            self._ring_in_order(case, exchange)
        except Finding as finding:
            if not self.believes or finding.oracle in _OF_ANY:
                raise
        surprising = must_be_refused and succeeds(used.written) is not False and case.number not in QUESTIONS
        self.believes = self.believes or judge.unsure or surprising
        judge.unsure = False

    def _known(self) -> Known:
        return Known(self.outside.streams, bool(self.machine.screens.heard[GpuRequest.GET_EDID]))

    def _compare(self, case: Case, chain: Chain, written: bytes) -> None:
        """With a device that has the same profile: from where that is not what the reference is, nobody knows."""
        if self.likeness is None or self.believes:
            return
        other = self.likeness.differs(chain)
        choice = case.expected.verdict is Verdict.OPEN and self.likeness.succeeds() is not succeeds(written)
        self.believes = other or choice

    def _ring_in_order(self, case: Case, exchange: Exchange) -> None:
        """A fence on a ring stands for all before it."""
        assert exchange.used is not None
        if case.fence_id is None or case.timeline == GLOBAL or not succeeds(exchange.used.written):
            return
        if exchange.place < self._latest.get(case.timeline, 0):
            raise Finding("I21", f"{case}: fence {case.fence_id} came before one that was made earlier")
        self._latest[case.timeline] = exchange.place

    def foresees_death(self) -> bool:
        """Whether a VMM with this profile ends itself at one of the requests that are not answered."""
        waiting = self.port.waiting
        if self.likeness is None or self.believes:
            dead = frozenset[CtrlType]() if self.profile is None else self.profile.dead_commands
            return any(int.from_bytes(chain.readable[:4], "little") in dead for chain in waiting)
        return any(self.likeness.differs(chain) and self.likeness.is_dead for chain in waiting)

    def contents(self, resource_id: int) -> bytearray | None:
        """What a blob was seen to hold first, and what was stored since."""
        blob = self.world.resources.get(resource_id)
        if blob is None or not blob.on_host or blob.offset is None or self.believes:
            return None
        known = self._seen.get(resource_id)
        if known is None or known[0] is not blob:
            known = self._seen[resource_id] = blob, bytearray(self.machine.region.read(blob.offset, blob.pages))
        return known[1]


def _undoing(world: World) -> Iterator[tuple[CtrlHdr, int]]:
    """Requests after which nothing is left, and their queues."""
    for number, scanout in enumerate(world.scanouts):
        if scanout.cursor[4]:
            yield UpdateCursor(pos=CursorPos(scanout_id=number)), CURSORQ
        if scanout.shown is not None:
            yield SetScanout(scanout_id=number), CONTROLQ
    for resource in list(world.resources.values()):
        if resource.offset is not None:
            yield ResourceUnmapBlob(resource_id=resource.resource_id), CONTROLQ
        yield ResourceUnref(resource_id=resource.resource_id), CONTROLQ
    for ctx_id in list(world.contexts):
        yield CtxDestroy(ctx_id=ctx_id), CONTROLQ
