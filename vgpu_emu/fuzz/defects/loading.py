"""Defects by name: those that are shipped, and those of a file that somebody else wrote."""

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from vgpu_emu.fuzz.bounded import SECONDS, bounded, in_time
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.defect import MODULE, SEAMS, DefectError, line_of, plant
from vgpu_emu.fuzz.defects import ALL
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.vmm.snapshot import take

_FORM = "a defect is a shipped name (P01 to P24 and others) or path/to/file.py:NAME"


def load(wanted: str, seams: Iterable[str] = SEAMS) -> type:
    """The class of a defect: a shipped name, or `path/to/file.py:NAME`. Raises DefectError.

    seams: where it may be planted; it has to use one of them. The file is run: it can do whatever the user can. What it
    has is planted once, to see whether that can be done.
    """
    path, colon, name = wanted.rpartition(":")
    if not colon and not wanted.endswith(".py"):
        return _checked(_shipped(wanted), wanted, seams)
    path = path if colon else wanted
    module = _run(Path(path))
    found = getattr(module, name, None) if colon else None
    if found is None:
        missing = f"{path} has no {name}" if colon and name else f"{path}: which class of it? ({path}:NAME)"
        raise DefectError(f"{missing}{_others(module, seams)}")
    _try_out(found := _checked(found, f"{name} in {path}", seams))
    return found


def _shipped(name: str) -> type:
    if name in ALL:
        return ALL[name]
    close = get_close_matches(name, ALL, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise DefectError(f"no defect {name!r}{hint} ({_FORM})")


def _run(path: Path) -> ModuleType:
    if path.suffix != ".py" or not path.is_file():
        raise DefectError(f"no Python file {str(path)!r} ({_FORM})")
    spec = importlib.util.spec_from_file_location(f"{MODULE}{path.stem}", path)
    assert spec is not None, "the name ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # a dataclass looks its module up
    sys.modules[spec.name] = module
    try:
        with _beside(path):
            spec.loader.exec_module(module)
    except Exception as error:
        line = line_of(error)
        says = f"{path} could not be loaded: {type(error).__name__}: {' '.join(str(error).split())}"
        raise DefectError(says + (f": {line}" if line else "")) from error
    return module


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """A file may import its neighbours, as a script may."""
    directory = str(path.resolve().parent)
    sys.path.insert(0, directory)
    try:
        yield
    finally:
        sys.path.remove(directory)


def _others(module: ModuleType, seams: Iterable[str]) -> str:
    names = [name for name, item in vars(module).items() if isinstance(item, type) and _uses(item, seams)]
    return f"; it has {', '.join(names)}" if names else ""


def _uses(found: type, seams: Iterable[str]) -> bool:
    return any(callable(getattr(found, seam, None)) for seam in seams)


def _checked(found: object, name: str, seams: Iterable[str]) -> type:
    if not isinstance(found, type):
        raise DefectError(f"{name} is no class")
    if not _uses(found, seams):
        raise DefectError(f"{name} has none of the methods {', '.join(seams)}")
    return found


def _try_out(defect: type) -> None:
    """Plant it. Raises DefectError."""
    with bounded(SECONDS), in_time():
        core = Core(Setup(), defects=[defect])
        plant(core.defects, "snapshot", take(core.parts.device))
