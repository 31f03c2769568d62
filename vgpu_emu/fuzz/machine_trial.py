"""One program on one trio machine: what came of it. `process`: the same with VMM and host as processes."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from vgpu_emu.faults.plan import Fault
from vgpu_emu.fuzz import lost
from vgpu_emu.fuzz.actions import Program, Step
from vgpu_emu.fuzz.bench import Chooser
from vgpu_emu.fuzz.bounded import in_time
from vgpu_emu.fuzz.comparing import in_one_thread, is_calm, under
from vgpu_emu.fuzz.defect import DefectError
from vgpu_emu.fuzz.differing import Differs
from vgpu_emu.fuzz.machine import MachineBench, faults_of, seed_of
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import OF_EVERY_PROGRAM, Conditions, Found, Result, where
from vgpu_emu.machine import Isolation, open_machine
from vgpu_emu.simulation import HangError, Simulation

Drive = Callable[[MachineBench], Awaitable[None]]


#: of the seeds of schedules, how many there are to one whose program is tried under another, and under several
_ANOTHER, _SEVERAL = 4, 16


def run(program: Program, conditions: Conditions = Conditions(), *, look: bool = False) -> Result:  # noqa: B008
    """Carry out a program. look: audit after every step, so that the finding's step is the first that violates.

    One without faults must have the same answers in one thread (I32) and, where tasks are cheap, under other schedules
    (I33), see `_others`.
    """
    result = once(program, conditions, look=look)
    calm = is_calm(program)
    for seed in _others(seed_of(program.steps)) if calm and _isolation(conditions) is None else ():
        if result.found is None:
            result.evaluated["I33"] += 1
            result.found = _otherwise_scheduled(result, seed, conditions)
    if result.found is None and calm:
        result.evaluated["I32"] += 1
        result.found = in_one_thread(result, conditions)
    return result


def once(program: Program, conditions: Conditions = Conditions(), *, look: bool = False) -> Result:  # noqa: B008
    """As `run`, with nothing to compare with."""
    bench = _bench(program.setup, conditions, look=look)
    return _carry_out(bench, conditions, program.steps, lambda: bench.run(program.steps))


def _others(seed: int) -> range:
    """The next schedule for every fourth program, the next four for every sixteenth: each is work, too."""
    count = 4 if seed % _SEVERAL == 0 else 1 if seed % _ANOTHER == 0 else 0
    return range(seed + 1, seed + 1 + count)


def _otherwise_scheduled(result: Result, seed: int, conditions: Conditions) -> Found | None:
    other = once(under(result.program, seed), conditions)
    if other.digest == result.digest and other.found is None:
        return None
    return Found("I33", f"another schedule has other answers: {other.found or 'nothing is wrong there'}", 0)


def explore(choose: Chooser, setup: Setup, length: int, conditions: Conditions) -> Result:
    """Carry out what is chosen, step by step."""
    bench, weather = _bench(setup, conditions), choose.weather()
    return _carry_out(bench, conditions, weather, lambda: bench.explore(choose, weather, length))


def _bench(setup: Setup, conditions: Conditions, *, look: bool = False) -> MachineBench:
    inside = _isolation(conditions) is None
    return MachineBench(setup, profile=conditions.profile, defects=conditions.defects, inside=inside, look=look)


def _isolation(conditions: Conditions) -> Isolation | None:
    return "process" if conditions.target == "process" else None


def _carry_out(
    bench: MachineBench, conditions: Conditions, weather: Sequence[Step], drive: Callable[[], Awaitable[None]]
) -> Result:
    isolation = _isolation(conditions)
    faults: list[Fault] = [] if isolation else faults_of(weather)

    async def main() -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        async with open_machine(bench.config, faults=faults, isolation=isolation, change=bench.change) as machine:
            await bench.live(machine, drive)
        left = trio.lowlevel.current_statistics().tasks_living - before
        if left:
            raise Finding("I27", f"the machine is closed, and {left} of its tasks are still there")

    found = _found(bench, lambda: Simulation(seed_of(weather)).run(main))
    judge = bench.judge
    judge.evaluated[OF_EVERY_PROGRAM] += 1
    events = bench.parts.log.events if bench.each else ()
    return Result(bench.program, found, bench.commands, judge.asked, judge.covered, judge.digest, events)


def _found(bench: MachineBench, live: Callable[[], Any]) -> Found | None:
    """What goes wrong; when all was well, nothing may be left of the machine (I11)."""
    try:
        with in_time():
            live()
    except BaseExceptionGroup as group:
        return _of_group(bench, group)
    except Differs:
        return None
    except Exception as error:
        return _of(bench, error)
    left = bench.machine.parts.leaks()
    return Found("I11", left[0], bench.index) if left else None


def _of(bench: MachineBench, error: BaseException) -> Found:
    if isinstance(error, DefectError):
        raise error
    if isinstance(error, Finding):
        return Found(error.oracle, error.detail, bench.index)
    if isinstance(error, HangError):
        return Found(lost.oracle(bench.machine), str(error), bench.index)
    return Found("I28", where(error), bench.index)


def _of_group(bench: MachineBench, group: BaseExceptionGroup[BaseException]) -> Found | None:
    """The finding, if there is one among what happened; None: the VMM differs, as it is known to do."""
    if (stopped := group.subgroup(KeyboardInterrupt)) is not None:
        raise KeyboardInterrupt from stopped
    if group.subgroup(Differs) is not None:
        return None
    first: BaseException = group.subgroup(DefectError) or group.subgroup(Finding) or group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return _of(bench, first)
