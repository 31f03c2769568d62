"""Outcomes of scenarios as a story for the page: what went wrong comes first."""

from collections.abc import Iterator, Sequence

from vgpu_emu.cli.verdicts import Judged, count
from vgpu_emu.report.story import Outcome, Run, Story
from vgpu_emu.scenario.records import Scenario

_LEDE = (
    "Each scenario ran on a machine of its own, step by step, and says what must be seen. Below is what came out, with "
    "every message that was sent, those that went wrong first."
)


def run_story(judged: Sequence[Judged], scenarios: Sequence[Scenario]) -> Story:
    """scenarios: those of the outcomes, in their order."""
    pairs = sorted(zip(judged, scenarios, strict=True), key=lambda pair: pair[0].verdict.is_good)
    settings = [(verdict.value, str(number)) for verdict, number in count(judged).items()]
    return Story(title="Scenarios", lede=_LEDE, settings=settings, runs=[_run(*pair) for pair in pairs])


def _run(judged: Judged, scenario: Scenario) -> Run:
    outcome = judged.outcome
    return Run(
        name=outcome.id,
        outcome=Outcome.EXPECTED if judged.verdict.is_good else Outcome.UNEXPECTED,
        says=" ".join(scenario.why.split()),
        happens=list(_happens(judged)),
        events=outcome.events,
        region_size=scenario.hardware.host_visible,
    )


def _happens(judged: Judged) -> Iterator[tuple[str, str]]:
    """What was seen instead of what was expected, and where in the file that is."""
    outcome, failure = judged.outcome, judged.outcome.failure
    if failure is not None:
        for each in failure.mismatches:
            says = f"{failure.path}, {failure.title}: {each.what} is {each.actual}; expected was {each.expected}."
            yield says, outcome.place
    elif outcome.detail:
        yield outcome.detail.strip().splitlines()[-1], outcome.place
