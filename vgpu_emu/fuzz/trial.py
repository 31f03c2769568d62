"""One program on one machine: what came of it."""

import re
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from vgpu_emu.fuzz.actions import Call, Program, Send
from vgpu_emu.fuzz.bench import Chooser
from vgpu_emu.fuzz.bounded import in_time
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.defect import DefectError, line_of
from vgpu_emu.fuzz.differing import Differs
from vgpu_emu.fuzz.model.case import Covered, Finding
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.trace.log import Event
from vgpu_emu.vmm.profiles import Profile

if TYPE_CHECKING:
    from vgpu_emu.fuzz.outside import Outside


#: characters of what is said of a finding: an answer may be a megabyte
DETAIL = 400
#: numbers and bytes in it, also in hexadecimal as UUIDs are, and several of them in a row
_VALUES = re.compile(r"""0x[0-9a-f]+|\b(?=[a-f]*\d)[0-9a-f]{4,}\b|\d+|b'(?:[^'\\]|\\.)*'|b"(?:[^"\\]|\\.)*\"""")
_MANY = re.compile(r"#(?:, #)+")
#: where something without a text of its own lies, which is another place each time
_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}(?=>)")


class Found(msgspec.Struct, frozen=True):
    """An oracle that did not hold, and at which step, counted from 0. What is too long of the detail is left out."""

    oracle: str
    detail: str
    step: int

    def __post_init__(self) -> None:
        if len(self.detail) > DETAIL:
            msgspec.structs.force_setattr(self, "detail", f"{self.detail[: DETAIL - 4]} ...")

    @property
    def kind(self) -> str:
        """What findings of one cause have in common: the words without the numbers."""
        return f"{self.oracle}: {_MANY.sub('#', _VALUES.sub('#', self.detail))[:60]}"


class Result(msgspec.Struct):
    """program: what was carried out. commands: chains that the device was given. digest: of all answers.
    events: what crossed, where somebody looks."""

    program: Program
    found: Found | None
    commands: int
    evaluated: Counter[str]
    covered: set[Covered]
    digest: int = 0
    events: Sequence[Event] = ()


class TargetLostError(Exception):
    """There is nothing left that programs could run on."""


class Conditions(msgspec.Struct, frozen=True):
    """What programs run on. target: see targets.py. defects: see defect.py; None of the profile: strict.

    device: of the target "device".
    """

    target: str = "core"
    profile: Profile | None = None
    defects: tuple[Any, ...] = ()
    device: "Outside | None" = None


def carry_out(conditions: Conditions, setup: Setup, drive: Callable[[Core], object], *, look: bool = False) -> Result:
    """A machine, driven, ended and closed. What is raised that no interface documents is a finding, too (I28).

    Raises DefectError for a defect that cannot be planted, also into a VMM that takes over.
    """
    core = Core(setup, profile=conditions.profile, defects=conditions.defects, look=look)
    found: Found | None = None
    try:
        with in_time():
            drive(core)
    except Differs:
        # whatever a VMM leaves behind that is like that
        _close(core, None)
    except Finding as finding:
        found = Found(finding.oracle, finding.detail, core.index)
        _close(core, found)
    except DefectError:
        raise
    except Exception as error:
        found = Found("I28", where(error), core.index)
        _close(core, found)
    else:
        found = _close(core, None)
    judge = core.judge
    judge.evaluated[OF_EVERY_PROGRAM] += 1
    events = core.parts.log.events if look else ()
    return Result(core.program, found, core.commands, judge.asked, judge.covered, judge.digest, events)


#: what is looked at in every program
OF_EVERY_PROGRAM = ("I11", "I12", "I28", "I29")


def _close(core: Core, found: Found | None) -> Found | None:
    """The machine's end; when all was well until then, nothing may be left of it (I11)."""
    try:
        with in_time():
            core.close()
    except Finding as finding:
        return found or Found(finding.oracle, finding.detail, core.index)
    except Exception as error:
        return found or Found("I12", where(error), core.index)
    left = core.parts.leaks()
    return Found("I11", left[0], core.index) if left else None


def where(error: BaseException) -> str:
    """What happened, and where; of a defect of a file also its line."""
    place, line = traceback.extract_tb(error.__traceback__)[-1], line_of(error)
    said = _ADDRESS.sub("", str(error))
    return f"{type(error).__name__}: {said} in {place.name}" + (f", {line}" if line else "")


def run(program: Program, conditions: Conditions = Conditions(), *, look: bool = False) -> Result:  # noqa: B008
    """Carry out a program. look: audit after every step, so that the finding's step is the first that violates."""
    return carry_out(conditions, program.setup, lambda core: core.run(program), look=look)


def explore(choose: Chooser, setup: Setup, length: int, conditions: Conditions) -> Result:
    """Carry out what is chosen, step by step."""
    return carry_out(conditions, setup, lambda core: core.explore(choose, length))


def commands(program: Program) -> int:
    """The steps that are the guest's."""
    return sum(isinstance(step, Send | Call) for step in program.steps)
