"""Defects for tests, and for the processes that engines' tests start: one a seam."""

import json
from collections.abc import Generator, Sequence
from typing import Any

from msgspec.structs import replace

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.link.chain import Chain, Used
from vgpu_wire.control import CtrlType

_MAP_INFO = CtrlType.RESP_OK_MAP_INFO.to_bytes(4, "little")


class _Silent(Wrapper):
    def handle(self, chain: Chain) -> Any:
        answer = self.inner.handle(chain)
        return answer if answer is None or isinstance(answer, Used) else _changed(answer)


def _changed(steps: Any) -> Generator[Any, Any, Used | None]:
    used: Used | None = yield from steps
    if used is None or used.written[:4] != _MAP_INFO:
        return used
    return Used(used.head, used.queue, used.written[:24] + b"\1" + used.written[25:])


class CachedForAll:
    """Every blob may be mapped cached."""

    def device(self, device: Any) -> Any:
        return _Silent(device)


class ForgetsCursors:
    """A VMM that goes on from a snapshot has lost the cursors' places."""

    def snapshot(self, data: bytes) -> bytes:
        state = json.loads(data)
        for scanout in state["scanouts"]:
            scanout["cursor"]["x"] = 0
        return json.dumps(state).encode()


class PaddingForgotten:
    """Padding reads as zero, whatever was sent."""

    def record(self, record: Any) -> Any:
        return replace(record, padding=0) if "padding" in record.__struct_fields__ else record


class WritesElsewhere:
    """A device's queue writes behind the rings, too, when it has used a chain."""

    def queue(self, queue: Any) -> Any:
        return _Stray(queue) if hasattr(queue, "push") else queue


class _Stray(Wrapper):
    def push(self, used: Used) -> Any:
        self.inner.memory.write(0x17000, b"!")
        return self.inner.push(used)


class AnswersCut:
    """The last byte of what is sent is lost."""

    def stream(self, stream: Any) -> Any:
        return _Cut(stream)


class _Cut(Wrapper):
    async def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        await self.inner.send(data[:-1], fds)
