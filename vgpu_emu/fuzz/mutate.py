"""Programs out of programs: what a campaign does with those that showed something new."""

from random import Random
from typing import Protocol

from msgspec.structs import replace

from vgpu_emu.fuzz.actions import Program, Reset, Send, Step
from vgpu_emu.fuzz.boundary import bent
from vgpu_emu.fuzz.encoding import MAX_STEPS
from vgpu_emu.fuzz.model.setup import with_needs
from vgpu_wire.device import Feature

Steps = tuple[Step, ...]
_FEATURES = len(Feature)


class Programs(Protocol):
    """Where pieces come from."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Program: ...


def mutated(program: Program, others: Programs, rng: Random) -> Program:
    """One to four changes. others: what pieces may come from."""
    steps = program.steps
    for _ in range(rng.randint(1, 4)):
        change = _CHANGES[int(rng.random() * len(_CHANGES))]
        steps = change(steps, others, rng)
    return Program(program.setup, steps[:MAX_STEPS])


def _place(steps: Steps, rng: Random) -> int:
    return int(rng.random() * (len(steps) + 1))


def _drop(steps: Steps, _others: Programs, rng: Random) -> Steps:
    start = _place(steps, rng)
    return steps[:start] + steps[start + 1 + int(rng.random() * 3) :]


def _repeat(steps: Steps, _others: Programs, rng: Random) -> Steps:
    """A piece once more, elsewhere: what is done twice, or in another order."""
    start, target = _place(steps, rng), _place(steps, rng)
    piece = steps[start : start + 1 + int(rng.random() * 4)]
    return steps[:target] + piece + steps[target:]


def _splice(steps: Steps, others: Programs, rng: Random) -> Steps:
    """The start of this one, the end of another."""
    other = others[int(rng.random() * len(others))].steps
    return steps[: _place(steps, rng)] + other[_place(other, rng) :]


def _bend(steps: Steps, _others: Programs, rng: Random) -> Steps:
    """Another request, or a reset by another driver."""
    places = [index for index, step in enumerate(steps) if isinstance(step, Send | Reset)]
    if not places:
        return steps
    index = places[int(rng.random() * len(places))]
    step = steps[index]
    if isinstance(step, Send):
        step = replace(step, data=bent(step.data, rng))
    else:
        step = Reset(with_needs(rng.getrandbits(_FEATURES)))
    return (*steps[:index], step, *steps[index + 1 :])


_CHANGES = (_drop, _repeat, _splice, _splice, _bend, _bend)
