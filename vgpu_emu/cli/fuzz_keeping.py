"""What a campaign has found is on disk as soon as it is found, so that nothing ends with the campaign."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from vgpu_emu.cli.style import printable
from vgpu_emu.fuzz.batches import Finding
from vgpu_emu.fuzz.campaign import Summary
from vgpu_emu.fuzz.corpus import name_of, save, write_whole
from vgpu_emu.fuzz.encoding import decode
from vgpu_emu.fuzz.scenarios import Told, head_of, told
from vgpu_emu.fuzz.telling import tell
from vgpu_emu.fuzz.trial import Conditions
from vgpu_emu.scenario.loading import SUFFIX


class Kept(NamedTuple):
    """A finding on disk. program: as bytes. scenario: as a scenario file. None: they could not be written.

    wrong: why not, or why the scenario does not show the finding.
    """

    program: str | None
    scenario: str | None
    wrong: str


class Keeper:
    """corpus: where programs go, or None; output: where findings go. defects: by the names that the user gave them.
    kept: the findings, in their order. wrong: what could not be written, and why; empty if all could."""

    def __init__(self, corpus: Path | None, output: Path, conditions: Conditions, defects: Sequence[str] = ()) -> None:
        self._corpus = corpus
        self._output = output
        self._conditions = conditions
        self._defects = defects
        self._saved = 0
        self.kept: list[Kept] = []
        self.wrong = ""

    def keep(self, summary: Summary) -> None:
        """Write what is new."""
        for finding in list(summary.findings.values())[len(self.kept) :]:
            self.kept.append(self._kept(finding))
        if self._corpus is not None:
            self._save(self._corpus, list(summary.corpus)[self._saved :])

    def _save(self, corpus: Path, programs: list[bytes]) -> None:
        try:
            save(corpus, programs)
            self._saved += len(programs)
        except OSError as error:
            self.wrong = _unwritten(error)

    def _kept(self, finding: Finding) -> Kept:
        try:
            return self._write(finding)
        except OSError as error:
            self.wrong = _unwritten(error)
            return Kept(None, None, self.wrong)

    def _write(self, finding: Finding) -> Kept:
        """A file that is named by oracle and content; beside it the scenario, tried with the defects and without."""
        path = self._output / f"{finding.found.oracle}-{name_of(finding.minimised)[:16]}"
        self._output.mkdir(parents=True, exist_ok=True)
        write_whole(path, finding.minimised)
        conditions = self._conditions
        head = head_of(f"fuzz@{path.name.lower()}", finding.found, self._source(finding), conditions)
        program, scenario = decode(finding.minimised), path.with_name(f"{path.name}{SUFFIX}")
        # a device that is not ours is busy with the next programs
        is_ours = conditions.device is None
        found = told(program, finding.found.oracle, head, conditions.defects) if is_ours else Told(tell(program, head))
        write_whole(scenario, found.text.encode())
        return Kept(str(path), str(scenario), found.wrong)

    def _source(self, finding: Finding) -> str:
        """Which campaign it was."""
        defects = "".join(f" --defect {name}" for name in self._defects)
        target = "--device" if self._conditions.device else f"--target {self._conditions.target}"
        campaign = f"vgpu-emu fuzz {target} --seed {finding.seed}{defects}"
        return f"{campaign}, {f'program {finding.sequence}' if finding.sequence >= 0 else 'a program of the corpus'}"


def _unwritten(error: OSError) -> str:
    return f"cannot write {printable(str(error.filename))}: {error.strerror}"


#: how a user or a machine that shuts down ends a command
STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """SIGTERM, as SIGINT, is a KeyboardInterrupt here, twice; also in the background of a shell, which ignores SIGINT.
    After the second, or a call of what this gives, both are ignored: what there is, is reported."""
    heard = 0

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal heard
        heard += 1
        if heard == 2:
            _ignored()
        raise KeyboardInterrupt

    before = {kind: signal.signal(kind, stop) for kind in STOPS}
    try:
        yield _ignored
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _ignored() -> None:
    for kind in STOPS:
        signal.signal(kind, signal.SIG_IGN)
