"""What may be answered to a request: MUST succeed, must be REFUSEd, or the protocol leaves it OPEN."""

from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec


class Verdict(Enum):
    MUST = "must succeed"
    REFUSE = "must be refused"
    OPEN = "may succeed or be refused"


def nothing(_answer: Any = None) -> None:
    """No change."""


def any_payload(_answer: Any) -> str | None:
    """Nothing is wrong with it."""
    return None


class Expected(msgspec.Struct, frozen=True):
    """A verdict and its reason. success: what changes if the request succeeds; the answer tells, where it chooses.

    success(None): its answer comes later. payload: what is wrong with a successful answer's own members, in words;
    None: nothing. oracle: whose word it is. large: so that a host may have no memory for it.
    """

    verdict: Verdict
    why: str = ""
    oracle: str = "I22"
    success: Callable[[Any], None] = nothing
    payload: Callable[[Any], str | None] = any_payload
    large: bool = False


class Refusal(Exception):  # noqa: N818 - how an expectation is found, nothing went wrong
    """The request must be refused, for this reason, as this oracle says: its two arguments."""

    def __str__(self) -> str:
        return str(self.args[0])


class Open(Exception):  # noqa: N818
    """Whether the request succeeds is the device's choice, and nothing changes if it does."""


def refuse(when: object, why: str, oracle: str = "I22") -> None:
    if when:
        raise Refusal(why, oracle)


def leave_open(when: object, why: str) -> None:
    if when:
        raise Open(why)


def expected(find: Callable[..., Expected], *arguments: Any) -> Expected:
    """What `find` returns, or what it raises."""
    try:
        return find(*arguments)
    except Refusal as refusal:
        return Expected(Verdict.REFUSE, *refusal.args)
    except Open as choice:
        return Expected(Verdict.OPEN, *choice.args)


def must(
    success: Callable[[Any], None] = nothing,
    payload: Callable[[Any], str | None] = any_payload,
    oracle: str = "I6",
    *,
    large: bool = False,
) -> Expected:
    return Expected(Verdict.MUST, "", oracle, success, payload, large)


def may(why: str, success: Callable[[Any], None] = nothing) -> Expected:
    return Expected(Verdict.OPEN, why, "I22", success)


def differs(name: str, actual: object, wanted: object) -> str | None:
    """For payloads. Of bytes the first is named that is not as it must be."""
    if actual == wanted:
        return None
    if not isinstance(actual, bytes) or not isinstance(wanted, bytes):
        return f"{name} is {actual}, not {wanted}"
    if len(actual) != len(wanted):
        return f"{name} has {len(actual)} bytes, not {len(wanted)}"
    first, count = next(place for place in range(len(wanted)) if actual[place] != wanted[place]), len(wanted)
    return f"{name} is not as it must be: byte {first} of {count} is {actual[first]:#04x}, not {wanted[first]:#04x}"
