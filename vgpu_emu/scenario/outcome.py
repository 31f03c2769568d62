"""How a scenario ended."""

from collections.abc import Sequence
from enum import Enum

import msgspec

from vgpu_emu.scenario.expect import Mismatch
from vgpu_emu.trace.log import Event


class Result(Enum):
    """As IGT's runner has it."""

    SUCCESS = "SUCCESS"
    FAIL = "FAIL"
    SKIP = "SKIP"
    #: a bug of the emulator: an exception that no scenario can expect
    CRASH = "CRASH"


class Failure(msgspec.Struct, frozen=True):
    """path: in the file, such as ``step[3]``; ``end`` for what is left. title: the step in words."""

    path: str
    title: str
    mismatches: Sequence[Mismatch]


class Failed(Exception):  # noqa: N818 - the scenario's, not ours
    """A step did not go as expected."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.title)
        self.failure = failure


class ImpossibleError(Exception):
    """The scenario asks for what this kind of machine does not have; says what. It is skipped."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """seeds: how many were tried; `seed` was the last of them. steps: how many were carried out. line: of the file,
    where it went wrong, if that is known. detail: of a crash, where; of what was skipped, why."""

    id: str
    file: str = ""
    seed: int = 0
    seeds: int = 1
    result: Result
    steps: int = 0
    failure: Failure | None = None
    line: int | None = None
    detail: str = ""
    events: Sequence[Event] = ()
    trace_hash: str = ""
    seconds: float = 0.0

    @property
    def place(self) -> str:
        """``scenarios/x.vgpu.toml:27``"""
        return self.file if self.line is None else f"{self.file}:{self.line}"
