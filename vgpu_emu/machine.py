"""The trio machine: host, VMM and guest as tasks of one nursery, connected by channels that carry bytes.

``async with open_machine() as machine:`` starts the three; `machine.run` carries out a call of the guest. Any party can
be replaced by a recording of itself, which says the same bytes at the same places.
"""

import itertools
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union

import trio
import trio.lowlevel

from vgpu_emu.assembly import Config, Conflict, Parts, assemble
from vgpu_emu.host.interface import Host
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Parcel, Port, Tap, open_link
from vgpu_emu.memory import let_go
from vgpu_emu.parties import Vmm, run_host
from vgpu_emu.recording import replay
from vgpu_emu.shell import DriverShell, sole
from vgpu_emu.trace.log import CONTROLQ, CURSORQ, FENCES, GUEST, HOST, QUEUE_NUMBERS, RENDERER, VMM, Event, Log
from vgpu_wire.renderer_link import Op as Call

if TYPE_CHECKING:
    from vgpu_emu.faults.injector import Injector
    from vgpu_emu.faults.plan import Fault
    from vgpu_emu.processes.joining import Processes

#: how the parties are kept apart: as processes, and how these are run
Isolation = Union[Literal["process"], "Processes"]
_OPEN: trio.lowlevel.RunVar[list["Machine"]] = trio.lowlevel.RunVar("machines")


def open_machines() -> list["Machine"]:
    """The machines of this run that are not closed yet, oldest first."""
    return _OPEN.get([])


class Machine(DriverShell):
    """What `open_machine` gives. parts: the three parties' insides, for a look."""

    def __init__(self, parts: Parts, port: Port[list[Chain], list[Used]], vmm: Vmm, queues: "_Queues") -> None:
        super().__init__(parts.driver, port)
        self._queues = queues
        self.injector: Injector | None = None
        #: recorded party -> set when it has said all it has to say
        self.replayed: dict[str, trio.Event] = {}
        self.parts = parts
        self.vmm = vmm

    def conflicts(self) -> list[Conflict]:
        return self.parts.conflicts()

    def waits(self) -> Iterator[str]:
        """As of a shell, and what VMM and host are at."""
        yield from super().waits()
        device = self.vmm.device
        for (ctx_id, ring_idx), fence_id, _used in device.fences:
            ring = "of the device" if ring_idx < 0 else f"of context {ctx_id}, ring {ring_idx}"
            yield f"the VMM waits for the signal of fence {fence_id} {ring}"
        if self.vmm.asked is not None:
            yield f"the VMM waits for the host's answer to {Call(self.vmm.asked.op).name}"
        if self.vmm.lost is not None:
            yield f"the VMM has given up the host: {self.vmm.lost}"
        if device.silent:
            yield f"the device answers nothing: {device.needs_reset or device.dead}"

    def forget_queues(self) -> None:
        """What is in the queues is nobody's any more, as after a reset of the device."""
        self._queues.forget()
        self.vmm.forget()
        if self.injector is not None:
            self.injector.forget_queues()

    def replace(self, parts: Parts) -> None:
        """Another VMM takes over, and what was on its way to the one before is lost with its connections."""
        self.parts = parts
        self.vmm.replace(parts.device)
        self._forget_late_signals()

    def forget_signals(self) -> None:
        """What is on its way to a device that was reset is of fences that are no more, whose numbers may come again."""
        self.vmm.forget_signals()
        self._forget_late_signals()

    def _forget_late_signals(self) -> None:
        if self.injector is not None:
            self.injector.forget_signals()

    def wake(self) -> None:
        """An interrupt without a used chain: every call that waits looks around."""
        self._queues.interrupt()

    async def replay(self, party: str, events: Iterable[Event], ports: Mapping[str, Port[Any, Any]]) -> None:
        """The task of a recorded party."""
        await replay(party, events, ports)
        self.replayed[party].set()


@asynccontextmanager
async def open_machine(
    config: Config | None = None,
    *,
    recorded: Mapping[str, Iterable[Event]] | None = None,
    faults: "Iterable[Fault]" = (),
    isolation: "Isolation | None" = None,
    host: Callable[[], Host] | None = None,
    change: Callable[[Parts], Parts] | None = None,
) -> AsyncGenerator[Machine, None]:
    """Three parties in one nursery; whatever happens inside, no task, descriptor or mapping is left behind, and what is
    raised inside comes out as itself.

    recorded: party -> the events of an earlier run, to be replayed instead of the party; `machine.replayed` tells when
    that is over. A recorded guest takes no calls.
    faults: what goes wrong on the way; `machine.injector` knows what has. Raises ValueError for what cannot go wrong.
    isolation: VMM and host run in processes of their own, and the guest in this one. What happens is the same. Raises
    PartyLostError when one of them dies, or does not answer in time; NotSendableError for what they cannot be given,
    such as faults, which reach into the host.
    host: makes what answers the VMM in the place of our renderer, which then has nothing to do. Raises ValueError with
    faults or isolation.
    change: makes of the parties others, before they meet: wrapped ones that watch them, or do worse.
    """
    plan = list(faults)
    if plan and isolation is not None:
        from vgpu_emu.processes.joining import NotSendableError

        raise NotSendableError("faults reach into the host: they need a machine in one process")
    if host is not None and (plan or isolation is not None):
        raise ValueError("faults and isolation are for our own renderer: they reach into it")
    log = Log(trio.lowlevel.current_clock().current_time)
    parts, watches = _parts(config or Config(), log, isolation, change or (lambda parts: parts))
    renderer = parts.renderer if host is None else host()
    queues = _queue_ends(parts)
    renderer_link = open_link(tuple, tuple)
    fences_end, signals_end = open_link(bytes, bytes)
    injector = _injector(parts, plan)
    wires: tuple[Port[Any, Any], ...] = (queues.guest, queues.vmm, *renderer_link, signals_end)
    guest_wire, front_wire, back_wire, host_wire, signals_wire = wires if injector is None else injector.around(wires)
    guest = Tap(guest_wire, log.batch)
    front = Tap(front_wire, log.batch)
    back = Tap(back_wire, _parcels_into(log, VMM, HOST))
    back_end = Tap(host_wire, _parcels_into(log, HOST, VMM))
    signals = Tap(signals_wire, lambda data: log.message(FENCES, HOST, VMM, data))
    machine = Machine(parts, guest, Vmm(parts.device, front, back, fences_end), queues)
    machine.injector = injector
    parties: dict[str, list[tuple[Callable[..., Coroutine[Any, Any, None]], tuple[Any, ...]]]] = {
        GUEST: [],
        VMM: [(machine.vmm.run, ()), (machine.vmm.run_fences, ())],
        HOST: [(run_host, (renderer, back_end, signals))],
    }
    ports: dict[str, dict[str, Port[Any, Any]]] = {
        GUEST: {CONTROLQ: guest, CURSORQ: guest},
        VMM: {CONTROLQ: front, CURSORQ: front, RENDERER: back, FENCES: fences_end},
        HOST: {RENDERER: back_end, FENCES: signals},
    }
    for party, events in (recorded or {}).items():
        machine.replayed[party] = trio.Event()
        parties[party] = [(machine.replay, (party, events, ports[party]))]
    failure: BaseException | None = None
    _OPEN.set([*open_machines(), machine])
    try:
        async with trio.open_nursery() as nursery:
            for watch in watches:
                # one by one, so that a seed gives the tasks the same order with it and without
                await nursery.start(watch)
            if injector is not None:
                injector.begin(machine, nursery, back_end)
            for task, arguments in itertools.chain.from_iterable(parties.values()):
                nursery.start_soon(task, *arguments)
            yield machine
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failure = sole(group)
    finally:
        _OPEN.set([other for other in open_machines() if other is not machine])
        if injector is not None:
            injector.close()
        for _, fds in renderer_link[0].undelivered():
            let_go(fds)
        machine.parts.close()
        if host is not None:
            renderer.die()
    if failure is not None:
        # not where the group is handled: it would take the place of the exception's own context
        raise failure


def _injector(parts: Parts, plan: "list[Fault]") -> "Injector | None":
    if not plan:
        return None
    from vgpu_emu.faults.hands import Hands
    from vgpu_emu.faults.injector import Injector
    from vgpu_emu.faults.plan import Duplicate

    if parts.config.virtqueues and any(isinstance(f, Duplicate) and f.answer and f.link in QUEUE_NUMBERS for f in plan):
        raise ValueError("a virtqueue gives no chain back twice: duplicate an answer on a machine without virtqueues")
    return Injector(plan, parts.log, Hands(parts))


def _parts(
    config: Config, log: Log, isolation: "Isolation | None", change: Callable[[Parts], Parts]
) -> tuple[Parts, list[Callable[..., Coroutine[Any, Any, None]]]]:
    """The parties, and the tasks that see whether their processes live."""
    if isolation is None:
        return change(assemble(config, log)), []
    from vgpu_emu.processes.joining import Processes, join
    from vgpu_emu.processes.watching import watch

    parts = join(config, log, Processes() if isolation == "process" else isolation)
    return change(parts), [partial(watch, parts.vmm), partial(watch, parts.host)]


class _Queues(NamedTuple):
    """The guest's and the VMM's end of both queues. forget: they are empty again. interrupt: one without a chain."""

    guest: Port[list[Chain], list[Used]]
    vmm: Port[list[Used], list[Chain]]
    forget: Callable[[], object]
    interrupt: Callable[[], None]


def _queue_ends(parts: Parts) -> _Queues:
    """Channels that carry chains, or rings in guest memory."""
    if not parts.config.virtqueues:
        guest, vmm = open_link(list[Chain], list[Used])
        return _Queues(guest, vmm, lambda: (guest.undelivered(), vmm.undelivered()), partial(vmm.send, []))
    from vgpu_emu.link.virtqueues import DeviceEnd, DriverEnd, Virtqueues

    queues = Virtqueues(parts.memory)
    kicks, interrupts = open_link(type(None), type(None))
    return _Queues(
        DriverEnd(queues, kicks), DeviceEnd(queues, interrupts), queues.set_up, partial(interrupts.send, None)
    )


def _parcels_into(log: Log, sender: str, receiver: str) -> Callable[[Parcel], None]:
    def record(parcel: Parcel) -> None:
        data, fds = parcel
        log.message(RENDERER, sender, receiver, data, 0, 0, tuple([passed.fd for passed in fds]) if fds else ())

    return record
