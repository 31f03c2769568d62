"""The renderer's side of a target: it answers, and fails where a program says so."""

from errno import ENOTTY
from typing import Protocol, TypeVar

from msgspec.structs import replace

from vgpu_emu.assembly import Parts
from vgpu_emu.fuzz.actions import Fail
from vgpu_emu.fuzz.model.case import Case
from vgpu_emu.fuzz.model.expectation import Verdict
from vgpu_emu.fuzz.model.judge import Judge
from vgpu_emu.fuzz.model.setup import Asks
from vgpu_emu.fuzz.model.world import World
from vgpu_emu.host.dmabuf import Process
from vgpu_emu.host.renderer import Renderer
from vgpu_emu.memory import PassedFd, let_go
from vgpu_emu.trace.log import HOST
from vgpu_emu.vmm.asking import Reply, Steps, parse_reply
from vgpu_wire.control import CtrlType
from vgpu_wire.renderer_link import Answer, Op, numbered

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


class HostBench(Protocol):
    """What a host needs to know of the target that it is in."""

    parts: Parts
    judge: Judge
    world: World
    renderer: Renderer
    meddled: bool


class Host:
    """failed: the host has failed at a question of the request that is carried out. has_failed: of any so far."""

    def __init__(self, bench: "HostBench") -> None:
        self._bench = bench
        self._armed: Fail | None = None
        self._left = 0
        self._serial = 0
        #: the renderer has said how to map what the request is about
        self._has_guess = False
        self.failed = False
        self.has_failed = False

    def arm(self, step: Fail) -> None:
        self._armed, self._left = step, step.skip

    def disarm(self) -> None:
        self._armed = None

    def forgive(self, data: bytes) -> None:
        """The request is over that the host failed at; a blob that was not exported cannot be mapped for sure."""
        judge = self._bench.judge
        if data[:4] in _EXPORTS:
            resource_id = int.from_bytes(data[24:28], "little")
            if resource_id in judge.world.resources:
                judge.world.doubtful.add(resource_id)
        self.failed = False

    def carry(self, steps: Steps[T]) -> T:
        """Let the renderer answer every question of the VMM."""
        bench = self._bench
        steps = steps if self._armed is None else self.failing(steps)
        try:
            question = next(steps)
            while True:
                self._serial += 1
                data = numbered(question.build(), self._serial)
                question = steps.send(parse_reply(*bench.renderer.handle(data, bench.world.now)))
        except StopIteration as done:
            value: T = done.value
            return value

    def failing(self, steps: Steps[T]) -> Steps[T]:
        """The same questions but those at which the host fails, whoever answers them."""
        self._has_guess = False
        try:
            question = next(steps)
            while True:
                fail = self._strikes(question.op)
                reply = Reply(Answer(errno=fail.errno)) if fail is not None and fail.errno else (yield question)
                self._has_guess |= question.op == Op.GET_MAP_INFO and not reply.answer.errno
                question = steps.send(reply if fail is None else self._spoilt(fail, reply))
        except StopIteration as done:
            value: T = done.value
            return value

    def _strikes(self, op: int) -> Fail | None:
        """How the host fails at this question; None: it does not."""
        fail, case = self._armed, self._bench.judge.case
        if fail is None or op not in _CAN_FAIL:
            return None
        self._left -= 1
        if self._left >= 0:
            return None
        self._armed = None
        if case is None:
            return None
        self.failed = self.has_failed = case.lenient = True
        self._bench.parts.log.note(HOST, "fails", question=Op(op).name.lower(), errno=fail.errno)
        if fail.errno and op == Op.IOCTL and fail.errno == ENOTTY:
            self._old_kernel(case)
        elif fail.errno and not self._is_idle(op):
            case.broken = _CAN_FAIL[op]
        return fail

    def _is_idle(self, op: int) -> bool:
        """A VMM may ask the renderer how to map what the kernel tells, or once more, and make nothing of the answer."""
        return op == Op.GET_MAP_INFO and (self._has_guess or self._bench.world.setup.asks is not Asks.GUESS)

    def _spoilt(self, fail: Fail, reply: Reply) -> Reply:
        """The answer with descriptors too many, or without those that it should have."""
        if fail.errno:
            return reply
        fds = self._without(reply.fds) if fail.lose else (*reply.fds, *self._more(reply.fds, fail.extra))
        return Reply(reply.answer, fds)

    def _old_kernel(self, case: Case) -> None:
        """It does not know the ioctl: the renderer may say, and maps what this kernel would not have mapped."""
        if case.expected.verdict is Verdict.REFUSE:
            # nor can what a guest program sees be compared, until its call is over
            self._bench.meddled = True
            case.expected = replace(case.expected, verdict=Verdict.OPEN)
            self._bench.judge.unsure = True

    def _without(self, fds: tuple[PassedFd, ...]) -> tuple[PassedFd, ...]:
        """They get lost on the way, as a full descriptor table does it: the kernel closes them."""
        let_go(fds)
        for passed in fds:
            # no close(2) that a fault is to hit
            Process.close(self._bench.parts.renderer.vmm, passed.fd)
        return ()

    def _more(self, fds: tuple[PassedFd, ...], count: int) -> list[PassedFd]:
        """As many copies of what is passed."""
        vmm = self._bench.parts.renderer.vmm
        return [PassedFd(vmm.install(vmm.file(fds[0].fd)), fds[0].memory.hold()) for _ in range(count if fds else 0)]


_EXPORTS = {kind.value.to_bytes(4, "little") for kind in (CtrlType.RESOURCE_CREATE_BLOB, CtrlType.RESOURCE_MAP_BLOB)}
