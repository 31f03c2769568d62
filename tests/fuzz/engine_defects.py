"""A defect for the processes of the engines' tests: every blob may be mapped cached."""

from collections.abc import Generator
from typing import Any

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
    def device(self, device: Any) -> Any:
        return _Silent(device)
