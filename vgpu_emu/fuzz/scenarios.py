"""Scenarios that the reference watches: a program of a file on its target, every oracle an expectation."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.bounded import bounded
from vgpu_emu.fuzz.comparing import differing, under
from vgpu_emu.fuzz.oracles import ORACLES
from vgpu_emu.fuzz.reading import ReadError, program_of
from vgpu_emu.fuzz.targets import target
from vgpu_emu.fuzz.telling import Head, tell
from vgpu_emu.fuzz.trial import Conditions, Found, Result
from vgpu_emu.scenario.expect import Mismatch
from vgpu_emu.scenario.loading import loads
from vgpu_emu.scenario.outcome import Failure, Outcome
from vgpu_emu.scenario.outcome import Result as Ended
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import finished
from vgpu_emu.trace.log import Event, Note
from vgpu_emu.vmm.catalogue import find_profile

if TYPE_CHECKING:
    from vgpu_emu.fuzz.outside import Outside


def run(
    scenario: Scenario,
    *,
    file: str = "",
    seed: int = 0,
    until: int | None = None,
    defects: Sequence[Any] = (),
    device: "Outside | None" = None,
    profile: str | None = None,
) -> Outcome:
    """How a scenario that has oracles ends, as `scenario.session.run` tells it of others. seed: of the order of tasks,
    instead of the file's; 0: as there. device: is the target, instead of the file's; profile: what that is like, if not
    as the file says. Raises TargetLostError."""
    began = time.perf_counter()
    try:
        program = program_of(scenario)
    except ReadError as wrong:
        mismatch = Mismatch(wrong.member, "something that can be done", wrong.detail)
        failure = Failure(f"step[{wrong.step}]", scenario.step[wrong.step].title, [mismatch])
        return finished(Outcome(id=scenario.id, result=Ended.FAIL, failure=failure), file, seed, began)
    program = program if not seed else under(program, seed)
    weather = len(program.steps) - len(scenario.step)
    program = Program(program.setup, program.steps[: None if until is None else weather + until])
    result = watched(program, conditions_of(scenario, defects, device, profile or scenario.profile))
    return finished(_outcome(scenario, result, weather), file, seed, began)


def conditions_of(scenario: Scenario, defects: Sequence[Any], device: "Outside | None", name: str) -> Conditions:
    """What its program runs on. name: of the profile."""
    profile = None if name == "strict" else find_profile(name)
    if device is not None:
        return Conditions(target="device", profile=profile, device=device)
    return Conditions(target=scenario.oracles.target or "core", profile=profile, defects=tuple(defects))


def watched(program: Program, conditions: Conditions) -> Result:
    """As a campaign carries a program out: it must come to an end, and have the same answers a second time."""
    carry_out = target(conditions.target).run
    with bounded():
        result = carry_out(program, conditions, look=True)
        if result.found is None:
            again = carry_out(program, conditions)
            result.found = again.found or differing(result, again)
    return result


def _outcome(scenario: Scenario, result: Result, weather: int) -> Outcome:
    events = list(_titled(result.events, scenario, weather))
    steps = len(result.program.steps) - weather
    if result.found is None:
        return Outcome(id=scenario.id, result=Ended.SUCCESS, steps=steps, events=events)
    failure = _failure(result.found, scenario, weather)
    return Outcome(id=scenario.id, result=Ended.FAIL, steps=steps, events=events, failure=failure)


def _failure(found: Found, scenario: Scenario, weather: int) -> Failure:
    oracle, place = ORACLES[found.oracle], found.step - weather
    mismatch = Mismatch(f"{oracle.name} {oracle.title}", oracle.sentence, found.detail)
    title = scenario.step[place].title if 0 <= place < len(scenario.step) else "after the last step"
    return Failure(f"step[{max(place, 0)}]", title, [mismatch])


def _titled(events: Sequence[Event], scenario: Scenario, weather: int) -> Iterator[Event]:
    """The steps by their names in the file."""
    for event in events:
        place = event.values["step"] - weather if isinstance(event, Note) and event.who == "scenario" else -1
        if place >= 0:
            step = scenario.step[place]
            because = {"because": step.comment} if step.comment else {}
            yield replace(event, name=f"step[{place}]", values={"does": step.title, **because})
        elif not isinstance(event, Note) or event.who != "scenario":
            yield event


# -- findings


class Told(msgspec.Struct, frozen=True):
    """A finding as a file. fails: with the defects that it was found with; passes: without them, None if there were
    none. wrong: why there is no such file, or it does not show the finding."""

    text: str
    fails: bool = False
    passes: bool | None = None
    wrong: str = ""

    @property
    def shows(self) -> bool:
        return self.fails and self.passes is not False


def head_of(id_: str, found: Found, source: str, conditions: Conditions) -> Head:
    """What stands above a finding: what the oracle says, and what it was seen on."""
    why = f"{found.oracle} {ORACLES[found.oracle].title}: {found.detail}"
    # what was found on a device that is not ours is tried there with: vgpu-emu run --device
    target = conditions.target if conditions.device is None else "core"
    return Head(id=id_, why=why, source=source, target=target, profile=conditions.profile)


def told(program: Program, oracle: str, head: Head, defects: Sequence[Any]) -> Told:
    """A finding as a scenario, tried as whoever gets the file will try it."""
    text = tell(program, head)
    try:
        (scenario,) = loads(text)
    except ValueError as wrong:
        return Told(text, wrong=f"the file is no scenario: {wrong}")
    outcome = run(scenario, defects=defects)
    fails = outcome.failure is not None and outcome.failure.mismatches[0].what.startswith(f"{oracle} ")
    passes = run(scenario).result is Ended.SUCCESS if defects else None
    return Told(text, fails, passes, _wrong(outcome, fails, passes))


def _wrong(outcome: Outcome, fails: bool, passes: bool | None) -> str:
    if passes is False:
        return "the file fails without the defect, too"
    if fails:
        return ""
    if outcome.failure is None:
        return "the file passes"
    return f"the file fails by another oracle: {outcome.failure.mismatches[0].what}"
