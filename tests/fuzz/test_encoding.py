"""Programs as bytes: nothing is lost, and any bytes are a program."""

from random import Random

import pytest
from test_core import made

from vgpu_emu.fuzz.actions import Program, Reset, Restart, Send
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.encoding import MAX_BYTES, MAX_STEPS, decode, encode
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.setup import Setup, displays
from vgpu_wire.blob import ResourceMapBlob


@pytest.mark.parametrize("seed", range(30))
def test_program_in_bytes_is_the_same_program(seed: int) -> None:
    program = made(seed)
    assert program.steps
    assert decode(encode(program)) == program


def test_reset_by_a_driver_that_knows_less_has_bytes_of_its_own() -> None:
    plain = Program(Setup(), (Reset(), Restart()))
    # as it was written before drivers could know less
    assert encode(plain) == bytes([0, 0, 31, 30])
    for features in (0, 0x09, 0x2A):
        less = Program(Setup(), (Reset(features), Restart()))
        assert decode(encode(less)) == less


def test_reset_of_any_bytes_leaves_out_what_lacks_what_it_needs() -> None:
    (start,) = {encode(Program(Setup(), (Reset(0),)))[:-1]}
    assert decode(start + bytes([0x3E])).steps == (Reset(0x2E),)
    assert decode(start).steps == (Reset(0),)


def test_command_takes_few_bytes() -> None:
    program = Program(Setup(), (Send(ResourceMapBlob(resource_id=5, offset=0x10000).build()),))
    assert len(encode(program)) <= 12


@pytest.mark.parametrize("seed", range(60))
def test_any_bytes_are_a_program_that_runs(seed: int) -> None:
    rng = Random(seed)
    data = bytearray(encode(made(seed)) if seed % 2 else rng.randbytes(200))
    for _ in range(seed % 7):
        data[rng.randrange(len(data))] = rng.randrange(256)
    program = decode(bytes(data))
    core = Core(program.setup)
    try:
        core.run(program)
    except Finding as finding:
        pytest.fail(f"{finding} in {program}")
    finally:
        core.close()


def test_long_bytes_are_read_whole_up_to_so_many_steps() -> None:
    assert len(decode(bytes([0, 0] + [29] * (MAX_BYTES - 2))).steps) == MAX_STEPS
    full = bytes([0, 0]) + bytes([26, 0, 0]) + b"\xff\xff\x7f" + bytes(MAX_BYTES)
    (step, *_) = decode(full).steps
    assert isinstance(step, Send)
    assert len(step.data) == MAX_BYTES


def test_displays_that_bytes_cannot_say_are_refused() -> None:
    with pytest.raises(ValueError, match="displays"):
        encode(Program(Setup(scanouts=((1, 1),)), ()))


@pytest.mark.parametrize("number", [1, 2, 3, 16])
def test_programs_have_from_one_to_16_displays(number: int) -> None:
    setup = Setup(scanouts=displays(number), memory=1 << 20)
    assert decode(encode(Program(setup, ()))).setup == setup


@pytest.mark.parametrize("number", [0, 17])
def test_no_other_number_of_displays_has_bytes(number: int) -> None:
    with pytest.raises(ValueError, match="up to 16"):
        encode(Program(Setup(scanouts=((64, 48),) * number), ()))
