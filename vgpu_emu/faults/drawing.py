"""Plans from a seed: random faults, which may or may not find their message."""

from collections.abc import Sequence
from random import Random
from typing import Any, cast, get_args

from vgpu_emu.faults.plan import (
    FAULTS,
    MESSAGES,
    AnswerFault,
    AnyFault,
    Call,
    Errno,
    Exporter,
    Fault,
    LinkName,
    RendererFault,
    ShortenCapacity,
    SplitWrites,
    StreamFault,
)
from vgpu_emu.trace.log import FENCES

_LINKS: tuple[LinkName, ...] = get_args(LinkName)
_QUEUES: tuple[LinkName, ...] = ("controlq", "cursorq")
#: a member of a fault -> some of its values, the interesting ones among them
_VALUES: dict[str, tuple[Any, ...]] = {
    "seconds": (0.0, 0.001, 1.0, 4.0, 6.0, 30.0),
    "bit": tuple(range(8 * 40)),
    "size": (0, 1, 7, 8, 23, 24, 4095, 4096, 1 << 40),
    "capacity": (0, 1, 8, 23, 24, 31),
    "value": (0, 1, 2, 3, 7, 255, -1, -38),
    "errno": get_args(Errno),
    "exporter": get_args(Exporter),
    "call": get_args(Call),
}


def draw(random: Random, number: int, kinds: Sequence[type[Fault]] = FAULTS) -> list[AnyFault]:
    """So many faults. Their reprs are a plan that does the same without the seed."""
    return [_fault(random, random.choice(kinds)) for _ in range(number)]


def _fault(random: Random, kind: type[Fault]) -> AnyFault:
    link = _link(random, kind)
    members: dict[str, Any] = {
        "link": link,
        "message": random.choice(["", *MESSAGES[link]]),
        "skip": random.choice((0, 0, 0, 1, 2, 5, 10)),
        "times": random.choice((1, 1, 1, 2, 5)),
        "answer": issubclass(kind, AnswerFault) or (_has_answers(kind, link) and random.random() < 0.5),
    }
    members |= {name: random.choice(_VALUES[name]) for name in kind.__struct_fields__ if name in _VALUES}
    if kind is SplitWrites:
        members["size"] = random.choice((1, 3, 8, 20))
    fault = kind(**members)
    return cast(AnyFault, fault)


def _link(random: Random, kind: type[Fault]) -> LinkName:
    if issubclass(kind, RendererFault | StreamFault):
        return "renderer"
    return random.choice(_QUEUES if kind is ShortenCapacity else _LINKS)


def _has_answers(kind: type[Fault], link: LinkName) -> bool:
    return kind is not ShortenCapacity and link != FENCES
