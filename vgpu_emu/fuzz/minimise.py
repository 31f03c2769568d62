"""A program that fails, made small: as few steps as can be, then as plain as can be."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any

from msgspec.structs import asdict, replace

from vgpu_emu.fuzz.actions import Call, Elapse, Program, Send, Step
from vgpu_emu.fuzz.boundary import FIELDS, Field
from vgpu_emu.fuzz.model.world import Setup
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.render import CmdSubmit

_SUBMIT = CtrlType.SUBMIT_3D.value.to_bytes(4, "little")
_HEADER, _STREAM_AT = CtrlHdr.layout.size, CmdSubmit.layout.size
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
        program = _without_two(_joined(_fewest(program, fails), fails), fails)
        program = _renumbered(program, fails)
        # a step that is plain may need others no more
        program = _fewest(_plainer(_plain_setup(program, fails), fails), fails)
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


def _joined(program: Program, fails: Fails) -> Program:
    """With the command streams of a context in one, where the first of them is."""
    index = 0
    while index < len(program.steps):
        later = next((at for at in range(index + 1, len(program.steps)) if _both(program.steps, index, at)), None)
        if later is None or not fails(joined := _with_both(program, index, later)):
            index += 1
        else:
            program = joined
    return program


def _stream(step: Step) -> bytes:
    """The context and the stream of a SUBMIT_3D; empty: it is none."""
    return step.data if isinstance(step, Send) and step.data[:4] == _SUBMIT and len(step.data) >= _STREAM_AT else b""


def _both(steps: Sequence[Step], first: int, second: int) -> bool:
    one, other = _stream(steps[first]), _stream(steps[second])
    return bool(one) and one[16:20] == other[16:20]


def _with_both(program: Program, first: int, second: int) -> Program:
    one, other = program.steps[first], program.steps[second]
    assert isinstance(one, Send)
    assert isinstance(other, Send)
    stream = one.data[_STREAM_AT:] + other.data[_STREAM_AT:]
    data = one.data[:_HEADER] + len(stream).to_bytes(4, "little") + bytes(4) + stream
    between = program.steps[first + 1 : second] + program.steps[second + 1 :]
    return Program(program.setup, (*program.steps[:first], replace(one, data=data), *between))


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
    """Without a step that made something, where a later call then means what had the next number."""
    places = range(len(program.steps)) if len(program.steps) <= _FEW else ()
    for place, later in combinations(places, 2):
        call = program.steps[later]
        if not isinstance(call, Call) or not any(call.numbers[:1]):
            continue
        call = Call(call.name, (call.numbers[0] - 1, *call.numbers[1:]))
        steps = (*program.steps[:place], *program.steps[place + 1 : later], call, *program.steps[later + 1 :])
        if fails(smaller := Program(program.setup, steps)):
            return _renumbered(smaller, fails)
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
