"""Defects that are planted into a target, to see whether an oracle finds them.

A defect is an object with any of five methods, each called with the live object when that is made; what it
returns takes the object's place. None of them is called for a target without the defect.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from traceback import walk_tb
from typing import Any, TypeVar

T = TypeVar("T")
#: the seams, and what is handed over at each
SEAMS = {
    "renderer": "the host's Renderer: handle(data, now) and rings",
    "device": "the VMM's Device: handle(chain), signal(timeline, fence_id), reset() and negotiate(features)",
    "driver": "the guest's Driver: queue(request), complete(used) and take_available()",
    "link": "the Wire between guest and VMM: available(chain) and used(used), each a list of what arrives, and idle()",
    "snapshot": "the bytes of a snapshot, when a VMM is stopped: what the next one reads",
}
#: what the names of modules begin with that are files of defects
MODULE = "_defect_"


class DefectError(ValueError):
    """There is no such defect, or it cannot be planted; one line says why."""


class _Made(type):
    """Says when `__init__` is over."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        made = super().__call__(*arguments, **named)
        if "inner" not in vars(made):
            raise TypeError(f"{cls.__name__}.__init__ does not call super().__init__(inner)")
        object.__setattr__(made, "_is_made", True)
        return made


class Wrapper(metaclass=_Made):
    """Everything of `inner` that a subclass does not have itself, to read and to write.

    What the subclass has in its body, and what is set while `__init__` runs, is the wrapper's own, also if `inner` has
    something of that name. Of what is set later, what `inner` has is set there.
    """

    inner: Any
    _is_made = False

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        try:
            inner = self.__dict__["inner"]
        except KeyError:
            raise AttributeError(f"{name!r} is read before super().__init__(inner) was called") from None
        return getattr(inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        is_own = not self._is_made or name in self.__dict__ or hasattr(type(self), name)
        if is_own or not hasattr(self.inner, name):
            object.__setattr__(self, name, value)
        else:
            setattr(self.inner, name, value)


def made(defects: Iterable[Any]) -> list[Any]:
    """An object of each class among them: a defect that keeps something in mind begins anew with each machine. Raises
    DefectError."""
    return [_object(defect) if isinstance(defect, type) else defect for defect in defects]


def plant(defects: Iterable[Any], seam: str, live: T) -> T:
    """What the defects make of a live object, one after the other. Raises DefectError."""
    for defect in defects:
        change = getattr(defect, seam, None)
        live = live if change is None else _changed(defect, seam, change, live)
    return live


def line_of(error: BaseException) -> str:
    """``line 7 of mine.py``: the last line of a defect's file on the way to the error; empty: there is none."""
    lines = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__) if _is_defect(frame.f_globals)]
    return f"line {lines[-1][1]} of {Path(lines[-1][0].co_filename).name}" if lines else ""


def _is_defect(names: dict[str, Any]) -> bool:
    return str(names.get("__name__", "")).startswith(MODULE)


def _object(defect: type) -> Any:
    try:
        return defect()
    except Exception as error:
        raise DefectError(f"{_name(defect)}: {_raised('__init__', error)}") from error


def _changed(defect: Any, seam: str, change: Callable[[T], T], live: T) -> T:
    try:
        changed = change(live)
    except Exception as error:
        raise DefectError(f"{_name(type(defect))}: {_raised(seam, error)}") from error
    if changed is None or (isinstance(live, bytes) and not isinstance(changed, bytes)):
        kind = "None" if changed is None else f"no bytes, but {type(changed).__name__}"
        what = f"{seam}() returns {kind}, and must return what it gets, changed or wrapped"
        raise DefectError(f"{_name(type(defect))}: {what}{_defined(change)}")
    return changed


def _raised(method: str, error: Exception) -> str:
    line, says = line_of(error), " ".join(str(error).split())
    return f"{method}() raised {type(error).__name__}: {says}" + (f": {line}" if line else "")


def _defined(method: Any) -> str:
    code = getattr(method, "__code__", None)
    return "" if code is None else f": line {code.co_firstlineno} of {Path(code.co_filename).name}"


def _name(defect: type) -> str:
    """As the user may have named it: with the file, if it is of one."""
    file = getattr(sys.modules.get(defect.__module__), "__file__", None)
    is_of_file = defect.__module__.startswith(MODULE) and file is not None
    return f"{Path(str(file)).name}:{defect.__qualname__}" if is_of_file else defect.__qualname__
