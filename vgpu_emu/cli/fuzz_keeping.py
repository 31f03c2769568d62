"""What a campaign has found is on disk as soon as it is found, so that nothing ends with the campaign."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.fuzz.campaign import Finding, Summary
from vgpu_emu.fuzz.corpus import name_of, save, write_whole
from vgpu_emu.fuzz.encoding import decode
from vgpu_emu.fuzz.scenarios import scenario_of
from vgpu_emu.scenario.loading import SUFFIX


class Keeper:
    """corpus: where programs go, or None; output: where findings go. files: of the findings, in their order."""

    def __init__(self, corpus: Path | None, output: Path) -> None:
        self._corpus = corpus
        self._output = output
        self._saved = 0
        self.files: list[str] = []

    def keep(self, summary: Summary) -> None:
        """Write what is new. Raises UsageError if it cannot be written."""
        try:
            for finding in list(summary.findings.values())[len(self.files) :]:
                self.files.append(str(self._write(finding)))
            if self._corpus is not None:
                save(self._corpus, list(summary.corpus)[self._saved :])
                self._saved = len(summary.corpus)
        except OSError as error:
            raise UsageError(f"cannot write {printable(str(error.filename))}: {error.strerror}") from None

    def _write(self, finding: Finding) -> Path:
        """A file that is named by oracle and content; and beside it the scenario, if a clean machine can tell what it
        should have been."""
        path = self._output / f"{finding.found.oracle}-{name_of(finding.minimised)[:16]}"
        self._output.mkdir(parents=True, exist_ok=True)
        write_whole(path, finding.minimised)
        text = scenario_of(decode(finding.minimised), f"fuzz@{path.name.lower()}", finding.found.detail)
        if text is not None:
            write_whole(path.with_name(f"{path.name}{SUFFIX}"), text.encode())
        return path


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM, as SIGINT, is a KeyboardInterrupt here; also in the background of a shell, which ignores SIGINT."""
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, _stop) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
