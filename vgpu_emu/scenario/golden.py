"""Golden ladders: every message of a good run, kept beside the scenario's file and compared with the next run.

They are for scenarios whose story is what is said, in which order. One file has a section for each row of parameters.
"""

from collections.abc import Iterable
from difflib import unified_diff
from pathlib import Path

from msgspec.structs import replace

from vgpu_emu.scenario.expect import Mismatch
from vgpu_emu.scenario.loading import SUFFIX
from vgpu_emu.scenario.outcome import Failure, Outcome, Result
from vgpu_emu.trace.ladder import text

_HEADING = "== "


def golden_file(file: Path) -> Path:
    """``attribute.ladder`` for ``attribute.vgpu.toml``"""
    return file.with_name(file.name.removesuffix(SUFFIX) + ".ladder")


def compared(outcome: Outcome, golden: Path) -> Outcome:
    """The outcome; of a success whose ladder is not the golden one, the failure that this is. Raises OSError."""
    if outcome.result is not Result.SUCCESS or not golden.exists():
        return outcome
    kept = _sections(golden.read_text(encoding="utf-8")).get(outcome.id, [])
    told = text(outcome.events).splitlines()
    difference = list(unified_diff(kept, told, str(golden), "this run", n=2, lineterm=""))
    if not difference:
        return outcome
    says = Mismatch("ladder", f"as in {golden.name}", "another, see below; --update keeps it")
    failure = Failure("ladder", "every message, in its order", [says])
    return replace(outcome, result=Result.FAIL, failure=failure, detail="\n".join(difference))


def updated(golden: Path, outcomes: Iterable[Outcome]) -> str:
    """What the golden file is to say after these runs; sections of others stay. Raises OSError."""
    sections = _sections(golden.read_text(encoding="utf-8")) if golden.exists() else {}
    sections.update({outcome.id: text(outcome.events).splitlines() for outcome in outcomes})
    return "".join(f"{_HEADING}{name}\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections.items())


def _sections(kept: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in kept.splitlines():
        if line.startswith(_HEADING):
            found[line.removeprefix(_HEADING)] = []
        elif found:
            next(reversed(found.values())).append(line)
    return found
