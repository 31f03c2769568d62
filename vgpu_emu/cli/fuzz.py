"""``vgpu-emu fuzz``: programs against the device, and what they find."""

import contextlib
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from vgpu_emu.cli.fuzz_options import conditions_of, duration, read_corpus
from vgpu_emu.cli.fuzz_view import Ended, Ticker, as_json, show
from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import FOUND, UsageError, complain
from vgpu_emu.fuzz.campaign import Summary, campaign
from vgpu_emu.fuzz.corpus import name_of, save, write_whole
from vgpu_emu.fuzz.crew import crew
from vgpu_emu.fuzz.trial import Conditions

INTERRUPTED = 130


def fuzz(
    *,
    sequences: int | None = None,
    time: str | None = None,
    seed: int = 0,
    target: str = "core",
    profile: str | None = None,
    jobs: int = 1,
    corpus: Path | None = None,
    defect: Annotated[list[str] | None, Parameter(negative=())] = None,
    output: Path = Path("findings"),
    oracles: Annotated[bool, Parameter(negative=())] = False,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Make up programs of guest, host, VMM and time, carry them out, and compare everything with a reference.

    A program is made step by step, in the state that the device is in, or of programs that showed something new. What
    an oracle does not accept is a finding: it is made as small as it can be and written to a file, which
    vgpu-emu minimize and a fuzzing engine read. The same seed finds the same, with any number of jobs.

    Exit code 1: something was found. Interrupted (130), it reports and keeps what it has.

    Examples:

        vgpu-emu fuzz --sequences 10000 --jobs 2

        vgpu-emu fuzz --time 10m --corpus corpus --seed 7

        vgpu-emu fuzz --defect my_defects.py:LosesFences --json

        vgpu-emu fuzz --oracles

    Parameters
    ----------
    sequences
        Carry out so many programs; 10000 if there is no --time either.
    time
        Go on for so long: 90s, 10m, 2h.
    seed
        Of all choices.
    target
        core: all in one thread, the fastest.
    profile
        Fuzz the device as this VMM; what it is known to do differently is no finding. See: vgpu-emu profiles.
    jobs
        How many processes share the work.
    corpus
        A directory of programs to start from, to which those are added that show something new.
    defect
        Plant a defect: a shipped name, or path/to/file.py:NAME. See docs/fuzzing.md. Can be repeated.
    output
        The directory that findings are written to; it is made when there is one.
    oracles
        List the oracles, with the sentence that each enforces, and do nothing else.
    json_
        One JSON object instead of text.
    """
    if oracles:
        from vgpu_emu.cli.fuzz_oracles import show_oracles

        show_oracles(json=json_)
        return 0
    if jobs < 1 or (sequences is not None and sequences < 1):
        raise UsageError("--sequences and --jobs count from 1 on")
    conditions = conditions_of(target, profile, defect or [])
    programs = [] if corpus is None else read_corpus(corpus)
    limit = 10_000 if sequences is None and time is None else sequences
    until = None if time is None else duration(time)
    summary, ticker = Summary(), Ticker()
    stopped = _carry_out(conditions, jobs, summary, ticker, programs, seed, limit, until)
    ticker.end()
    if corpus is not None:
        _save(corpus, summary)
    ended = Ended(summary, target, ticker.seconds, _write(output, summary), stopped)
    if json_:
        print(msgspec.json.encode(as_json(ended)).decode())
    else:
        show(ended)
    return FOUND if summary.findings else INTERRUPTED if stopped else 0


def _carry_out(
    conditions: Conditions,
    jobs: int,
    summary: Summary,
    ticker: Ticker,
    programs: list[bytes],
    seed: int,
    limit: int | None,
    until: float | None,
) -> bool:
    """Fill the summary; whether the user stopped it."""
    with _no_process_lost(), crew(conditions, jobs) as workers:
        try:
            for _ in campaign(workers, seed, summary, corpus=programs, sequences=limit):
                ticker.tell(summary)
                if until is not None and ticker.seconds >= until:
                    break
        except KeyboardInterrupt:
            ticker.end()
            complain("fuzz: what is in hand is finished")
            return True
        finally:
            for batch in workers.rest():
                summary.add(batch)
    return False


@contextlib.contextmanager
def _no_process_lost() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        complain("fuzz: a process that carried out programs was killed; what it had in hand is lost")


def _save(corpus: Path, summary: Summary) -> None:
    try:
        save(corpus, summary.corpus)
    except OSError as error:
        raise UsageError(f"cannot write to {printable(str(corpus))}: {error.strerror}") from None


def _write(output: Path, summary: Summary) -> list[str]:
    """A file for each finding, named by its oracle and its content."""
    files = []
    for finding in summary.findings.values():
        path = output / f"{finding.found.oracle}-{name_of(finding.minimised)[:16]}"
        try:
            output.mkdir(parents=True, exist_ok=True)
            write_whole(path, finding.minimised)
        except OSError as error:
            raise UsageError(f"cannot write {printable(str(path))}: {error.strerror}") from None
        files.append(str(path))
    return files
