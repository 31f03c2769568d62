"""What the defects of the files outside*.py share: looking at a request, and changing what becomes of it."""

from collections.abc import Callable
from typing import Any

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.vmm.asking import Reply, Steps
from vgpu_wire.control import FIRST_ERROR, CtrlHdr
from vgpu_wire.errors import WireError
from vgpu_wire.messages import parse_message
from vgpu_wire.renderer_link import Question


class Outside:
    """reached: how often the place of the defect was come to. triggered: how often something was different for it."""

    depth = "L3"
    component = ""
    reached = 0
    triggered = 0


def request_of(chain: Chain) -> CtrlHdr | None:
    """The request of a chain; None: its bytes are none."""
    try:
        return parse_message(chain.readable)
    except WireError:
        return None


def answer_type(used: Used) -> int:
    """Of an answer; 0: the chain had no room for it."""
    return int.from_bytes(used.written[:4], "little") if len(used.written) >= 4 else 0


def succeeded(used: Used) -> bool:
    return 0 < answer_type(used) < FIRST_ERROR


class Watched(Wrapper):
    """A device that hands each request to `before`, each answer that comes at once to `after`, each of the renderer's
    replies to `told`; what these return takes its place."""

    def before(self, request: CtrlHdr, chain: Chain) -> Chain:
        return chain

    def after(self, request: CtrlHdr, used: Used) -> Used:
        return used

    def told(self, request: CtrlHdr, question: Question, reply: Reply) -> Reply:
        return reply

    def handle(self, chain: Chain) -> Used | Steps[Used | None] | None:
        request = request_of(chain)
        if request is None:
            return self._begun(chain)
        begun = self._begun(self.before(request, chain))
        if begun is None or isinstance(begun, Used):
            return self._ended(request, begun)
        return self._asking(request, begun)

    def _ended(self, request: CtrlHdr, used: Used | None) -> Used | None:
        return None if used is None else self.after(request, used)

    def _begun(self, chain: Chain) -> Used | Steps[Used | None] | None:
        begun: Used | Steps[Used | None] | None = self.inner.handle(chain)
        return begun

    def _asking(self, request: CtrlHdr, steps: Steps[Used | None]) -> Steps[Used | None]:
        reply: Reply | None = None
        try:
            while True:
                question = next(steps) if reply is None else steps.send(reply)
                reply = self.told(request, question, (yield question))
        except StopIteration as done:
            return self._ended(request, done.value)


def also(owner: Any, name: str, then: Callable[..., None]) -> None:
    """After each call of this method of `owner`, with the same arguments: `then`."""
    method = getattr(owner, name)

    def both(*arguments: Any) -> Any:
        result = method(*arguments)
        then(*arguments)
        return result

    setattr(owner, name, both)
