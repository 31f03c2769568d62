"""``vgpu-emu fuzz``: programs against the device, and what they find."""

from collections.abc import Callable, Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from vgpu_emu.cli.fuzz_keeping import Keeper, stoppable
from vgpu_emu.cli.fuzz_options import conditions_of, duration, on_device, planting, read_corpus
from vgpu_emu.cli.fuzz_view import Ended, Ticker, report, show
from vgpu_emu.cli.output import need_directories
from vgpu_emu.cli.style import printable
from vgpu_emu.cli.together import at_least, refuse
from vgpu_emu.cli.usage import FOUND, INTERRUPTED, KILLED, USAGE, UsageError, complain
from vgpu_emu.fuzz.batches import BATCH, SLOW_BATCH, SMALL_BATCH, Batch, Work
from vgpu_emu.fuzz.campaign import Programs, Summary, campaign
from vgpu_emu.fuzz.crew import crew
from vgpu_emu.fuzz.score import SEEDS
from vgpu_emu.fuzz.trial import Conditions
from vgpu_emu.fuzz.worker import carry_out

#: programs of a campaign, if nothing else is said
SEQUENCES = 10_000


def fuzz(
    *,
    sequences: int | None = None,
    time: str | None = None,
    seed: int | None = None,
    target: str = "core",
    profile: str | None = None,
    jobs: int = 1,
    corpus: Path | None = None,
    defect: Annotated[list[str] | None, Parameter(negative=())] = None,
    device: str | None = None,
    command: str | None = None,
    patience: float | None = None,
    output: Path | None = None,
    score: Annotated[bool, Parameter(negative=())] = False,
    seeds: int | None = None,
    benign: Annotated[list[str] | None, Parameter(negative=())] = None,
    oracles: Annotated[bool, Parameter(negative=())] = False,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Make up programs of guest, host, VMM and time, carry them out, and compare everything with a reference.

    A program is made step by step, in the state that the device is in, or of programs that showed something new. What
    an oracle does not accept is a finding: it is made as small as it can be and written as a scenario, which vgpu-emu
    run carries out, and as bytes, for fuzzing engines. The same seed finds the same, with any number of jobs.

    Exit code 1: something was found. Interrupted (130), with a process of its own killed (137), or when nothing can be
    written any more (2), it reports and keeps what it has.

    Examples:

        vgpu-emu fuzz --sequences 10000 --jobs 2

        vgpu-emu fuzz --time 10m --corpus corpus --seed 7

        vgpu-emu fuzz --defect my_defects.py:LosesFences --json

        vgpu-emu fuzz --score --seeds 5 --defect my_defects.py:LosesFences --benign my_defects.py:Slow

        vgpu-emu fuzz --device vhost-user:/tmp/gpu.sock --command '/usr/lib/qemu/vhost-user-gpu -s {socket}'

        vgpu-emu fuzz --oracles

    Parameters
    ----------
    sequences
        Carry out so many programs; 10000 if there is no --time either.
    time
        Go on for so long: 90s, 10m, 2h.
    seed
        Of all choices; 0 if it is not said.
    target
        core: all in one thread, the fastest.

        machine: as tasks under a seeded schedule, with faults on the links.

        process: VMM and host as processes of their own, the slowest. Defects get what stands for those here: of them
        only such can be planted as wrap what goes in and out.
    profile
        Fuzz the device as this VMM; what it is known to do differently is no finding. See: vgpu-emu profiles.
    jobs
        How many processes share the work.
    corpus
        A directory of programs to start from, to which those are added that show something new.
    defect
        Plant a defect: a shipped name, or path/to/file.py:NAME. See docs/fuzzing.md. Can be repeated.
    device
        vhost-user:PATH: fuzz the device that listens at this socket, which may be anybody's. What a front-end sees of
        it is judged: answers, guest memory, mappings, and whether it crashes or hangs. With --profile, what that VMM is
        known to do differently is no finding.
    command
        Starts that device, for each program anew; {socket} stands for the path. Without it the campaign ends when the
        device does.
    patience
        Seconds that the device has for each answer, before it counts as hanging; 5 if it is not said.
    output
        The directory that findings are written to; it is made when there is one; findings if it is not said.
    score
        Measure instead: for each defect (all that are shipped, or those of --defect) and 20 seeds, how many programs
        it takes to find it, which oracle does, and how small the program is; and that nothing is found in the clean
        build and in benign mutants. --sequences: when to give up, 100000 if it is not said.
    seeds
        Of --score: so many, from 0 on.
    benign
        Of --score: what is unusual but legal, named as a defect is; nothing must be found, in 500 programs by seed, or
        --sequences. Can be repeated.
    oracles
        List the oracles, with the sentence that each enforces, and do nothing else.
    json_
        One JSON object instead of text.
    """
    if oracles:
        from vgpu_emu.cli.fuzz_oracles import show_oracles

        show_oracles(json=json_)
        return 0
    at_least(1, {"--sequences": sequences, "--jobs": jobs, "--seeds": seeds})
    at_least(0, {"--seed": seed})
    device_options: Mapping[str, object] = {"--command": command, "--patience": patience}
    if score:
        from vgpu_emu.cli.fuzz_score import Wanted, show_score

        campaign_options = {"--time": time, "--seed": seed, "--corpus": corpus, "--output": output, "--device": device}
        refuse({**campaign_options, **device_options}, "with --score")
        wanted = Wanted(defect or [], benign or [], sequences, seeds or SEEDS)
        return show_score(conditions_of(target, profile, []), wanted, jobs, json=json_)
    refuse({"--seeds": seeds, "--benign": benign}, "without --score")
    until, output = None if time is None else duration(time), output or Path("findings")
    need_directories({"--output": output, "--corpus": corpus})
    if device is None:
        refuse(device_options, "without --device")
        conditions = conditions_of(target, profile, defect or [])
    else:
        _need_alone(jobs, defect, target)
        conditions = on_device(device, command, profile, patience)
    programs = Programs(seed or 0, _known(corpus), sequences or (None if time else SEQUENCES), _batch(conditions))
    keeper = Keeper(corpus, output, conditions, defect or [])
    return _code(_carry_out(conditions, jobs, keeper, programs, until, _print_json if json_ else show), keeper)


def _need_alone(jobs: int, defect: list[str] | None, target: str) -> None:
    """Raises UsageError for what a device that is not ours cannot have."""
    if jobs > 1 or defect or target != "core":
        raise UsageError("--device: it is one, and somebody else's: no --jobs, --defect or --target")


def _known(corpus: Path | None) -> tuple[bytes, ...]:
    return () if corpus is None else tuple(read_corpus(corpus))


def _batch(conditions: Conditions) -> int:
    return SMALL_BATCH if conditions.device else SLOW_BATCH if conditions.target == "process" else BATCH


def _code(ended: Ended, keeper: Keeper) -> int:
    """The exit code of a campaign."""
    if ended.summary.findings:
        return FOUND
    if keeper.wrong:
        return USAGE
    return KILLED if ended.killed else INTERRUPTED if ended.stopped else 0


def _print_json(ended: Ended) -> None:
    print(msgspec.json.encode(report(ended)).decode(), flush=True)


def _carry_out(
    conditions: Conditions,
    jobs: int,
    keeper: Keeper,
    programs: Programs,
    until: float | None,
    publish: Callable[[Ended], None],
) -> Ended:
    """The campaign, until it is over, the time is up, or the user stops it; then the report, before anybody is waited
    for whose work is given up."""

    def work(task: Work) -> Batch:
        return carry_out(task, conditions, ticker.aside())

    summary, ticker, ends = Summary(), Ticker(), dict.fromkeys(("stopped", "killed"), False)
    with planting(), crew(work, jobs) as workers, stoppable() as unstoppable:
        try:
            try:
                for _ in campaign(workers, programs, summary):
                    keeper.keep(summary)
                    ticker.tell(summary)
                    if keeper.wrong or (until is not None and ticker.seconds >= until):
                        break
            except KeyboardInterrupt:
                ends["stopped"] = True
                complain("fuzz: what is in hand is finished")
            for batch in workers.rest():
                summary.add(batch)
            unstoppable()
        except KeyboardInterrupt:
            complain("fuzz: what is in hand is given up")
        except BrokenProcessPool:
            unstoppable()
            ends["killed"] = True
            complain("fuzz: a process that carried out programs was killed; what it had in hand is lost")
        for batch in workers.finished():
            summary.add(batch)
        ticker.end()
        if summary.lost:
            complain(f"fuzz: {_end_of(conditions)}: {printable(summary.lost)}")
        keeper.keep(summary)
        if keeper.wrong:
            complain(f"fuzz: the campaign is over: {keeper.wrong}")
        ended = Ended(summary, conditions.target, ticker.seconds, keeper.kept, **ends)
        publish(ended)
    return ended


def _end_of(conditions: Conditions) -> str:
    if conditions.device is not None and conditions.device.restarts:
        return "the campaign is over, as the device does not come back"
    return "the campaign is over, as the device is gone and nobody starts it again (see --command)"
