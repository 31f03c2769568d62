"""A row: one thing, what was expected, what was seen, and whether that is the same."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class Outcome(Enum):
    OK = "ok"
    DIFFERS = "differs"
    #: a figure: nothing to compare it with
    SEEN = "seen"


class Row(NamedTuple):
    """One thing. topic: what it is about. expected: empty where nothing was."""

    topic: str
    what: str
    expected: str
    seen: str
    outcome: Outcome


def compared(topic: str, what: str, expected: str, seen: str) -> Row:
    return Row(topic, what, expected, seen, Outcome.OK if expected == seen else Outcome.DIFFERS)


def counted(topic: str, what: str, right: Sequence[bool], of: str) -> Row:
    return compared(topic, what, f"{len(right)} of {len(right)} {of}", f"{sum(right)} of {len(right)} {of}")
