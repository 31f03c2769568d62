"""``vgpu-emu minimize``: a program that shows a finding, made as small as it can be."""

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from vgpu_emu.cli.fuzz_options import conditions_of, on_device, read_program
from vgpu_emu.cli.output import write_file
from vgpu_emu.cli.program_text import listed
from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.fuzz.campaign import minimised, shown
from vgpu_emu.fuzz.encoding import encode
from vgpu_emu.fuzz.oracles import ORACLES
from vgpu_emu.fuzz.targets import target as target_of
from vgpu_emu.fuzz.trial import Found, TargetLostError


def minimize(
    file: Path,
    /,
    *,
    output: Path | None = None,
    target: str = "core",
    profile: str | None = None,
    defect: Annotated[list[str] | None, Parameter(negative=())] = None,
    device: str | None = None,
    command: str | None = None,
    patience: float = 5.0,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Take away steps of a program, and what is unusual about them, as long as the same oracle says no.

    FILE is a finding of vgpu-emu fuzz, a file of a corpus or an artifact of a fuzzing engine. The smaller program is
    listed, and written to FILE.min or --output. It needs the same --defect, --profile and --target that it was found
    with.

    Examples:

        vgpu-emu minimize crash-0a1b2c

        vgpu-emu minimize --defect my_defects.py:LosesFences findings/I20-29e5f0fb29bd0d74

    Parameters
    ----------
    file
        A program as bytes.
    output
        Where to write the smaller one.
    target
        What the program runs on.
    profile
        The VMM that the device is; see: vgpu-emu profiles.
    defect
        Plant a defect: a shipped name, or path/to/file.py:NAME. Can be repeated.
    device
        vhost-user:PATH: the device that the program was found with; see: vgpu-emu fuzz --help
    command
        Starts that device, for each try anew; {socket} stands for the path.
    patience
        Seconds that the device has for each answer.
    json_
        One JSON object instead of text.
    """
    if device is None:
        conditions = conditions_of(target, profile, defect or [])
    else:
        conditions = on_device(device, command, profile, patience)
    program, run = read_program(file), target_of(conditions.target).run
    try:
        found = run(program, conditions).found
    except TargetLostError as lost:
        raise UsageError(printable(str(lost))) from None
    if found is None:
        raise UsageError(f"{printable(str(file))} shows no finding here: was it found with another --defect?")
    small = minimised(program, found, conditions)
    first, small, _ = shown(small, found, conditions)
    place = output or file.with_name(f"{file.name}.min")
    write_file(place, encode(small))
    if json_:
        print(msgspec.json.encode(_as_json(first, listed(small), str(place))).decode())
    else:
        print(f"{first.oracle} {ORACLES[first.oracle].title}: {printable(first.detail)}")
        for number, line in enumerate(listed(small)):
            print(f"{'>' if number == first.step else ' '} {number + 1:3} {printable(line)}")
        print(f"{len(program.steps)} steps are {len(small.steps)}; written to {printable(str(place))}")
    return 0


def _as_json(first: Found, steps: list[str], file: str) -> dict[str, object]:
    return {
        "schema": 1,
        "oracle": first.oracle,
        "detail": first.detail,
        "step": first.step,
        "steps": steps,
        "file": file,
    }
