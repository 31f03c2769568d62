"""The driver's shell: carries out calls of a guest on trio, whatever device is at the other end of its virtqueues."""

from collections.abc import Iterator
from errno import ENODEV
from typing import TypeVar

import trio
import trio.lowlevel

from vgpu_emu.guest.driver import Driver
from vgpu_emu.guest.probe import config_interrupt
from vgpu_emu.guest.waiting import Op, Wait
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Port
from vgpu_emu.trace.log import QUEUE_NAMES, Log
from vgpu_wire.messages import type_name

T = TypeVar("T")


class DriverShell:
    """driver: what it runs. port: the guest's end of the virtqueues, also for requests that no driver sends.

    log: all that happened.
    """

    def __init__(self, driver: Driver, port: Port[list[Chain], list[Used]]) -> None:
        self.log: Log = driver.log
        self.driver = driver
        self.port = port
        self._receiving = False
        self._completed = trio.lowlevel.ParkingLot()
        #: what calls of the guest wait for
        self._waits: list[Wait] = []

    async def run(self, op: Op[T]) -> T:
        """Carry out a call of the guest: what it returns, or the OSError that it raises. A checkpoint."""
        waited = False
        value: T
        try:
            wait = next(op)
            while True:
                self._kick()
                waited = waited or not wait.ready()
                if wait.timeout is None:
                    await self._until(wait)
                    wait = op.send(True)
                else:
                    wait = op.send(await self._in_time(wait, wait.timeout))
        except StopIteration as done:
            value = done.value
        finally:
            self._kick()
        if not waited:
            await trio.lowlevel.checkpoint()
        return value

    async def _in_time(self, wait: Wait, seconds: float) -> bool:
        """Whether what the guest waits for came true in time."""
        with trio.move_on_after(seconds):
            await self._until(wait)
        return bool(wait.ready())

    async def _until(self, wait: Wait) -> None:
        if wait.ready():
            return
        driver = self.driver
        self._waits.append(wait)
        try:
            while not wait.ready():
                await self._interrupt()
                if self.driver is not driver:
                    raise OSError(ENODEV, f"the device was unbound while the guest waited for {wait.why}")
                # workers may have queued something
                self._kick()
        finally:
            self._waits.remove(wait)

    async def _interrupt(self) -> None:
        """Wait until used chains arrive. One of the waiting calls receives them for all, which saves a task switch."""
        if self._receiving:
            await self._completed.park()
            return
        self._receiving = True
        try:
            for used in await self.port.receive():
                self.driver.complete(used)
        finally:
            self._receiving = False
            if self._completed:
                self._completed.unpark_all()

    async def settle(self) -> None:
        """Until the device has answered everything."""
        await self.run(self.driver.settle())

    def config_interrupt(self) -> None:
        """The device tells the guest that its configuration space has changed."""
        config_interrupt(self.driver)
        self._kick()

    def waits(self) -> Iterator[str]:
        """Who waits for what now, a sentence each; of a guest at rest, nothing."""
        yield from (f"the guest waits for {wait.why}" for wait in self._waits)
        for queue, head, command in self.driver.unanswered:
            yield f"the VMM has not answered {type_name(command)} (chain {head} of the {QUEUE_NAMES[queue]})"

    def _kick(self) -> None:
        if self.driver.available:
            self.port.send(self.driver.take_available())


def sole(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What happened, if one thing did: a nursery wraps it in a group, with the cancellations that followed from it."""
    # two tasks may have met the same one
    errors = list(dict.fromkeys(error for error in group.exceptions if not isinstance(error, trio.Cancelled)))
    return group if len(errors) > 1 else (errors or group.exceptions)[0]
