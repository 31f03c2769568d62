"""A program as a scenario file: its steps, and what a clean machine was seen to do at each of them."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import asdict

from vgpu_emu.assembly import Config
from vgpu_emu.faults.plan import Fault
from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.model.judge import Finding
from vgpu_emu.fuzz.model.world import Asks, Setup
from vgpu_emu.fuzz.planting import planted
from vgpu_emu.fuzz.telling import Table, Teller, UntoldError
from vgpu_emu.fuzz.toml import toml_table
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.scenario.answers import exchanges, message
from vgpu_emu.scenario.insides import state
from vgpu_emu.scenario.loading import loads
from vgpu_emu.scenario.mistakes import ScenarioMistake
from vgpu_emu.scenario.outcome import Outcome, Result
from vgpu_emu.scenario.session import run
from vgpu_emu.trace.log import Event, Note
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.blob import MapCache
from vgpu_wire.control import FIRST_RESPONSE, CtrlHdr, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.layout import to_fields
from vgpu_wire.messages import type_name

_LIMITS = [name for name in asdict(DeviceLimits()) if name in asdict(Setup())]


class File:
    """A scenario file in the making."""

    def __init__(self, program: Program, id_: str, why: str) -> None:
        told = Teller(program)
        self._head: Table = {"id": id_, "why": why, **_features(program.setup)}
        self._tables = _machine(program.setup)
        self._faults = told.faults
        self.steps = told.steps
        self.left: list[str] = []

    @property
    def text(self) -> str:
        parts = [toml_table("", self._head)]
        parts += [toml_table(f"[{name}]", table) for name, table in self._tables.items()]
        parts += [toml_table("[end]", {"left": self.left})] if self.left else []
        parts += [toml_table("[[fault]]", fault) for fault in self._faults]
        return "\n".join([*parts, *(toml_table("[[step]]", step) for step in self.steps)])


def _features(setup: Setup) -> Table:
    return {"features": [feature.name.lower() for feature in Feature if setup.has(feature)]}


def _machine(setup: Setup) -> dict[str, Table]:
    hardware = {
        "scanouts": [list(size) for size in setup.scanouts],
        "host_visible": setup.host_visible,
        "guest_memory": setup.memory,
        "blob_alignment": setup.blob_alignment,
    }
    host: Table = {"dialect": "rfc3" if setup.asks is Asks.RFC3 else "rfc1", "memory": setup.object_bytes}
    if setup.asks is Asks.GUESS:
        host |= {"ioctl": False, "guess": MapCache(setup.guess).name.lower()}
    host |= {"objects": setup.objects, "bytes": setup.real}
    return {"hardware": hardware, "host": host, "limits": {name: getattr(setup, name) for name in _LIMITS}}


def scenario_of(program: Program, id_: str, why: str) -> str | None:
    """The text of a scenario that does what the program does, and expects what a clean machine was seen to do. None:
    there is no such scenario, as where the machine is not clean, or does something else the next time."""
    try:
        return _recorded(File(program, id_, why))
    except (ScenarioMistake, UntoldError, Finding):
        return None


def _recorded(file: File) -> str | None:
    # each run tells of one thing that has to be expected to be allowed
    for _ in range(2 * len(file.steps)):
        outcome, seen = _watch(file)
        if outcome.failure is None:
            break
        if not _allow(file.steps, outcome):
            return None
    else:
        return None
    if outcome.result is not Result.SUCCESS:
        return None
    _expect_answers(file.steps, outcome.events)
    file.steps.append({"do": "check", "expect": {"value": _plain(seen)}})
    return _ended(file)


def _watch(file: File) -> tuple[Outcome, Any]:
    """Carry out its steps, and not its end: what became of them, and what all three parties have then."""
    states: list[Any] = []

    @asynccontextmanager
    async def opener(config: Config, *, faults: Iterable[Fault]) -> AsyncGenerator[Machine, None]:
        async with open_machine(config, faults=faults) as machine:
            yield machine
            states.append(state(machine))

    (scenario,) = loads(file.text)
    return run(scenario, until=len(file.steps), opener=opener), states[0] if states else {}


def _allow(steps: list[Table], outcome: Outcome) -> bool:
    """Expect what a step was seen to do: a call that fails or hangs, a conflict. False: it is something else."""
    failure = outcome.failure
    if failure is None or not failure.path.startswith("step["):
        return False
    place = int(failure.path[5:-1])
    if any(mismatch.what == "of" for mismatch in failure.mismatches):
        # it is about what there is not: the step before it failed
        del steps[place]
        return True
    expect = steps[place].setdefault("expect", {})
    before = dict(expect)
    for mismatch in failure.mismatches:
        if mismatch.what == "errno":
            expect["errno"] = mismatch.actual.split(" ")[0]
        elif mismatch.what == "hangs":
            expect["hangs"] = True
        elif mismatch.what == "conflict":
            expect["conflict"] = True
        elif mismatch.what == "bytes":
            expect["bytes"] = mismatch.actual
    return bool(expect != before)


def _expect_answers(steps: Sequence[Table], events: Sequence[Event]) -> None:
    """What raw requests were answered, and how memory was mapped."""
    places = [place for place, event in enumerate(events) if isinstance(event, Note) and event.who == "scenario"]
    for step, start, end in zip(steps, places, [*places[1:], len(events)], strict=False):
        own = events[start:end]
        expect = step.setdefault("expect", {})
        if step["do"] == "raw":
            expect |= _answer(own)
        elif step["do"] == "mmap" and "errno" not in expect and "hangs" not in expect:
            said = [note.values["pgprot"] for note in own if isinstance(note, Note) and note.name == "pgprot"]
            expect |= {"pgprot": str(getattr(said[-1], "value", said[-1]))} if said else {}
        if not expect:
            del step["expect"]


_RESPONSES = {kind.value for kind in CtrlType if kind >= FIRST_RESPONSE}


def _numbers(answer: CtrlHdr) -> Table:
    """What it says in numbers, its fence among them."""
    fields = to_fields(answer)
    said = {name: number for name, number in fields.items() if isinstance(number, int) and number and name != "type"}
    return {"hdr": {"fence_id": answer.fence_id}, **said} if answer.fence_id else said


def _answer(own: Sequence[Event]) -> Table:
    """Of the first request among these events: the answer's type, and what it says in numbers."""
    for exchange in exchanges(own):
        data = b"" if exchange.answer is None else exchange.answer.data
        kind = int.from_bytes(data[:4], "little")
        if len(data) >= 4 and kind in _RESPONSES:
            said = _numbers(message(data))
            return {"response": type_name(kind), **({"fields": said} if said else {})}
        return {} if data else {"response": "nothing"}
    return {}


def _plain(value: Any) -> Any:
    """As TOML can say it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _ended(file: File) -> str | None:
    """With what is left when the programs exit; None: a clean machine does not do it twice."""
    for _ in range(2):
        (scenario,) = loads(file.text)
        outcome = run(scenario)
        if outcome.result is Result.SUCCESS:
            return file.text
        if outcome.failure is None or outcome.failure.path != "end":
            return None
        file.left = [mismatch.actual for mismatch in outcome.failure.mismatches]
    return None


def fails_with(text: str, defects: Sequence[Any]) -> bool:
    """Whether the scenario shows the defects."""
    (scenario,) = loads(text)
    return run(scenario, opener=planted(defects)).result in (Result.FAIL, Result.CRASH)
