"""Checks of a device: somebody's VMM or back-end that takes requests and gives answers (virtio 1.4, 5.7.6)."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

import trio

from vgpu_emu.link.chain import Chain
from vgpu_emu.shell import DriverShell
from vgpu_emu.testing.device_rules import RULES, Request
from vgpu_emu.testing.rules import Trial

#: seconds after which an answer is not coming
_PATIENCE = 5.0


class Exchanging(Protocol):
    """A device that a plain function can speak to."""

    def exchange(self, request: bytes, queue: int, capacity: int, /) -> bytes | None:
        """The answer to a request on a queue (0: control, 1: cursor) that has room for `capacity` bytes of it.

        None: it is not answered.
        """
        ...


def check_device(make: Callable[[], AbstractContextManager[Exchanging]]) -> None:
    """Check a device; `make` gives a new one for each rule, and it is left when that is done with.

    It has a display, and 64 KiB of guest memory from address 0 on. Raises AssertionError with a line for each rule that
    does not hold: its source, and what was seen.
    """
    trial = Trial("device")
    for rule in RULES:
        with make() as device, trial.of(rule):
            conversation = rule.holds()
            request = next(conversation, None)
            while request is not None:
                request = _go_on(conversation.send, device.exchange(*request))
    trial.end()


async def check_device_async(make: Callable[[], AbstractAsyncContextManager[DriverShell]]) -> None:
    """As `check_device`, inside of trio, of a device behind our driver's shell: ``open_machine``, or the ``open`` of a
    `vgpu_emu.peers.front.source.DeviceSource`, for another program's device behind a vhost-user socket.
    """
    trial = Trial("device")
    for rule in RULES:
        async with make() as machine:
            with trial.of(rule):
                conversation, head = rule.holds(), 0
                request = next(conversation, None)
                while request is not None:
                    head += 1
                    request = _go_on(conversation.send, await _exchange(machine, head, request))
    trial.end()


def _go_on(send: Callable[[bytes | None], Request], written: bytes | None) -> Request | None:
    """The next request; None: there is no more to ask."""
    try:
        return send(written)
    except StopIteration:
        return None


async def _exchange(machine: DriverShell, head: int, request: Request) -> bytes | None:
    machine.port.send([Chain(head, request.queue, request.data, request.capacity)])
    with trio.move_on_after(_PATIENCE):
        while True:
            for used in await machine.port.receive():
                if (used.head, used.queue) == (head, request.queue):
                    return used.written
    return None
