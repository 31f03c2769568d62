"""What programs have reached: command x condition x state x outcome; and which conditions nobody has reached."""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from vgpu_emu.fuzz.model.case import Covered
from vgpu_emu.fuzz.model.commands import COMMANDS
from vgpu_emu.fuzz.model.contexts import STREAM
from vgpu_wire.control import FIRST_ERROR

#: functions of the reference that name a condition -> the place of its words among their arguments
_NAMING = {"refuse": 1, "leave_open": 1, "may": 0, "Expected": 1}


class Row(NamedTuple):
    """condition: why the request was not plainly right; empty: it was. states: of the device, in which it came so."""

    number: int
    condition: str
    outcome: int
    states: int


def rows(covered: Iterable[Covered]) -> list[Row]:
    """The table, by command, condition and outcome."""
    counted = Counter((number, condition, outcome) for number, condition, _state, outcome in covered)
    return [Row(*cell, states) for cell, states in sorted(counted.items())]


@cache
def conditions() -> frozenset[str]:
    """Every condition that the reference has words for, read from its source."""
    code = [path for path in files("vgpu_emu.fuzz.model").iterdir() if path.name.endswith(".py")]
    return frozenset(words for path in code for words in _named(ast.parse(path.read_text(encoding="utf-8"))))


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMING:
            place = _NAMING[node.func.id]
            words = node.args[place] if len(node.args) > place else None
            if isinstance(words, ast.Constant) and isinstance(words.value, str) and words.value:
                yield words.value


def unreached(covered: Iterable[Covered]) -> list[str]:
    """Conditions that no program met."""
    met = {condition.removeprefix(STREAM) for _number, condition, _state, _outcome in covered}
    return sorted(conditions() - met)


def never_right(covered: Iterable[Covered]) -> list[int]:
    """Commands that were never plainly right and succeeded, with an answer that was seen: the cursorq often has room
    for none."""
    right = {number for number, condition, _state, outcome in covered if not condition and outcome < FIRST_ERROR}
    return [number for number in COMMANDS if number not in right]
