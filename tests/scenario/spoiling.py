"""Expectations made wrong, one at a time: what a scenario would have to fail of."""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from vgpu_emu.scenario.expect import Expect
from vgpu_emu.scenario.steps import Step
from vgpu_emu.trace.hextext import bytes_from_hex

_NO_SUCH_LINE = "a line that no ladder has"
_NOTHING = Expect()


def spoiled_steps(step: Step) -> Iterator[tuple[str, Any, Step]]:
    """The step with one expectation changed, its own or that of a step inside: which, its value, the step."""
    for name, expect in spoiled(step.expect):
        yield name, getattr(step.expect, name), replace(step, expect=expect)
    inside = list(getattr(step, "steps", ()))
    for index, inner in enumerate(inside):
        for name, value, wrong in spoiled_steps(inner):
            yield name, value, replace(step, steps=[*inside[:index], wrong, *inside[index + 1 :]])


def spoiled(expect: Expect) -> Iterator[tuple[str, Expect]]:
    """Each expectation changed in every way that must not be as good. ``never`` has a test of its own."""
    for name, change in _CHANGES.items():
        said = getattr(expect, name)
        if said != getattr(_NOTHING, name):
            for wrong in change(said):
                yield name, replace(expect, **{name: wrong})


def _another(*words: str) -> Callable[[Any], list[Any]]:
    """The first of two words that is not the one that is said."""
    return lambda said: [next(word for word in words if word != said)]


def _leaves(said: Any) -> Iterator[Any]:
    """Of a table or an array, every number in it, one after the other."""
    if isinstance(said, dict):
        for key, part in said.items():
            yield from ({**said, key: wrong} for wrong in _leaves(part))
    elif isinstance(said, list):
        yield from (
            [*said[:index], wrong, *said[index + 1 :]] for index, part in enumerate(said) for wrong in _leaves(part)
        )
        yield [*said, "one more"]
    else:
        yield not said if isinstance(said, bool) else said + 1


def _first_byte(said: str) -> list[str]:
    data = bytes_from_hex(said)
    return [bytes([data[0] ^ 0xFF, *data[1:]]).hex()]


def _first_letter(said: str) -> list[str]:
    return [chr(ord(said[0]) ^ 1) + said[1:]]


def _one_line(said: list[str]) -> Iterator[list[str]]:
    """Each line replaced."""
    yield from ([*said[:index], _NO_SUCH_LINE, *said[index + 1 :]] for index in range(len(said)))


def _conflict(said: Any) -> list[Any]:
    another = [*(said if isinstance(said, list) else []), "a conflict that there is not"]
    return [False, another] if said else [another]


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "response": _another("RESP_ERR_INVALID_SCANOUT_ID", "RESP_OK_CAPSET_INFO"),
    "rule": _another("HEADER_WHOLE", "CTX_LIMIT"),
    "errno": _another("EXDEV", "EPERM"),
    "map_info": lambda said: ["none" if said != "none" else "wc"],
    "pgprot": _another("noncached", "cached"),
    "bytes_": _first_byte,
    "text": _first_letter,
    "value": _leaves,
    "fields": _leaves,
    "fenced": lambda said: [not said],
    "ring": lambda said: [said + 1],
    "conflict": _conflict,
    "trace": _one_line,
    "hangs": lambda said: [False, "what nobody waits for"],
    "seconds": lambda said: [said + 0.25],
    "device": _another("works", "dead"),
}
