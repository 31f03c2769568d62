"""The guest's port on a real device: virtqueues in shared memory, kicks and calls by eventfd."""

import os
from contextlib import suppress
from math import inf
from types import TracebackType
from typing import Self

import trio

from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.driver_queues import DriverQueues
from vgpu_emu.link.vring import VringError
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.trace.log import Log
from vgpu_wire.messages import type_name

#: how many of the requests that it had are named, of a device that is gone
_NAMED = 8


class Notifiers:
    """An eventfd for the kicks of each queue, and one for all calls. A context manager."""

    def __init__(self, queues: tuple[int, ...]) -> None:
        flags = os.EFD_CLOEXEC | os.EFD_NONBLOCK
        self.call = os.eventfd(0, flags)
        self.kicks = {queue: os.eventfd(0, flags) for queue in queues}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for fileno in (self.call, *self.kicks.values()):
            os.close(fileno)


class DevicePort:
    """A Port. log: every chain and every answer. patience: seconds that the device has for its next answer.

    error: why the device is of no use any more; what is sent then goes nowhere, and `receive` raises it once all that
    was answered before has been received.
    """

    def __init__(self, queues: DriverQueues, notifiers: Notifiers, log: Log, patience: float) -> None:
        self._queues = queues
        self._notifiers = notifiers
        self._log = log
        self._patience = patience
        #: (queue, head) -> the command that the device has
        self._given: dict[tuple[int, int], str] = {}
        #: the wait for a call: the one that goes on, or the last
        self._wait = trio.CancelScope()
        self.error: DeviceError | None = None

    def send(self, chains: list[Chain]) -> None:
        """Raises OSError for a chain that can never be sent: EINVAL without a byte, ENOMEM too large."""
        if self.error is not None:
            return
        self._log.batch(chains)
        kicks = self._queues.add(chains)
        for chain in chains:
            self._given[chain.queue, chain.head] = type_name(int.from_bytes(chain.readable[:4], "little"))
        if self._given and self._wait.deadline == inf:
            # who receives has begun to wait before the device owed anything
            self._wait.deadline = trio.current_time() + self._patience
        for queue in kicks:
            self.kick(queue)

    def kick(self, queue: int) -> None:
        """Kick, whether the device wants it or not."""
        with suppress(BlockingIOError):
            os.eventfd_write(self._notifiers.kicks[queue], 1)

    async def receive(self) -> list[Used]:
        """Raises DeviceError."""
        while not (used := self._take()):
            if self.error is not None:
                raise self.error
            await self._called()
        self._log.batch(used)
        for each in used:
            self._given.pop((each.queue, each.head), None)
        # descriptors are free again
        for queue in self._queues.add([]):
            self.kick(queue)
        return used

    def _take(self) -> list[Used]:
        try:
            return self._queues.used()
        except VringError as broken:
            self.fail(DeviceError(DeviceFault.RING, str(broken)))
            return []

    async def _called(self) -> None:
        """Wait for a call; no longer than the device has for an answer, if it owes one."""
        with trio.move_on_after(self._patience if self._given else inf) as self._wait:
            await trio.lowlevel.wait_readable(self._notifiers.call)
        if self._wait.cancelled_caught:
            forgotten = " and no call for one that is there" if self._queues.is_used else ""
            raise self.fail(DeviceError(DeviceFault.SILENT, f"no answer{forgotten} in {self._patience:g} s"))
        with suppress(BlockingIOError):
            os.eventfd_read(self._notifiers.call)

    def fail(self, error: DeviceError) -> DeviceError:
        """From now on the device is of no use. Whoever waits for it is woken. Returns the first such error."""
        if self.error is None:
            last = tuple(list(self._given.values())[:_NAMED])
            self.error = DeviceError(error.fault, error.detail, last)
            with suppress(BlockingIOError):
                os.eventfd_write(self._notifiers.call, 1)
        return self.error

    def close(self) -> None:
        """Nothing is sent any more."""
        self.fail(DeviceError(DeviceFault.GONE, "the front-end has closed it"))
