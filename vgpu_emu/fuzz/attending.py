"""What is looked at with every request and every call, on all targets that have a driver of ours."""

from typing import TYPE_CHECKING

from vgpu_emu.fuzz.audit import OF_FLUSHES, SHORT, audit
from vgpu_emu.fuzz.census import NEWBORN
from vgpu_emu.fuzz.driver_audit import asks, audit_driver
from vgpu_emu.fuzz.model.case import Case
from vgpu_emu.fuzz.model.expectation import Verdict
from vgpu_emu.fuzz.model.judge import TOO_MANY_FENCES
from vgpu_wire.control import CtrlType

if TYPE_CHECKING:
    from vgpu_emu.fuzz.bench import Bench

#: heads from here on are those of requests that no driver sent
FIRST_RAW = 1 << 32
_FLUSH = CtrlType.RESOURCE_FLUSH.value


def asked(bench: "Bench", case: Case, data: bytes) -> None:
    """The device has a request, and has not begun with it. Raises Finding."""
    if case.head < FIRST_RAW and not (bench.meddled or bench.host.has_failed or bench.judge.unsure):
        bench.sent.append(data)
        asks(case)


def handled(bench: "Bench", case: Case, data: bytes) -> None:
    """The device is done with a request, but for its fence. Raises Finding."""
    if bench.host.failed:
        bench.host.forgive(data)
    if case.head < FIRST_RAW:
        bench.belongings.made(case, data, bench.world)
        if case.expected.why == TOO_MANY_FENCES:
            # a driver that fences everything is right, and what it could not undo for that is there for ever
            bench.meddled = True
            bench.belongings.clear()
    if bench.inside:
        _look_inside(bench, case, data)


def _look_inside(bench: "Bench", case: Case, data: bytes) -> None:
    if case.number in NEWBORN:
        bench.census.register(bench.parts.device, data)
    if bench.judge.unsure:
        return
    if case.expected.verdict is Verdict.OPEN:
        audit(bench.parts, bench.judge, SHORT)
    if case.number == _FLUSH:
        audit(bench.parts, bench.judge, OF_FLUSHES)


def called(bench: "Bench") -> None:
    """A call of the guest program is over, or never will be. Raises Finding."""
    if bench.judge.unsure:
        return
    bench.guest.signals()
    bench.guest.tells()
    if not bench.meddled and not bench.host.has_failed:
        for promise in bench.guest.promises:
            bench.judge.evaluated["I6"] += 1
            promise.check(bench.sent)
    if not bench.hangs:
        audit_driver(bench)
