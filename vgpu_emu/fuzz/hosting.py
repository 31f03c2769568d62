"""The renderer's side of the core target: it answers, and fails where a program says so."""

from errno import ENOTTY
from typing import TYPE_CHECKING, TypeVar

from vgpu_emu.fuzz.actions import Fail
from vgpu_emu.fuzz.model.expectation import Verdict
from vgpu_emu.fuzz.model.judge import Case
from vgpu_emu.host.renderer import Reply
from vgpu_emu.memory import PassedFd, let_go
from vgpu_emu.vmm.asking import Steps, parse_reply
from vgpu_wire.control import CtrlType
from vgpu_wire.renderer_link import Answer, Op, numbered

if TYPE_CHECKING:
    from vgpu_emu.fuzz.core import Core

T = TypeVar("T")
#: questions that a host can fail at, as no side of it has done anything then; what must not succeed after it
_CAN_FAIL = {
    Op.CTX_CREATE.value: "the renderer did not make the context",
    Op.CTX_ATTACH.value: "the renderer did not attach it",
    Op.CTX_DETACH.value: "the renderer did not detach it",
    Op.CREATE_BLOB.value: "the renderer did not make the blob",
    Op.GET_MAP_INFO.value: "the renderer did not say how to map it",
    Op.IOCTL.value: "the kernel did not say how to map it",
    Op.EXPORT_BLOB.value: "",
    Op.FENCE.value: "",
}


class Host:
    """failed: the host has failed at a question of the request that is carried out."""

    def __init__(self, core: "Core") -> None:
        self._core = core
        self._armed: Fail | None = None
        self._left = 0
        self._serial = 0
        self.failed = False

    def arm(self, step: Fail) -> None:
        self._armed, self._left = step, step.skip

    def disarm(self) -> None:
        self._armed = None

    def forgive(self, data: bytes) -> None:
        """The request is over that the host failed at; a blob that was not exported cannot be mapped for sure."""
        judge = self._core.judge
        if data[:4] in _EXPORTS:
            resource_id = int.from_bytes(data[24:28], "little")
            if resource_id in judge.world.resources:
                judge.world.doubtful.add(resource_id)
        self.failed = False

    def carry(self, steps: Steps[T]) -> T:
        """Let the renderer answer every question of the VMM."""
        core = self._core
        try:
            question = next(steps)
            while True:
                self._serial += 1
                data = numbered(question.build(), self._serial)
                reply = self._fail(data) if self._armed is not None and question.op in _CAN_FAIL else None
                question = steps.send(parse_reply(*(reply or core.renderer.handle(data, core.world.now))))
        except StopIteration as done:
            value: T = done.value
            return value

    def _fail(self, data: bytes) -> Reply | None:
        """The answer of a host that fails; None: it does not yet."""
        fail, op = self._armed, int.from_bytes(data[:4], "little")
        self._left -= 1
        if fail is None or self._left >= 0:
            return None
        self._armed, case = None, self._core.judge.case
        if case is None:
            return None
        self.failed = case.lenient = True
        if fail.errno:
            if op == Op.IOCTL and fail.errno == ENOTTY:
                self._old_kernel(case)
            else:
                case.broken = _CAN_FAIL[op]
            return numbered(Answer(errno=fail.errno).build(), self._serial), ()
        answer, fds = self._core.renderer.handle(data, self._core.world.now)
        return (answer, self._without(fds)) if fail.lose else (answer, (*fds, *self._more(fds, fail.extra)))

    def _old_kernel(self, case: Case) -> None:
        """It does not know the ioctl: the renderer may say, and maps what this kernel would not have mapped."""
        if case.expected.verdict is Verdict.REFUSE:
            # nor can what a guest program sees be compared, until its call is over
            self._core.meddled = True
            case.expected = case.expected._replace(verdict=Verdict.OPEN)
            self._core.judge.unsure = True

    def _without(self, fds: tuple[PassedFd, ...]) -> tuple[PassedFd, ...]:
        """They get lost on the way, as a full descriptor table does it: the kernel closes them."""
        let_go(fds)
        for passed in fds:
            self._core.parts.renderer.vmm.close(passed.fd)
        return ()

    def _more(self, fds: tuple[PassedFd, ...], count: int) -> list[PassedFd]:
        """As many copies of what is passed."""
        vmm = self._core.parts.renderer.vmm
        return [PassedFd(vmm.install(vmm.file(fds[0].fd)), fds[0].memory.hold()) for _ in range(count if fds else 0)]


_EXPORTS = {kind.value.to_bytes(4, "little") for kind in (CtrlType.RESOURCE_CREATE_BLOB, CtrlType.RESOURCE_MAP_BLOB)}
