"""What crosses between the parties of the core target, where somebody wants to see it."""

from typing import Any

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.link.chain import Chain
from vgpu_emu.trace.log import HOST, RENDERER, VMM, Log


class HeardWire(Wrapper):
    """A Wire that logs which requests arrive."""

    def __init__(self, inner: Any, log: Log) -> None:
        super().__init__(inner)
        self.heard = log

    def available(self, chain: Chain) -> list[Chain]:
        arrives: list[Chain] = self.inner.available(chain)
        self.heard.batch(arrives)
        return arrives


class HeardRenderer(Wrapper):
    """A Renderer that logs what it is asked, and what it answers."""

    def __init__(self, inner: Any, log: Log) -> None:
        super().__init__(inner)
        self.heard = log

    def handle(self, data: bytes, now: float) -> Any:
        self.heard.message(RENDERER, VMM, HOST, data)
        answer, fds = reply = self.inner.handle(data, now)
        self.heard.message(RENDERER, HOST, VMM, answer, fds=tuple(int(passed.fd) for passed in fds))
        return reply
