"""The device behind a real driver's virtqueues: our device and renderer, the guest's own memory, split rings in it.

What brings a guest here, vfio-user or vhost-user, tells a `Backend` where memory and queues are and when it is kicked,
and is told when to interrupt. The renderer answers in the same task, so a command costs no task switch.
"""

from collections.abc import Sequence
from math import inf
from typing import Protocol, TypeVar

import trio
import trio.lowlevel

from vgpu_emu.assembly import Config, DeviceConfig, HostParts, assemble_host
from vgpu_emu.guest.probe import VERSION_1
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.link.vring import Vring, VringError
from vgpu_emu.peers.guest_maps import GuestMaps
from vgpu_emu.trace.log import FENCES, HOST, RENDERER, VMM, Log
from vgpu_emu.vmm.asking import Steps, parse_reply
from vgpu_emu.vmm.fences import timeline_of
from vgpu_wire.control import CtrlType
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature
from vgpu_wire.vring import RingFeature

T = TypeVar("T")
QUEUES = (CONTROLQ, CURSORQ)
#: chains of a queue after which everybody else gets a turn
_TURN = 256
#: how a request starts whose answer is about displays
ABOUT_DISPLAYS = frozenset(kind.value.to_bytes(4, "little") for kind in (CtrlType.GET_DISPLAY_INFO, CtrlType.GET_EDID))
#: feature bits of the transport that every back-end offers
TRANSPORT = 1 << VERSION_1 | 1 << RingFeature.INDIRECT_DESC | 1 << RingFeature.EVENT_IDX


class Transport(Protocol):
    """What brings the guest. Neither call waits."""

    def interrupt(self, queue: int) -> None:
        """The queue has used chains that its driver wants to hear of."""

    def config_changed(self) -> None:
        """The configuration space, or the device's status, is another one."""


class SlowRegion(HostVisibleRegion):
    """A host visible region that somebody else maps memory into: the guest is answered when that is done."""

    @property
    def unsettled(self) -> bool:
        """Whether something is still to be mapped or unmapped."""
        raise NotImplementedError

    async def settle(self) -> None:
        """Until nothing is. Raises OSError if what was mapped last cannot be."""
        raise NotImplementedError


class Spectator(Protocol):
    """Whoever shows the scanouts, and knows what displays there are."""

    async def before(self, chain: Chain) -> None:
        """The device is about to tell the guest what displays there are."""

    def look(self) -> None:
        """The device has carried out requests, and may show something else."""


class Backend:
    """One guest's device, from its connection to its end, which is `close`. maps: its memory.

    region: where the guest sees blobs.
    """

    def __init__(self, config: Config, log: Log, transport: Transport, region: HostVisibleRegion | None = None) -> None:
        self.parts: HostParts = assemble_host(config, log, region)
        self.device = self.parts.device
        self.memory = self.parts.memory
        self.maps = GuestMaps(self.memory)
        self.log = log
        self.transport = transport
        #: the feature bits that the driver sees; those of the transport are among them
        self.offers = TRANSPORT | sum(1 << feature for feature in config.features & config.profile.offers)
        self.accepted = 0
        self.queues: dict[int, DeviceQueue] = {}
        self._config = DeviceConfig(self.device, config.features & config.profile.offers)
        self.spectator: Spectator | None = None
        self._slow = region if isinstance(region, SlowRegion) else None
        self._work = trio.Event()
        #: queues of which no chain is taken for now; queues that `service` is busy with, and who waits for their end
        self._held: set[int] = set()
        self._busy: set[int] = set()
        self._idle = trio.lowlevel.ParkingLot()

    # -- set-up

    def negotiate(self, features: int) -> bool:
        """The driver accepts these bits. False: FEATURES_OK must stay clear."""
        known = features & ~TRANSPORT
        wanted = frozenset(feature for feature in Feature if known >> feature & 1)
        good = not features & ~self.offers and bool(features >> VERSION_1 & 1) and self.device.negotiate(wanted)
        self.accepted = features if good else 0
        return good

    @property
    def config(self) -> bytes:
        """The configuration space as the driver reads it."""
        return self._config.read().build()

    def clear_events(self, events: int) -> None:
        """The driver writes config.events_clear."""
        self._config.clear_events(events)

    def start_queue(self, number: int, vring: Vring, next_avail: int = 0) -> None:
        """The queue exists from now on. A broken one leaves the device in need of a reset."""
        self._check_memory()
        try:
            self.queues[number] = DeviceQueue(
                self.memory,
                vring,
                queue=number,
                indirect_desc=bool(self.accepted >> RingFeature.INDIRECT_DESC & 1),
                event_idx=bool(self.accepted >> RingFeature.EVENT_IDX & 1),
                next_avail=next_avail,
            )
        except VringError as broken:
            self._fail(broken)

    def stop_queue(self, number: int) -> int:
        """The queue is gone; chains that it has in flight are not answered. Where its available ring was read to."""
        queue = self.queues.pop(number, None)
        return queue.next_avail if queue is not None else 0

    def hold_queue(self, number: int) -> None:
        """Take no more chains of it."""
        self._held.add(number)

    def release_queue(self, number: int) -> None:
        """Take chains again, from the next `service` on."""
        self._held.discard(number)

    async def finish_queue(self, number: int) -> None:
        """Hold it, and answer all that is in flight: fences at once, whenever their work would be done."""
        self.hold_queue(number)
        while number in self._busy:
            await self._idle.park()
        self._signal(inf)

    def reset(self) -> None:
        """The driver resets the device: everything is gone, and nothing that was due is answered."""
        self.log.note(VMM, "reset")
        self.queues.clear()
        self.accepted = 0
        self._carry(self.device.reset())

    def close(self) -> None:
        """The guest is gone, and with it all that it had: nothing stays mapped, no descriptor open."""
        self.queues.clear()
        self.parts.close()
        self.maps.close()

    @property
    def needs_reset(self) -> bool:
        """DEVICE_NEEDS_RESET, a bit of the device's status."""
        return self.device.needs_reset is not None

    def _fail(self, broken: VringError) -> None:
        self.device.fail(str(broken))
        self.transport.config_changed()

    @property
    def has_work(self) -> bool:
        """Whether the renderer has work, at whose end `run` has something to do."""
        return self.parts.renderer.rings.next_due is not None

    # -- requests

    async def service(self, number: int) -> None:
        """A kick: carry out all that is available on the queue, until nothing comes. No checkpoint for what is
        available at once, if no region is slow."""
        if number in self._busy:
            # whoever is at it looks again before it ends
            return
        self._busy.add(number)
        self._check_memory()
        try:
            await self._service(number)
        finally:
            self._busy.remove(number)
            if self._idle:
                self._idle.unpark_all()

    async def _service(self, number: int) -> None:
        done = 0
        try:
            while (queue := self._next(number)) is not None:
                chains = queue.pop_all()
                if not chains:
                    break
                await self._carry_out(queue, chains)
                if queue is not self.queues.get(number) or number in self._held:
                    continue
                if not queue.rest():
                    break
                done += len(chains)
                if done >= _TURN:
                    # a guest that never stops must not stop everybody else
                    await trio.lowlevel.checkpoint()
                    done = 0
        except VringError as broken:
            self._fail(broken)
        if self.has_work:
            self._work.set()

    def _next(self, number: int) -> DeviceQueue | None:
        """The queue, if chains of it may be taken."""
        return None if number in self._held or self.device.silent else self.queues.get(number)

    async def _carry_out(self, queue: DeviceQueue, chains: Sequence[Chain]) -> None:
        """Every chain, unless the queue is stopped meanwhile."""
        self.log.batch(chains)
        handle, current = self.device.handle, self.queues.get
        completed = []
        for chain in chains:
            if current(queue.queue) is not queue:
                return
            if self.spectator is not None and chain.readable[:4] in ABOUT_DISPLAYS:
                await self.spectator.before(chain)
            used = handle(chain)
            if used is not None and not isinstance(used, Used):
                used = self._carry(used)
            if self._slow is not None and self._slow.unsettled:
                used = await self._settled(self._slow, chain, used)
            if used is not None:
                completed.append(used)
        if self.spectator is not None:
            self.spectator.look()
        if completed and current(queue.queue) is queue:
            self.log.batch(completed)
            if queue.push_all(completed):
                self.transport.interrupt(queue.queue)

    async def _settled(self, region: SlowRegion, chain: Chain, used: Used | None) -> Used | None:
        """The chain's answer, once the region is as the device has made it; another one if it cannot be."""
        try:
            await region.settle()
        except OSError as refused:
            self.log.note(VMM, "map_refused", detail=str(refused))
            if used is not None:
                return self._answer(self.device.take_back(chain))
        return used

    def _answer(self, used: Used | Steps[Used | None] | None) -> Used | None:
        return used if used is None or isinstance(used, Used) else self._carry(used)

    def _complete(self, completed: Sequence[Used]) -> None:
        """Give chains back, and interrupt for each queue that wants it."""
        if not completed:
            return
        self.log.batch(completed)
        for number in QUEUES:
            own = [used for used in completed if used.queue == number]
            if own and (queue := self.queues.get(number)) is not None and queue.push_all(own):
                self.transport.interrupt(number)

    def _carry(self, steps: Steps[T]) -> T:
        """Let the renderer answer every question of the VMM."""
        handle, now = self.parts.renderer.handle, trio.current_time()
        try:
            question = next(steps)
            while True:
                data = question.build()
                self.log.message(RENDERER, VMM, HOST, data)
                answer, fds = handle(data, now)
                self.log.message(RENDERER, HOST, VMM, answer, fds=tuple([passed.fd for passed in fds]))
                question = steps.send(parse_reply(answer, fds))
        except StopIteration as done:
            value: T = done.value
            return value

    # -- fences

    async def run(self) -> None:
        """A task beside the guest's: fences are signalled when the renderer's work is done."""
        renderer = self.parts.renderer
        while True:
            due = renderer.rings.next_due
            with trio.move_on_at(inf if due is None else due):
                await self._work.wait()
            self._work = trio.Event()
            self._signal(trio.current_time())

    def _check_memory(self) -> None:
        if self.maps.shrinkable:
            self.maps.look_at_sizes()

    def _signal(self, now: float) -> None:
        self._check_memory()
        for signal in self.parts.renderer.rings.due(now):
            self.log.message(FENCES, HOST, VMM, signal.build())
            try:
                self._complete(self.device.signal(timeline_of(signal), signal.fence_id))
            except VringError as broken:
                self._fail(broken)
