"""One scenario in an event loop of its own: in virtual time, under a seed, or on a real device."""

import time
import traceback
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import trio
from msgspec.structs import replace

from vgpu_emu.assembly import Config
from vgpu_emu.faults.plan import Fault
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.peers.front.machine import DeviceMachine
from vgpu_emu.peers.front.source import CommandError
from vgpu_emu.processes.party import PartyLostError
from vgpu_emu.scenario.lines import line_of, lines_of
from vgpu_emu.scenario.on_device import OnDevice
from vgpu_emu.scenario.outcome import Failure, ImpossibleError, Outcome, Result
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.running import Opener, play
from vgpu_emu.simulation import HangError, Simulation
from vgpu_emu.trace.hashing import trace_hash

_WATCHED = "it has [oracles], which watch a target of vgpu-emu fuzz, and nothing else"


def run(
    scenario: Scenario,
    *,
    file: str = "",
    seed: int = 0,
    until: int | None = None,
    opener: Opener = open_machine,
) -> Outcome:
    """How the scenario ends. What it does depends on nothing but its file and the seed.

    opener: makes the machine. file: where it is from; of a failure, the outcome has the line in it. Whatever goes wrong
    inside of the emulator is an outcome too. One with oracles is skipped: `fuzz.scenarios.run` is for these.
    """
    began = time.perf_counter()
    if scenario.oracles.target is not None:
        return finished(Outcome(id=scenario.id, result=Result.SKIP, detail=_WATCHED), file, seed, began)
    outcome = _outcome(scenario, partial(Simulation(seed).run, partial(play, scenario, until=until, opener=opener)))
    return finished(outcome, file, seed, began)


def run_on_device(scenario: Scenario, device: OnDevice, *, file: str = "", until: int | None = None) -> Outcome:
    """The same on a device that is not ours, in the time that passes there. A device that fails is the failure of the
    step that it had. What our model of the device's profile does not pass either is skipped: it is about another.

    Raises DeviceError where the device cannot be set up at all; CommandError.
    """
    began = time.perf_counter()
    if scenario.oracles.target is not None:
        return finished(Outcome(id=scenario.id, result=Result.SKIP, detail=_WATCHED), file, 0, began)
    if scenario.profile != device.profile and not _passes(replace(scenario, profile=device.profile)):
        detail = f"it is not about {device.profile}: our model of that does not pass it either"
        return finished(Outcome(id=scenario.id, result=Result.SKIP, detail=detail), file, 0, began)

    def opener(_config: Config, *, faults: Iterable[Fault]) -> AbstractAsyncContextManager[DeviceMachine]:
        return device.open(scenario)

    outcome = _outcome(scenario, partial(trio.run, partial(play, scenario, until=until, opener=opener)))
    return finished(outcome, file, 0, began)


def _passes(scenario: Scenario) -> bool:
    return run(scenario).result is Result.SUCCESS


def _outcome(scenario: Scenario, carry_out: Callable[[], Outcome]) -> Outcome:
    """Whatever goes wrong is an outcome. Raises DeviceError, CommandError."""
    try:
        return carry_out()
    except ImpossibleError as reason:
        return Outcome(id=scenario.id, result=Result.SKIP, detail=str(reason))
    except (DeviceError, CommandError):
        raise
    except (PartyLostError, HangError) as reason:
        return Outcome(id=scenario.id, result=Result.FAIL, detail=str(reason))
    except BaseExceptionGroup as group:
        # nurseries put Ctrl-C into a group, too
        if group.subgroup(KeyboardInterrupt) is not None:
            raise KeyboardInterrupt from None
        lost = _lost(group)
        detail = traceback.format_exc() if lost is None else str(lost)
        return Outcome(id=scenario.id, result=Result.CRASH if lost is None else Result.FAIL, detail=detail)
    except Exception:
        return Outcome(id=scenario.id, result=Result.CRASH, detail=traceback.format_exc())


def finished(outcome: Outcome, file: str, seed: int, began: float) -> Outcome:
    """With what is the same of every run. began: by `time.perf_counter`."""
    return replace(
        outcome,
        file=file,
        line=_line(file, outcome.failure),
        seed=seed,
        trace_hash=trace_hash(outcome.events),
        seconds=time.perf_counter() - began,
    )


def _lost(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The party that was lost, if one was: what else went wrong followed from that."""
    found: BaseException | None = group.subgroup(PartyLostError)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _line(file: str, failure: Failure | None) -> int | None:
    """Where in the file the step is that failed."""
    if failure is None or not file:
        return None
    with suppress(OSError, UnicodeDecodeError):
        return line_of(lines_of(Path(file).read_text(encoding="utf-8")), failure.path)
    return None


@asynccontextmanager
async def open_processes(config: Config, *, faults: Iterable[Fault]) -> AsyncGenerator[Machine, None]:
    """An `Opener` whose parties are processes. Raises ImpossibleError for faults, which reach into the host."""
    if list(faults):
        raise ImpossibleError("faults need a machine in one process")
    async with open_machine(config, isolation="process") as machine:
        yield machine
