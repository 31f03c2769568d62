"""The VMM's and the host's tasks: what carries the bytes between a core and its links."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from errno import EPIPE
from math import inf
from typing import TypeVar

import trio
import trio.lowlevel

from vgpu_emu.host.interface import Host
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import ChannelPort, Parcel, Port
from vgpu_emu.link.vring import VringError
from vgpu_emu.memory import PassedFd, let_go
from vgpu_emu.trace.log import VMM
from vgpu_emu.vmm.asking import Reply, Steps, parse_reply
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.fences import timeline_of
from vgpu_wire.errors import WireError
from vgpu_wire.renderer_link import Answer, Close, Op, Question, Signal, numbered

T = TypeVar("T")
#: how long the VMM waits for an answer of the host, in seconds; a host that needs longer is given up
PATIENCE = 5.0
#: what a port raises when the other party, or its own, is gone
GONE = (trio.BrokenResourceError, trio.ClosedResourceError, trio.EndOfChannel)
_BROKEN_PIPE = Reply(Answer(errno=EPIPE))


class Vmm:
    """The VMM around a device. guest, host, fences: its ends of the virtqueues, the renderer link and the signals.

    asked: the question that the host has not answered yet. lost: why the host is given up: it is gone, or did not
    answer in time. Then the links to it are closed, and every question is answered EPIPE.
    """

    def __init__(
        self,
        device: Device,
        guest: Port[list[Used], list[Chain]],
        host: Port[Parcel, Parcel],
        fences: ChannelPort[bytes, bytes],
    ) -> None:
        self.device = device
        self.guest, self.host, self.fences = guest, host, fences
        self.asked: Question | None = None
        self.lost: str | None = None
        self._serial = 0
        #: the last serial number before it took over
        self._first = 0
        #: of the last kick: chains that are still to be carried out, and those that are
        self._todo: list[Chain] = []
        self._completed: list[Used] = []
        self._carrying = False
        #: somebody wants it to stand still: how he waits for that, and it for him
        self._stops = False
        self._turns = trio.Lock()
        self._broken = trio.lowlevel.ParkingLot()
        self._idle, self._go = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
        #: when the other task is to look whether the question asked then is still open
        self._look_at = inf
        self._asked_at = 0.0
        self._patience = trio.CancelScope()
        #: how often signals were forgotten
        self._number = 0
        #: descriptors of answers that nobody waited for
        self._surplus: list[PassedFd] = []

    async def run(self) -> None:
        """Carry out every chain of a kick, then interrupt once. With broken rings it stands still until a reset:
        DEVICE_NEEDS_RESET."""
        while True:
            try:
                await self._serve()
            except VringError as broken:
                self.device.fail(str(broken))
                await self._broken.park()

    async def _serve(self) -> None:
        while True:
            self._todo = await self.guest.receive()
            while self._todo:
                if self._stops:
                    await self._go.park()
                else:
                    await self._carry_out(self._todo.pop(0))
            if self._completed:
                completed, self._completed = self._completed, []
                self.guest.send(completed)

    async def _carry_out(self, chain: Chain) -> None:
        self._carrying = True
        used = self.device.handle(chain)
        if used is not None and not isinstance(used, Used):
            used = await self.carry(used)
        if used is not None:
            self._completed.append(used)
        self._carrying = False
        self._idle.unpark_all()

    @property
    def is_busy(self) -> bool:
        """A command is being carried out."""
        return self._carrying

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        """Inside, no command is being carried out."""
        async with self._turns:
            self._stops = True
            try:
                while self._carrying:
                    await self._idle.park()
                yield
            finally:
                self._stops = False
                self._go.unpark_all()

    def replace(self, device: Device) -> None:
        """Another VMM takes over. What the one before had open is closed."""
        self.device = device
        self._first = self._serial
        self._surplus.clear()
        self.forget_signals()

    def forget_signals(self) -> None:
        """Signals that are on their way are of nobody's fences any more, and are lost."""
        self.fences.undelivered()
        self._number += 1
        # who hears signals begins anew
        self._patience.cancel()

    def forget(self) -> None:
        """What the guest has asked for, and not been answered, is nobody's any more."""
        self._broken.unpark_all()
        self._todo.clear()
        self._completed.clear()

    async def run_fences(self) -> None:
        """The other task: fences that the host signals complete what waits for them. It ends with the host."""
        try:
            while not self._is_late():
                with trio.CancelScope(deadline=self._look_at) as self._patience:
                    await self._hear()
            question = Op(self.asked.op).name if self.asked is not None else ""
            self._lose(f"it did not answer {question} in {PATIENCE:g} seconds")
        except GONE:
            self._lose("it is gone")

    async def _hear(self) -> None:
        """Signals. One that has arrived, and that no task has been handed yet, may be forgotten meanwhile."""
        number = self._number
        while True:
            data = await self.fences.receive()
            if number == self._number:
                self.interrupt(self._signalled(data))

    def _is_late(self) -> bool:
        """Whether the host is to be given up; if not, when to look again."""
        due = self._asked_at + PATIENCE
        if self.asked is not None and trio.current_time() >= due:
            return True
        self._look_at = inf if self.asked is None else due
        return False

    def _signalled(self, data: bytes) -> list[Used]:
        try:
            signal = Signal.parse(data)
        except WireError as error:
            self.device.log.note(VMM, "no_signal", detail=str(error))
            return []
        return self.device.signal(timeline_of(signal), signal.fence_id)

    def interrupt(self, completed: list[Used]) -> None:
        """Give chains back to the guest."""
        if not completed:
            return
        try:
            self.guest.send(completed)
        except VringError as broken:
            self.device.fail(str(broken))

    async def carry(self, steps: Steps[T]) -> T:
        """Have the host answer every question of these steps: what they return."""
        value: T
        try:
            question = next(steps)
            while True:
                question = steps.send(await self._ask(question))
        except StopIteration as done:
            value = done.value
        surplus, self._surplus = self._surplus, []
        for passed in surplus:
            await self._ask(Close(fd=passed.fd))
        return value

    async def _ask(self, question: Question) -> Reply:
        if self._is_lost():
            return _BROKEN_PIPE
        self._serial += 1
        self.asked = question
        self._asked_at = trio.current_time()
        if self._look_at == inf:
            # not with every question: a deadline costs as much as all else here
            self._patience.deadline = self._look_at = self._asked_at + PATIENCE
        try:
            self.host.send((numbered(question.build(), self._serial), ()))
            reply = await self._reply()
            if self._is_lost() or question.op == Op.CLOSE:
                # whoever closes does not look for more, and what came too late counts for nothing
                self._set_aside(reply.fds)
                reply = Reply(reply.answer)
            return _BROKEN_PIPE if self._is_lost() else reply
        except GONE:
            self._lose("it is gone")
            return _BROKEN_PIPE
        finally:
            self.asked = None

    async def _reply(self) -> Reply:
        """The answer to the last question. Those to earlier ones are late, or came twice."""
        while True:
            data, fds = await self.host.receive()
            reply = parse_reply(data, fds)
            if reply.answer.serial == self._serial:
                return reply
            self.device.log.note(VMM, "unasked", serial=reply.answer.serial)
            if reply.answer.serial > self._first:
                self._set_aside(fds)
            else:
                # it was the VMM's before the restart, and ended with it
                let_go(fds)

    def _set_aside(self, fds: tuple[PassedFd, ...]) -> None:
        """Descriptors to be closed when the command is over."""
        let_go(fds)
        self._surplus += fds

    def _is_lost(self) -> bool:
        return self.lost is not None

    def _lose(self, why: str) -> None:
        """The host is given up: what waits for its fences is answered RESP_ERR_UNSPEC."""
        if self.lost is not None:
            return
        self.lost = why
        self.device.log.note(VMM, "host_lost", reason=why)
        self.host.close()
        self.fences.close()
        if not self.device.silent:
            self.interrupt(self.device.fences.fail())


async def run_host(renderer: Host, vmm: Port[Parcel, Parcel], fences: Port[bytes, bytes]) -> None:
    """The host's task: answer questions, and signal fences when their work is done. It ends when a link does."""
    with suppress(*GONE):
        while True:
            question: Parcel | None = None
            if renderer.rings.next_due is None:
                question = await vmm.receive()
            else:
                with trio.move_on_at(renderer.rings.next_due):
                    question = await vmm.receive()
            now = trio.current_time()
            for signal in renderer.rings.due(now):
                fences.send(signal.build())
            if question is not None:
                vmm.send(renderer.handle(question[0], now))
    # the end of its process
    vmm.close()
    fences.close()
    renderer.die()
