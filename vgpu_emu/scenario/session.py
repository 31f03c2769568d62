"""One scenario in an event loop of its own, in virtual time, under a seed."""

import time
import traceback
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from vgpu_emu.assembly import Config
from vgpu_emu.faults.plan import Fault
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.processes.party import PartyLostError
from vgpu_emu.scenario.lines import line_of, lines_of
from vgpu_emu.scenario.outcome import Failure, ImpossibleError, Outcome, Result
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.running import Opener, play
from vgpu_emu.simulation import Simulation
from vgpu_emu.trace.hashing import trace_hash


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
    inside of the emulator is an outcome too.
    """
    began = time.perf_counter()
    try:
        outcome = Simulation(seed).run(partial(play, scenario, until=until, opener=opener))
    except ImpossibleError as reason:
        outcome = Outcome(id=scenario.id, result=Result.SKIP, detail=str(reason))
    except PartyLostError as party:
        outcome = Outcome(id=scenario.id, result=Result.FAIL, detail=str(party))
    except BaseExceptionGroup as group:
        # nurseries put Ctrl-C into a group, too
        if group.subgroup(KeyboardInterrupt) is not None:
            raise KeyboardInterrupt from None
        lost = _lost(group)
        detail = traceback.format_exc() if lost is None else str(lost)
        outcome = Outcome(id=scenario.id, result=Result.CRASH if lost is None else Result.FAIL, detail=detail)
    except Exception:
        outcome = Outcome(id=scenario.id, result=Result.CRASH, detail=traceback.format_exc())
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
