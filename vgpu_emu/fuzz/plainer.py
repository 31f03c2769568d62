"""A program that fails, made plain: what is unusual about its device and its steps, and is not needed, is not there."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from msgspec.structs import asdict, replace

from vgpu_emu.fuzz.actions import Call, Elapse, Program, Reset, Send, Step
from vgpu_emu.fuzz.boundary import FIELDS, Field
from vgpu_emu.fuzz.model.setup import Setup, with_needs
from vgpu_wire.device import Feature

Fails = Callable[[Program], bool]


def plain_setup(program: Program, fails: Fails) -> Program:
    """On the usual device, or on one that is unusual in fewer things."""
    default = Setup()
    if fails(Program(default, program.steps)):
        return Program(default, program.steps)
    for name, value in asdict(default).items():
        other = Program(replace(program.setup, **{name: value}), program.steps)
        if other != program and fails(other):
            program = other
    return program


def plainer(program: Program, fails: Fails) -> Program:
    """With steps that are unusual in fewer things."""
    for index in range(len(program.steps)):
        for change in _changes(program.steps[index]):
            step = change(program.steps[index])
            other = Program(program.setup, (*program.steps[:index], step, *program.steps[index + 1 :]))
            if other != program and fails(other):
                program = other
    return program


Change = Callable[[Any], Step]
#: numbers of a call below this one say something to a reader: so many things that it chooses from can be counted
_LOW = 12


def _changes(step: Step) -> Iterator[Change]:
    """Each makes one thing less that is unusual about the step."""
    if isinstance(step, Send):
        yield lambda send: replace(send, capacity=2048)
        yield from (partial(_zeroed, field) for field in FIELDS.get(int.from_bytes(step.data[:4], "little"), ()))
    elif isinstance(step, Call):
        yield from (partial(_shorter, length) for length in range(len(step.numbers)))
        yield from (partial(_lower, place, value) for place in range(len(step.numbers)) for value in range(_LOW))
    elif isinstance(step, Reset) and step.features is not None:
        yield lambda _reset: Reset()
        yield from (partial(_knowing, feature) for feature in Feature)
    elif isinstance(step, Elapse):
        yield from (partial(_at_most, microseconds) for microseconds in (1_000_000, 1000, 1, 0))


def _zeroed(field: Field, send: Send) -> Step:
    end = field.offset + field.size
    if len(send.data) < end:
        return send
    return replace(send, data=send.data[: field.offset] + bytes(field.size) + send.data[end:])


def _shorter(length: int, call: Call) -> Step:
    return replace(call, numbers=call.numbers[:length])


def _lower(place: int, value: int, call: Call) -> Step:
    numbers = (*call.numbers[:place], value, *call.numbers[place + 1 :])
    return Call(call.name, numbers) if call.numbers[place : place + 1] > (value,) else call


def _knowing(feature: Feature, reset: Reset) -> Step:
    return Reset(None if reset.features is None else with_needs(reset.features | 1 << feature))


def _at_most(microseconds: int, elapse: Elapse) -> Step:
    return Elapse(min(microseconds, elapse.microseconds))
