"""One program on a device that is not ours: a connection and, where its command is known, a process of its own."""

from collections.abc import Awaitable, Callable

from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.bench import Chooser
from vgpu_emu.fuzz.bounded import in_time
from vgpu_emu.fuzz.device_bench import DeviceBench
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import Conditions, Found, Result, TargetLostError, where
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.front.source import CommandError

#: what a device has done that is of no use any more -> oracle
_ORACLES = {
    DeviceFault.UNREACHABLE: "I28",
    DeviceFault.GONE: "I28",
    DeviceFault.SILENT: "I19",
    DeviceFault.PROTOCOL: "I28",
    DeviceFault.RING: "I19",
    DeviceFault.LACKS: "I28",
}
Drive = Callable[[DeviceBench], Awaitable[None]]


def run(program: Program, conditions: Conditions, *, look: bool = False) -> Result:
    """Carry out a program. Nobody can look inside: the first step that violates is the one that is told.

    Raises TargetLostError if the device is not there.
    """
    return _carry_out(program.setup, conditions, lambda bench: bench.run(program.steps))


def explore(choose: Chooser, setup: Setup, length: int, conditions: Conditions) -> Result:
    """Carry out what is chosen, step by step. Raises TargetLostError if the device is not there."""
    return _carry_out(setup, conditions, lambda bench: bench.explore(choose, length))


def _carry_out(setup: Setup, conditions: Conditions, drive: Drive) -> Result:
    outside = conditions.device
    assert outside is not None
    bench = DeviceBench(setup, outside, conditions.profile)

    async def main() -> None:
        async with outside.source.open(outside.config(setup)) as machine:
            await bench.live(machine, lambda: drive(bench))

    found = _found(bench, main)
    judge = bench.judge
    judge.evaluated["I19", "I28"] += 1
    return Result(bench.program, found, bench.commands, judge.asked, judge.covered)


def _found(bench: DeviceBench, main: Callable[[], Awaitable[None]]) -> Found | None:
    try:
        with in_time():
            bench.outside.carry_out(main)
    except Finding as finding:
        return Found(finding.oracle, finding.detail, bench.index)
    except (DeviceError, CommandError) as error:
        if isinstance(error, CommandError) or not bench.is_there:
            raise TargetLostError(str(error)) from None
        return _failed(bench, error)
    except Exception as error:
        return Found("I28", where(error), bench.index)
    return None


def _failed(bench: DeviceBench, error: DeviceError) -> Found | None:
    """The device has crashed, hangs or talks nonsense; None: as its profile does."""
    if bench.foresees_death():
        return None
    after = f"after {', '.join(error.last)}: " if error.last else ""
    return Found(_ORACLES[error.fault], f"{after}{error.fault.value}: {error.detail}", bench.index)
