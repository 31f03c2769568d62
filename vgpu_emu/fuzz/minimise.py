"""A program that fails, made small: as few steps as can be, then as plain as can be."""

from collections.abc import Callable, Iterator
from itertools import combinations

from msgspec.structs import replace

from vgpu_emu.fuzz.actions import Call, Elapse, Program, Send, Step
from vgpu_emu.fuzz.joining import with_one_context, with_one_stream, with_shorter_stream
from vgpu_emu.fuzz.model.setup import PAGE
from vgpu_emu.fuzz.plainer import Fails, plain_setup, plainer
from vgpu_emu.fuzz.retelling import as_calls
from vgpu_emu.fuzz.trial import commands

#: how often a program may be tried
TRIES = 3000
Steps = tuple[Step, ...]


class _Budget:
    def __init__(self, fails: Fails, tries: int) -> None:
        self._fails = fails
        self.left = tries

    def __call__(self, program: Program) -> bool:
        self.left -= 1
        return self.left >= 0 and self._fails(program)


def minimise(program: Program, fails: Fails, tries: int = TRIES) -> Program:
    """The program, as small as it still fails."""
    fails = _Budget(fails, tries)
    before = None
    while program != before:
        before = program
        program = _joined(_fewest(program, fails), fails, with_one_context)
        program = _without_two(_joined(program, fails, with_one_stream), fails)
        program = _waiting(_renumbered(program, fails), fails)
        # a step that is plain may need others no more
        program = _fewest(plainer(plain_setup(program, fails), fails), fails)
        program = _otherwise(_joined(program, fails, with_shorter_stream), fails)
    return program


def _fewest(program: Program, fails: Fails) -> Program:
    size = -1
    while size != len(program.steps):
        size = len(program.steps)
        program = _fewer(program, fails)
    return program


def _fewer(program: Program, fails: Fails) -> Program:
    """Without pieces: halves first, then smaller ones, down to single steps, from the end."""
    piece = len(program.steps)
    while piece:
        start = len(program.steps) - piece
        while start > -piece:
            steps = program.steps[: max(start, 0)] + program.steps[start + piece :]
            smaller = Program(program.setup, steps)
            if len(steps) < len(program.steps) and fails(smaller):
                program = smaller
            start -= piece
        piece //= 2
    return program


def _joined(program: Program, fails: Fails, ways: Callable[[Program], Iterator[Program]]) -> Program:
    """In the first of the ways in which it still fails, as often as there is one."""
    while (joined := next((way for way in ways(program) if fails(way)), None)) is not None:
        program = joined
    return program


#: microseconds
_LONG = 999


def _waiting(program: Program, fails: Fails) -> Program:
    """With time in the place of a command that is only there because it takes some."""
    for place, step in enumerate(program.steps):
        waits = Program(program.setup, (*program.steps[:place], Elapse(_LONG), *program.steps[place + 1 :]))
        if isinstance(step, Call | Send) and fails(waits):
            return _waiting(_fewest(waits, fails), fails)
    return program


#: commands that are read at once
_AT_ONCE = 8
#: what a program of many commands may fill, and what one of the things takes: a place, or a page
_ROOM = {
    **dict.fromkeys(("resources", "contexts", "objects", "fences"), 1),
    **dict.fromkeys(("host_visible", "host_memory", "object_bytes"), PAGE),
}


def _otherwise(program: Program, fails: Fails) -> Program:
    """A long program: as calls of a guest program, or on a device that is full sooner, if that is shorter."""
    if commands(program) <= _AT_ONCE:
        return program
    for other in _others(program):
        if fails(other) and commands(fewer := _fewest(other, fails)) < commands(program):
            return fewer
    return program


def _others(program: Program) -> Iterator[Program]:
    if not any(isinstance(step, Call) for step in program.steps):
        yield as_calls(program)
    for name, unit in _ROOM.items():
        for room in range(1, 5):
            yield Program(replace(program.setup, **{name: room * unit}), program.steps)


#: a program of more steps has too many pairs
_FEW = 16


def _without_two(program: Program, fails: Fails) -> Program:
    """Without two steps that are of no use but for each other."""
    pairs = combinations(range(len(program.steps)), 2) if len(program.steps) <= _FEW else ()
    for pair in pairs:
        steps = tuple(step for place, step in enumerate(program.steps) if place not in pair)
        if fails(smaller := Program(program.setup, steps)):
            return _without_two(smaller, fails)
    return program


def _renumbered(program: Program, fails: Fails) -> Program:
    """Without a step that made something, where later calls then mean what had the next number."""
    for place in range(len(program.steps)) if len(program.steps) <= _FEW else ():
        for rest in _counted_on(program.steps[place + 1 :]):
            smaller = Program(program.setup, (*program.steps[:place], *rest))
            if fails(smaller):
                return _renumbered(smaller, fails)
    return program


def _counted_on(steps: Steps) -> Iterator[Steps]:
    """All calls mean the one before; or one of them does."""
    before = tuple(_before(step) for step in steps)
    changed = [place for place, step in enumerate(steps) if before[place] != step]
    if len(changed) > 1:
        yield before
    yield from ((*steps[:place], before[place], *steps[place + 1 :]) for place in changed)


def _before(step: Step) -> Step:
    if not isinstance(step, Call) or not any(step.numbers[:1]):
        return step
    return Call(step.name, (step.numbers[0] - 1, *step.numbers[1:]))
