"""P20, P24 and others: what goes wrong with answers that wait, and between the parties."""

from typing import Any

import msgspec

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.defects.planted import Part, Planted
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.fences import GLOBAL, Timeline
from vgpu_wire.control import CtrlFlag
from vgpu_wire.renderer_link import Op

_FENCE = CtrlFlag.FENCE.value


class Signals(Wrapper):
    """A device whose signals pass through `change(timeline, fence_id)`."""

    def __init__(self, inner: Device, change: Any) -> None:
        super().__init__(inner)
        self.signal = change


class FencesSwapped(Planted):
    """The oldest of three or more fences of a ring is complete after the one behind it."""

    def device(self, device: Device) -> Any:
        self._inner = device
        self._kept: dict[Timeline, list[Used]] = {}
        return Signals(device, self._signal)

    def _signal(self, timeline: Timeline, fence_id: int) -> list[Used]:
        waiting = sum(line == timeline for line, _fence, _used in self._inner.fences)
        released = self._inner.signal(timeline, fence_id)
        if timeline not in self._kept and self.passed(timeline != GLOBAL and waiting >= 3 and released):
            self._kept[timeline] = released
            return []
        return released + self._kept.pop(timeline, [])


class ExportedToNobody(Planted):
    """A VMM that waits for a descriptor the renderer did not live to send does not answer the guest."""

    def device(self, device: Device) -> Any:
        return _Forgetful(device, self)


class _Forgetful(Part):
    def handle(self, chain: Chain) -> Any:
        answer = self.inner.handle(chain)
        return answer if answer is None or isinstance(answer, Used) else self._listen(answer)

    def _listen(self, steps: Any) -> Any:
        lost = False
        try:
            question = next(steps)
            while True:
                reply = yield question
                lost = lost or (question.op == Op.EXPORT_BLOB and not reply.answer.errno and not reply.fds)
                question = steps.send(reply)
        except StopIteration as done:
            return None if self.defect.passed(lost) else done.value


class FenceLostInSnapshot(Planted):
    """A snapshot has no more than two answers that wait."""

    def snapshot(self, data: bytes) -> bytes:
        state = msgspec.json.decode(data)
        if not self.passed(len(state["fences"]) > 2):
            return data
        state["fences"] = state["fences"][:2]
        return msgspec.json.encode(state)


class RingInFiveBits(Planted):
    """A fence of a ring above 31 waits for the work of the ring that has its low five bits."""

    def renderer(self, renderer: Any) -> Any:
        fence = renderer.rings.fence

        def narrow(question: Any, now: float) -> Any:
            wrong = self.passed(question.ring_idx > 31)
            return fence(msgspec.structs.replace(question, ring_idx=question.ring_idx & 31) if wrong else question, now)

        renderer.rings.fence = narrow
        return renderer


class AnsweredTwice(Planted):
    """The third fenced answer is given to the guest twice."""

    def link(self, link: Any) -> Any:
        return _Twice(link, self)


class _Twice(Part):
    fenced = 0

    def used(self, used: Used) -> list[Used]:
        self.fenced += len(used.written) > 4 and bool(used.written[4] & _FENCE)
        arrived: list[Used] = self.inner.used(used)
        return arrived * (2 if self.defect.passed(self.fenced == 3) else 1)
