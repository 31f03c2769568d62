"""The steps of a program on the trio machine: what the guest, its VMM and the user do, until that is over."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import trio
from msgspec.structs import replace

from vgpu_emu.fuzz import lost
from vgpu_emu.fuzz.actions import Call, Elapse, Fail, Plug, Poke, Reset, Restart, Send, Step
from vgpu_emu.fuzz.attending import called
from vgpu_emu.fuzz.calls import op_of
from vgpu_emu.fuzz.configuring import features_of
from vgpu_emu.fuzz.defect import plant
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.remembering import Said, compare, told, unchanged
from vgpu_emu.guest.waiting import Op
from vgpu_emu.link.chain import Chain
from vgpu_emu.restarting import rebind, take_over

if TYPE_CHECKING:
    from vgpu_emu.fuzz.machine import MachineBench

#: seconds after which a call that has not returned never will
FOREVER = 600.0


async def send(bench: "MachineBench", step: Send) -> None:
    bench.meddled = True
    bench.machine.port.send([Chain(next(bench.heads), step.queue, step.data, step.capacity)])


async def elapse(bench: "MachineBench", step: Elapse) -> None:
    await trio.sleep(step.microseconds / 1e6)
    await bench.quiet()
    bench.judge.advanced()


async def call(bench: "MachineBench", step: Call) -> None:
    """Raises Finding. What the kernel refuses, and what Linux waits for without end, is no finding by itself."""
    bench.sent.clear()
    try:
        await carry(bench, op_of(bench.guest, step), step.name)
    except OSError:
        bench.judge.evaluated["I28"] += 1
        bench.guest.promises.clear()
    await bench.quiet()
    # what is late or lost the driver may still wait for
    bench.hangs = bench.hangs or bench.fired > 0
    called(bench)


async def carry(bench: "MachineBench", op: Op[None], name: str) -> None:
    bench.is_calling = True
    try:
        with trio.move_on_after(FOREVER) as scope:
            await bench.machine.run(op)
    finally:
        bench.is_calling = False
    bench.judge.evaluated["I27"] += bench.machine.vmm.lost is not None
    if scope.cancelled_caught and not _may_hang(bench):
        oracle, waits = lost.oracle(bench.machine), "; ".join(bench.machine.waits())
        raise Finding(oracle, f"{name} never returns: {waits}")
    if scope.cancelled_caught:
        bench.hangs = True
        bench.guest.promises.clear()


def _may_hang(bench: "MachineBench") -> bool:
    """Linux waits for ever, and cannot be interrupted, where a deferred map found no room."""
    if lost.excuses(bench.machine) or lost.is_unnoticed(bench.machine):
        return True
    return any(True for _ in bench.parts.log.notes("deferred_map_failed"))


async def restart(bench: "MachineBench", _step: Restart) -> None:
    """Another VMM goes on from the snapshot of this one; what that said of itself must be true of it."""
    bench.host.disarm()
    async with bench.machine.vmm.stopped():
        await _take_over(bench)
    bench.audit()


async def _take_over(bench: "MachineBench") -> None:
    """What the VMM has carried out is in its snapshot: it is taken when the VMM has stopped."""
    state, pending, given = bench.machine.parts.snapshot(), len(bench.judge.unanswered_cases), bench.device.given
    said = _told(bench)
    bench.world.restarted()
    await take_over(bench.machine, plant(bench.defects, "snapshot", state))
    bench.device = bench.watched(replace(bench.parts, device=bench.machine.parts.device), given)
    device: Any = bench.device
    bench.machine.vmm.device = device
    bench.judge.evaluated["I30"] += 1
    # a fault may have struck while the blobs were mapped again
    bench.look()
    same = len(bench.judge.unanswered_cases) == pending and not bench.astray
    if same:
        unchanged(state, bench.machine.parts.snapshot())
    if said:
        compare(said, _told(bench))


def _told(bench: "MachineBench") -> Said:
    """Nothing of a device that is elsewhere, or that a profile's VMM would answer otherwise."""
    device = bench.device.inner
    is_asked = bench.inside and bench.differences is None and not device.silent
    return told(device, bench.world) if is_asked else {}


async def restart_driver(bench: "MachineBench", step: Reset) -> None:
    """A driver that programs use, or that waits for answers, is not unbound."""
    if not bench.guest.uses_device and not bench.driver.in_flight:
        await reset(bench, step.features)


async def reset(bench: "MachineBench", known: int | None = None) -> None:
    """known: as of `Bench.forget`. Raises Finding."""
    bench.host.disarm()
    bench.passage.clear()
    try:
        await rebind(bench.machine, features_of(bench.world.setup.accepted(known)))
    except ValueError as refused:
        raise Finding("I30", str(refused)) from None
    bench.driver = bench.machine.driver = bench.heard(bench.machine.driver)
    bench.forget(known)
    if bench.astray:
        bench.judge.lose_track()


async def _poke(bench: "MachineBench", step: Poke) -> None:
    bench.poke(step.address, step.data)


async def _plug(bench: "MachineBench", step: Plug) -> None:
    bench.plug(step.scanout_id, step.width, step.height)


async def _fail(bench: "MachineBench", step: Fail) -> None:
    bench.host.arm(step)


DO: dict[type[Step], Callable[["MachineBench", Any], Awaitable[None]]] = {
    Send: send,
    Poke: _poke,
    Elapse: elapse,
    Plug: _plug,
    Fail: _fail,
    Call: call,
    Restart: restart,
    Reset: restart_driver,
}
