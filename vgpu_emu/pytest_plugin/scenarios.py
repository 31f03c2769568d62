"""A scenario file as a collector, and each of its scenarios, a row of its parameters each, as a test."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vgpu_emu.scenario.loading import load
from vgpu_emu.scenario.mistakes import ScenarioMistake
from vgpu_emu.scenario.outcome import Outcome, Result
from vgpu_emu.scenario.records import Scenario

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr


class ScenarioError(AssertionError):
    """A scenario did not go as its file says."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.place)
        self.outcome = outcome


class ScenarioFile(pytest.File):
    """*.vgpu.toml. A file that is no scenario is an error of collection, with the line and what was probably meant."""

    def collect(self) -> "Iterator[ScenarioItem]":
        try:
            scenarios = load(self.path)
        except ScenarioMistake as mistake:
            raise self.CollectError(str(mistake)) from None
        except OSError as error:
            raise self.CollectError(f"{self.path}: {error.strerror}") from None
        for scenario in scenarios:
            yield ScenarioItem.from_parent(self, name=scenario.id, scenario=scenario)


class ScenarioItem(pytest.Item):
    """A scenario, as `vgpu-emu run` carries it out."""

    #: pytest-trio looks at every item's function
    obj = None

    def __init__(self, *, name: str, parent: ScenarioFile, scenario: Scenario) -> None:
        super().__init__(name, parent)
        self.scenario = scenario

    def runtest(self) -> None:
        """Raises ScenarioError."""
        from vgpu_emu.fuzz.runner import runner
        from vgpu_emu.scenario.golden import compared, golden_file

        seed: int = self.config.getoption("vgpu_seed")
        outcome = runner(self.scenario)(self.scenario, file=str(self.path), seed=seed)
        if not seed:
            outcome = compared(outcome, golden_file(self.path))
        if outcome.result is Result.SKIP:
            pytest.skip(outcome.detail)
        if outcome.result is not Result.SUCCESS:
            raise ScenarioError(outcome)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> "str | TerminalRepr":
        """The messages up to the step that failed, where it is, and what differs."""
        if not isinstance(excinfo.value, ScenarioError):
            return super().repr_failure(excinfo)
        from vgpu_emu.cli.run_text import failure_text, ladder_text

        outcome = excinfo.value.outcome
        return f"{_headline(outcome)}\n{ladder_text(outcome)}{failure_text(outcome)}"

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


def _headline(outcome: Outcome) -> str:
    """What pytest's summary shows: ``x.vgpu.toml:17: step[1], mmap of blob: pgprot: cached``"""
    failure = outcome.failure
    if failure is None:
        return f"{Path(outcome.file).name}: {(outcome.detail.splitlines() or [''])[-1]}"
    first = failure.mismatches[0]
    return f"{Path(outcome.place).name}: {failure.path}, {failure.title}: {first.what}: {first.actual}"
