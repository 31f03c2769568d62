"""``vgpu-emu run``: carry out scenarios, and say which of them end as they should."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from vgpu_emu.cli.device_jobs import DeviceJobs
from vgpu_emu.cli.jobs import Job, outcomes
from vgpu_emu.cli.output import write_file, write_html, write_log
from vgpu_emu.cli.run_formats import as_json, as_junit, as_tap
from vgpu_emu.cli.run_story import run_story
from vgpu_emu.cli.run_text import show, summary
from vgpu_emu.cli.scenario_files import find_scenarios
from vgpu_emu.cli.together import at_least, refuse
from vgpu_emu.cli.usage import FOUND, UsageError
from vgpu_emu.cli.verdicts import Judged, Verdict, judge, read_baseline
from vgpu_emu.scenario.golden import golden_file, updated

#: every scenario was skipped
SKIPPED = 77


def run(
    path: Annotated[list[str], Parameter(negative=())],
    /,
    *,
    subtest: str | None = None,
    seed: int = 0,
    seeds: int = 1,
    until: int | None = None,
    jobs: int = 1,
    isolation: Literal["process"] | None = None,
    defect: Annotated[list[str] | None, Parameter(negative=())] = None,
    device: str | None = None,
    command: str | None = None,
    profile: str | None = None,
    patience: float | None = None,
    baseline: Path | None = None,
    update: Annotated[bool, Parameter(negative=())] = False,
    tap: Annotated[bool, Parameter(negative=())] = False,
    junit: Path | None = None,
    html: Path | None = None,
    log: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Run scenarios: each on a machine of its own, in virtual time, step by step.

    A scenario says what must be seen; what was seen instead is shown under the messages that led to it. What nobody
    may leave behind is always looked for, and so are mappings that contradict each other. Exit code 1: one of them did
    not end as it should; 77: all were skipped.

    vgpu-emu explain scenario shows a whole file, and lists all steps and what can be expected; vgpu-emu schema scenario
    is for editors, docs/scenarios.md tells it at length.

    Examples:

        vgpu-emu run scenarios

        vgpu-emu run --jobs 2 --junit results.xml scenarios

        vgpu-emu run --until 2 scenarios/map-blob/attribute.vgpu.toml

        vgpu-emu run --subtest 'map-blob@*' 'scenarios/**/*.vgpu.toml'

        vgpu-emu run --device vhost-user:/tmp/gpu.sock --command 'vhost-user-gpu -s {socket}' scenarios

    Parameters
    ----------
    path
        Files, directories with *.vgpu.toml files below, or patterns.
    subtest
        Only scenarios with this id, or whose id matches this pattern.
    seed
        Chooses the order of what happens at the same time. The same seed gives the same run.
    seeds
        Try so many seeds, from --seed on, and stop at the first that fails.
    until
        Stop after so many steps, and show the messages so far.
    jobs
        How many processes share the work.
    isolation
        process: VMM, renderer and guest are each in an operating-system process of their own. What happens is the same,
        and so is trace_hash. Slower; a process that is killed or stopped is a failure of its scenario, and the next
        one runs.
    defect
        Plant a defect into the machine, to see that a scenario finds it: a name of vgpu-emu fuzz, or
        path/to/file.py:NAME. docs/fuzzing.md shows how one is written.
    device
        vhost-user:PATH: a real device, instead of ours, for each scenario anew, and in the time that passes. What needs
        a look into VMM or host, or features that it does not offer, is skipped. A device that dies or hangs is the
        failure of the step that it had.
    command
        Starts that device, for each scenario anew; {socket} stands for the path.
    profile
        What that device is like; strict if nothing is said, or what a scenario with [oracles] says itself. What our
        model of this profile does not pass is skipped.
    patience
        Seconds that the device has for each answer, before it counts as hanging; 5 if it is not said.
    baseline
        A file with the ids, or patterns of ids, of scenarios that are known to fail, one a line. Of these a success is
        an error.
    update
        Write the golden ladders anew, which are compared otherwise: x.ladder beside x.vgpu.toml, of files that have
        one, and of files that are named themselves.
    tap
        The Test Anything Protocol instead of text.
    junit
        Also write JUnit's XML to this file.
    log
        Also write the event log to this file, a run a scenario; vgpu-emu convert makes other formats of it.
    html
        Also write a page to this file, for any browser: what went wrong first, and every message of every scenario.
    json_
        One JSON object instead of text.
    """
    at_least(1, {"--seeds": seeds, "--jobs": jobs, "--until": until})
    _refuse(tap and json_, update and (seed != 0 or seeds > 1 or until is not None))
    expected = read_baseline(baseline)
    chosen = find_scenarios(path, subtest)
    is_golden = not update and seed == 0 and seeds == 1 and until is None
    tried = range(seed, seed + seeds)
    if device is not None:
        alone = (seed, seeds, jobs, isolation, update, defect) == (0, 1, 1, None, False, None)
        parts = _on_device(alone, device, command, profile, patience).outcomes(chosen, until)
    else:
        refuse({"--command": command, "--profile": profile, "--patience": patience}, "without --device")
        planted = _defects(defect or [], isolation)
        work = [Job(str(each.path), each.scenario.id, tried, until, is_golden, isolation, planted) for each in chosen]
        parts = outcomes(work, jobs)
    done: list[Judged] = []
    with _planting(defect or []):
        for outcome in parts:
            done.append(judge(outcome, expected))
            if not (json_ or tap):
                show(done[-1], ladder=until is not None)
    if json_:
        print(as_json(done))
    elif tap:
        print(as_tap(done), end="")
    else:
        summary(done)
    if update:
        _keep_ladders(done, named={Path(each) for each in path})
    if junit is not None:
        write_file(junit, as_junit(done).encode())
    if html is not None:
        write_html(html, run_story(done, [found.scenario for found in chosen]))
    if log is not None:
        write_log(log, {each.outcome.id: each.outcome.events for each in done})
    return _exit_code(done)


def _on_device(
    alone: bool, device: str, command: str | None, profile: str | None, patience: float | None
) -> DeviceJobs:
    """alone: none of the options is there that are about machines of our own. Raises UsageError."""
    if not alone:
        raise UsageError(
            "--device: without --seed, --seeds, --jobs, --isolation, --update and --defect, for machines of our own"
        )
    return DeviceJobs(device, command, profile, patience)


def _defects(names: list[str], isolation: str | None) -> tuple[str, ...]:
    """Raises UsageError for what is no defect, and where there is no place for one."""
    if names:
        from vgpu_emu.cli.fuzz_options import named_defect

        if isolation is not None:
            raise UsageError("--defect changes parties of this process: without --isolation")
        for name in names:
            named_defect(name)
    return tuple(names)


def _planting(names: list[str]) -> AbstractContextManager[None]:
    """Raises UsageError for a defect that cannot be planted after all."""
    if not names:
        return nullcontext()
    from vgpu_emu.cli.fuzz_options import planting

    return planting()


def _refuse(both: bool, update_of_parts: bool) -> None:
    """Raises UsageError for options that make no sense together."""
    if update_of_parts:
        raise UsageError("--update is for whole runs with seed 0: without --seed, --seeds and --until")
    if both:
        raise UsageError("--json and --tap are both for stdout: take one of them")


def _keep_ladders(done: list[Judged], named: set[Path]) -> None:
    """Golden ladders anew, of the files that have one or were named themselves."""
    homes = dict.fromkeys(Path(each.outcome.file) for each in done)
    for file in homes:
        golden = golden_file(file)
        if golden.exists() or file in named:
            good = [each.outcome for each in done if Path(each.outcome.file) == file and each.verdict.is_good]
            write_file(golden, updated(golden, good).encode())


def _exit_code(done: list[Judged]) -> int:
    if not all(each.verdict.is_good for each in done):
        return FOUND
    return SKIPPED if all(each.verdict is Verdict.SKIPPED for each in done) else 0
