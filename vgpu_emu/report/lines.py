"""The cache lines where data went wrong, step by step: what each place holds, byte by byte right or not."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from vgpu_emu.attributes.coherency import LINE
from vgpu_emu.attributes.views import lines_of
from vgpu_emu.attributes.walkthrough import MEMORY, Damage, Entry, LineState

#: lines side by side, and steps; of more, those around the first wrong read
MAX_LINES, MAX_STEPS = 4, 40
_BEFORE = 30
#: bytes of a line that are drawn side by side
_ROW = 16
_SHOWN_BYTES = 24

#: (where, what) of a copy: memory, a CPU's cache, a CPU's combining buffer
Place = tuple[str, str]


class Copy(NamedTuple):
    """One copy of a line. current, stale: paths of an SVG, one unit a byte. says: the same in words. text: what it
    holds, if that is text."""

    state: str
    current: str
    stale: str
    says: str
    text: str


class Row(NamedTuple):
    """All copies in one place, line by line; None: it has none."""

    place: str
    copies: list[Copy | None]


class Wrong(NamedTuple):
    """A wrong read. expected, got: (two hex digits, whether they differ), from the first wrong byte on. text: both."""

    kind: str
    says: str
    address: int
    expected: list[tuple[str, bool]]
    got: list[tuple[str, bool]]
    text: tuple[str, str]


class Step(NamedTuple):
    """One step of the program. right: a read that got what was written last."""

    number: int
    who: str
    action: str
    right: bool
    wrong: Wrong | None
    rows: list[Row]


class Shown(NamedTuple):
    """reads, bad: how many reads there were, and how many got wrong bytes. lines: the numbers of those shown: of
    `damaged` that went wrong, or if none did of all. left_out: steps that are not shown."""

    reads: int
    bad: int
    lines: list[int]
    damaged: int
    steps: list[Step]
    left_out: int


def shown(log: Sequence[Entry]) -> Shown:
    """The part of a log that tells what went wrong; where nothing did, how it goes."""
    damage = [entry.damage for entry in log if entry.damage is not None]
    damaged = list(dict.fromkeys(line for each in damage for line in _wrong_lines(each)))
    touched = dict.fromkeys(state.line for entry in log for state in entry.lines)
    lines = sorted((damaged or list(touched))[:MAX_LINES])
    told = [entry for entry in log if not entry.lines or any(state.line in lines for state in entry.lines)]
    first = next((place for place, entry in enumerate(told) if entry.damage), 0)
    start = max(0, min(first - _BEFORE, len(told) - MAX_STEPS))
    steps = list(_steps(told[: start + MAX_STEPS], lines))[start:]
    reads = sum(entry.action.startswith("reads") for entry in log)
    return Shown(reads, len(damage), lines, len(damaged), steps, len(log) - len(steps))


def _wrong_lines(damage: Damage) -> Iterator[int]:
    for line in lines_of(damage.address, len(damage.got)):
        start, end = max(line * LINE - damage.address, 0), (line + 1) * LINE - damage.address
        if damage.expected[start:end] != damage.got[start:end]:
            yield line


def _steps(log: Sequence[Entry], lines: list[int]) -> Iterator[Step]:
    """Every step with all lines as they are then: those that it does not touch as they were."""
    states: dict[int, LineState] = {}
    places = _places(log, lines)
    for entry in log:
        states.update({state.line: state for state in entry.lines if state.line in lines})
        rows = [Row(_named(place), [_copy(states.get(line), place) for line in lines]) for place in places]
        right = entry.action.startswith("reads") and entry.damage is None
        yield Step(entry.step, entry.who, entry.action, right, _wrong(entry.damage), rows)


def _places(log: Sequence[Entry], lines: list[int]) -> list[Place]:
    """Where these lines are at any time; memory, which all have, last."""
    copies = [
        (where, what)
        for entry in log
        for state in entry.lines
        if state.line in lines
        for where, what, _ in state.copies
    ]
    return [*sorted({_place(*copy) for copy in copies} - {(MEMORY, MEMORY)}), (MEMORY, MEMORY)]


def _place(where: str, state: str) -> Place:
    return (where, "cache" if state in {"dirty", "clean"} else state)


def _named(place: Place) -> str:
    where, what = place
    return {"cache": f"{where} CPU's cache", "combining": f"{where} CPU's write-combining buffer"}.get(what, where)


def _copy(state: LineState | None, place: Place) -> Copy | None:
    if state is None:
        return None
    for where, what, held in state.copies:
        if _place(where, what) == place:
            right = [byte == truth for byte, truth in zip(held, state.truth, strict=True)]
            stale = right.count(False)
            says = "up to date" if not stale else "out of date" if stale == LINE else f"{stale} of {LINE} out of date"
            text = _text(held.rstrip(b"\0"))
            return Copy(what, _path(right, True), _path(right, False), says, "" if "." in text else text)
    return None


def _path(right: list[bool], wanted: bool) -> str:
    """The squares of the bytes that are as wanted, sixteen a row, runs joined."""
    path = []
    for row in range(LINE // _ROW):
        start = None
        for column in range(_ROW + 1):
            inside = column < _ROW and right[row * _ROW + column] is wanted
            if inside and start is None:
                start = column
            elif not inside and start is not None:
                path.append(f"M{start} {row}h{column - start}v1h{start - column}z")
                start = None
    return "".join(path)


def _wrong(damage: Damage | None) -> Wrong | None:
    if damage is None:
        return None
    pairs = list(zip(damage.expected, damage.got, strict=True))
    first = next(place for place, (expected, got) in enumerate(pairs) if expected != got)
    pairs = pairs[first : first + _SHOWN_BYTES]
    holders = " and ".join("memory" if where == MEMORY else f"the {where} CPU" for where in damage.where)
    says = (
        f"what it should have read is still with {holders}"
        if damage.kind == "stale"
        else "the bytes are nowhere any more"
    )
    return Wrong(
        damage.kind,
        says,
        damage.address + first,
        [(f"{expected:02x}", expected != got) for expected, got in pairs],
        [(f"{got:02x}", expected != got) for expected, got in pairs],
        (_text(expected for expected, _ in pairs), _text(got for _, got in pairs)),
    )


def _text(data: Iterable[int]) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
