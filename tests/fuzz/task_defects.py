"""Defects that only a machine of several tasks has."""

from typing import Any

import trio

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.link.chain import Chain, Used
from vgpu_wire.control import CtrlType

_NO_RESOURCE = CtrlType.RESP_ERR_INVALID_RESOURCE_ID.to_bytes(4, "little")
_UNSPEC = CtrlType.RESP_ERR_UNSPEC.to_bytes(4, "little")


class _Queue(Wrapper):
    """The link: who has it knows what has arrived and was not carried out yet."""

    def __init__(self, inner: Any, waiting: list[Chain]) -> None:
        super().__init__(inner)
        self.waiting = waiting

    def available(self, chain: Chain) -> list[Chain]:
        self.waiting.append(chain)
        return [chain]


class _Device(Wrapper):
    def __init__(self, inner: Any, waiting: list[Chain]) -> None:
        super().__init__(inner)
        self.waiting = waiting

    def handle(self, chain: Chain) -> Any:
        if chain in self.waiting:
            self.waiting.remove(chain)
        return self.inner.handle(chain)


class _Knowing:
    def __init__(self) -> None:
        self.waiting: list[Chain] = []

    def link(self, link: Any) -> Any:
        return _Queue(link, self.waiting)


class _LooksAround(_Device):
    def handle(self, chain: Chain) -> Any:
        used = super().handle(chain)
        return used if used is None or isinstance(used, Used) else self._steps(used)

    def _steps(self, steps: Any) -> Any:
        reply = None
        while True:
            try:
                question = steps.send(reply)
            except StopIteration as done:
                return done.value
            if self.waiting:
                self.inner.handle(self.waiting[0])
            reply = yield question


class Reentrant(_Knowing):
    """A device that, while it asks the renderer, carries out what has arrived meanwhile."""

    def device(self, device: Any) -> Any:
        return _LooksAround(device, self.waiting)


class _Unlike(_Device):
    def handle(self, chain: Chain) -> Any:
        used = super().handle(chain)
        refused = isinstance(used, Used) and used.written[:4] == _NO_RESOURCE
        return Used(used.head, used.queue, _UNSPEC + used.written[4:]) if refused and self.minds() else used

    def minds(self) -> bool:
        return bool(self.waiting)


class Hurried(_Knowing):
    """A device that gives another reason for a refusal when more is waiting."""

    def device(self, device: Any) -> Any:
        return _Unlike(device, self.waiting)


class _Tasked(_Unlike):
    def minds(self) -> bool:
        return trio.lowlevel.in_trio_run()


class Tasked(_Knowing):
    """A device that gives another reason for a refusal where there are tasks."""

    def device(self, device: Any) -> Any:
        return _Tasked(device, self.waiting)


class Unfailing:
    """A VMM that has lost its host, and tells nobody who waits for a fence."""

    def device(self, device: Any) -> Any:
        fail = device.fences.fail
        device.fences.fail = lambda: fail()[:0]
        return device


class _Breeding(Wrapper):
    def handle(self, data: bytes, now: float) -> Any:
        if trio.lowlevel.in_trio_run():
            trio.lowlevel.spawn_system_task(trio.sleep, 1000.0)
        return self.inner.handle(data, now)


class Breeding:
    """A renderer that leaves a task behind."""

    def renderer(self, renderer: Any) -> Any:
        return _Breeding(renderer)
