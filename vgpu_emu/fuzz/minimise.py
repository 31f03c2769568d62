"""A program that fails, made small: as few steps as can be, then as plain as can be."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from msgspec.structs import asdict, replace

from vgpu_emu.fuzz.actions import Call, Elapse, Program, Send, Step
from vgpu_emu.fuzz.boundary import FIELDS, Field
from vgpu_emu.fuzz.model.world import Setup

#: how often a program may be tried
TRIES = 3000
Fails = Callable[[Program], bool]


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
    size = -1
    while size != len(program.steps):
        size = len(program.steps)
        program = _fewer(program, fails)
    return _plainer(_plain_setup(program, fails), fails)


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


def _plain_setup(program: Program, fails: Fails) -> Program:
    default = Setup()
    if fails(Program(default, program.steps)):
        return Program(default, program.steps)
    for name, value in asdict(default).items():
        plainer = Program(replace(program.setup, **{name: value}), program.steps)
        if plainer != program and fails(plainer):
            program = plainer
    return program


def _plainer(program: Program, fails: Fails) -> Program:
    for index in range(len(program.steps)):
        for change in _changes(program.steps[index]):
            step = change(program.steps[index])
            plainer = Program(program.setup, (*program.steps[:index], step, *program.steps[index + 1 :]))
            if plainer != program and fails(plainer):
                program = plainer
    return program


Change = Callable[[Any], Step]


def _changes(step: Step) -> Iterator[Change]:
    """Each makes one thing less that is unusual about the step."""
    if isinstance(step, Send):
        yield lambda send: replace(send, capacity=2048)
        yield from (partial(_zeroed, field) for field in FIELDS.get(int.from_bytes(step.data[:4], "little"), ()))
    elif isinstance(step, Call):
        yield from (partial(_shorter, length) for length in range(len(step.numbers)))
    elif isinstance(step, Elapse):
        yield from (partial(_at_most, microseconds) for microseconds in (1_000_000, 1000, 1, 0))


def _zeroed(field: Field, send: Send) -> Step:
    end = field.offset + field.size
    if len(send.data) < end:
        return send
    return replace(send, data=send.data[: field.offset] + bytes(field.size) + send.data[end:])


def _shorter(length: int, call: Call) -> Step:
    return replace(call, numbers=call.numbers[:length])


def _at_most(microseconds: int, elapse: Elapse) -> Step:
    return Elapse(min(microseconds, elapse.microseconds))
