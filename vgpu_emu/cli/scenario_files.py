"""Which scenarios a command line means: files, directories, patterns."""

import glob
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.scenario.loading import SUFFIX, load
from vgpu_emu.scenario.mistakes import ScenarioMistake
from vgpu_emu.scenario.records import Scenario


class Found(NamedTuple):
    """A scenario, and the file that it is in."""

    path: Path
    scenario: Scenario


def find_scenarios(paths: Iterable[str], subtest: str | None = None) -> list[Found]:
    """The scenarios of these files, of the directories below, and of what the patterns match; ordered by file.

    subtest: only those whose id is, or matches, this. Raises UsageError for what is not there, or is no scenario.
    """
    files = dict.fromkeys(file for path in paths for file in _files(path))
    found = [Found(file, scenario) for file in files for scenario in load_scenarios(file)]
    _refuse_doubles(found)
    chosen = [each for each in found if subtest is None or _is_meant(each.scenario.id, subtest)]
    if not chosen:
        raise UsageError(f"no scenario has the id {printable(subtest or '')}; vgpu-emu list shows all")
    return chosen


def _is_meant(scenario_id: str, wanted: str) -> bool:
    """The id itself, one of its rows, or what the pattern matches."""
    return scenario_id == wanted or scenario_id.startswith(f"{wanted}@") or fnmatchcase(scenario_id, wanted)


def _files(path: str) -> list[Path]:
    place = Path(path)
    if path and place.is_dir():
        found = sorted(place.rglob(f"*{SUFFIX}"))
        missing = f"there is no *{SUFFIX} in {printable(path)}"
    elif path and place.exists():
        found, missing = [place], ""
    else:
        found = sorted(Path(name) for name in glob.glob(path, recursive=True) if Path(name).is_file())
        missing = f"there is no file {printable(path) or repr(path)}"
    if not found:
        raise UsageError(missing)
    return found


def load_scenarios(file: Path) -> list[Scenario]:
    """Those of one file. Raises UsageError."""
    try:
        return load(file)
    except ScenarioMistake as mistake:
        raise UsageError(printable(str(mistake))) from None
    except OSError as error:
        raise UsageError(f"cannot read {printable(str(file))}: {error.strerror}") from None


def _refuse_doubles(found: Iterable[Found]) -> None:
    homes: dict[str, Path] = {}
    for path, scenario in found:
        if homes.setdefault(scenario.id, path) != path:
            raise UsageError(f"two scenarios have the id {scenario.id}: {homes[scenario.id]} and {path}")
