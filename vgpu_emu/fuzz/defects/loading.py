"""Defects by name: those that are shipped, and those of a file that somebody else wrote."""

import importlib.util
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from vgpu_emu.fuzz.defect import SEAMS
from vgpu_emu.fuzz.defects import ALL

_FORM = "a defect is a shipped name (P01 to P24 and others) or path/to/file.py:NAME"


class DefectError(ValueError):
    """There is no such defect, or it cannot be planted; one line says why."""


def load(wanted: str, seams: Iterable[str] = SEAMS) -> type:
    """The class of a defect: a shipped name, or `path/to/file.py:NAME`. Raises DefectError.

    seams: where it may be planted; it has to use one of them. The file is run: it can do whatever the user can.
    """
    path, colon, name = wanted.rpartition(":")
    if not colon:
        return _checked(_shipped(wanted), wanted, seams)
    module = _run(Path(path))
    found = getattr(module, name, None)
    if found is None:
        raise DefectError(f"{path} has no {name or 'class without a name'}{_others(module, seams)}")
    return _checked(found, f"{name} in {path}", seams)


def _shipped(name: str) -> type:
    if name in ALL:
        return ALL[name]
    close = get_close_matches(name, ALL, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise DefectError(f"no defect {name!r}{hint} ({_FORM})")


def _run(path: Path) -> ModuleType:
    if path.suffix != ".py" or not path.is_file():
        raise DefectError(f"no Python file {str(path)!r} ({_FORM})")
    spec = importlib.util.spec_from_file_location(f"_defect_{path.stem}", path)
    assert spec is not None, "the name ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # a dataclass looks its module up
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DefectError(f"{path} could not be loaded: {type(error).__name__}: {error}") from error
    return module


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
    try:
        found()
    except Exception as error:
        raise DefectError(f"{name} cannot be made: {type(error).__name__}: {error}") from error
    return found
