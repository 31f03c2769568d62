"""``vgpu-emu minimize``: a program that shows a finding, made as small as it can be."""

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from msgspec.structs import replace

from vgpu_emu.cli.fuzz_options import conditions_of, on_device, planting, read_program
from vgpu_emu.cli.output import write_file
from vgpu_emu.cli.program_text import listed
from vgpu_emu.cli.progress import teller
from vgpu_emu.cli.style import many, printable
from vgpu_emu.cli.together import refuse
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.bounded import bounded
from vgpu_emu.fuzz.encoding import encode
from vgpu_emu.fuzz.oracles import ORACLES
from vgpu_emu.fuzz.scenarios import head_of
from vgpu_emu.fuzz.targets import target as target_of
from vgpu_emu.fuzz.telling import tell
from vgpu_emu.fuzz.trial import Conditions, Found, TargetLostError
from vgpu_emu.fuzz.worker import minimised, shown
from vgpu_emu.scenario.loading import SUFFIX
from vgpu_emu.scenario.records import Scenario


def minimize(
    file: Path,
    /,
    *,
    output: Path | None = None,
    target: str | None = None,
    profile: str | None = None,
    defect: Annotated[list[str] | None, Parameter(negative=())] = None,
    device: str | None = None,
    command: str | None = None,
    patience: float | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Take away steps of a program, and what is unusual about them, as long as the same oracle says no.

    FILE is a finding of vgpu-emu fuzz, as a scenario or as bytes, a file of a corpus or an artifact of a fuzzing
    engine. The smaller program is listed, and written to FILE.min (x.min.vgpu.toml of x.vgpu.toml) or --output. It
    needs the same --defect that it was found with; bytes also the same --profile and --target, which a scenario has.

    Examples:

        vgpu-emu minimize crash-0a1b2c

        vgpu-emu minimize --defect my_defects.py:LosesFences findings/I20-29e5f0fb29bd0d74.vgpu.toml

    Parameters
    ----------
    file
        A program as a scenario with [oracles], or as bytes.
    output
        Where to write the smaller one; what ends in .vgpu.toml is written as a scenario.
    target
        What the program runs on; of bytes: core, if it is not said.
    profile
        The VMM that the device is; see: vgpu-emu profiles.
    defect
        Plant a defect: a shipped name, or path/to/file.py:NAME. Can be repeated.
    device
        vhost-user:PATH: the device that the program was found with; see: vgpu-emu fuzz --help
    command
        Starts that device, for each try anew; {socket} stands for the path.
    patience
        Seconds that the device has for each answer; 5 if it is not said.
    json_
        One JSON object instead of text.
    """
    program, scenario = read_program(file)
    if device is None:
        refuse({"--command": command, "--patience": patience}, "without --device")
        conditions = _conditions(scenario, target, profile, defect or [])
    else:
        refuse({"--target": target, "--defect": defect}, "with --device")
        conditions = on_device(device, command, profile, patience)
    with planting():
        found = _found(program, conditions)
        if found is None:
            raise UsageError(f"{printable(str(file))} shows no finding here: was it found with another --defect?")
        small = minimised(program, found, conditions, teller("minimize"))
        first, small, _ = shown(small, found, conditions)
    place = output or _beside(file)
    write_file(place, _written(place, small, first, conditions, scenario))
    if json_:
        print(msgspec.json.encode(_as_json(first, listed(small), str(place))).decode())
    else:
        print(f"{first.oracle} {ORACLES[first.oracle].title}: {printable(first.detail)}")
        for number, line in enumerate(listed(small)):
            print(f"{'>' if number == first.step else ' '} {number + 1:3} {printable(line)}")
        print(f"{many(len(program.steps), 'step')}, made {len(small.steps)}; written to {printable(str(place))}")
    return 0


def _found(program: Program, conditions: Conditions) -> Found | None:
    """Raises UsageError for a device that is gone."""
    with bounded():
        try:
            return target_of(conditions.target).run(program, conditions).found
        except TargetLostError as lost:
            raise UsageError(printable(str(lost))) from None


def _conditions(scenario: Scenario | None, target: str | None, profile: str | None, defects: list[str]) -> Conditions:
    """What the options say; else the file. Raises UsageError."""
    if scenario is not None:
        target, profile = target or scenario.oracles.target, profile or scenario.profile
    conditions = conditions_of(target or "core", profile, defects)
    # the reference is strict
    return replace(conditions, profile=None) if profile == "strict" else conditions


def _beside(file: Path) -> Path:
    """``x.min`` of ``x``, ``x.min.vgpu.toml`` of ``x.vgpu.toml``."""
    if not file.name.endswith(SUFFIX):
        return file.with_name(f"{file.name}.min")
    return file.with_name(f"{file.name.removesuffix(SUFFIX)}.min{SUFFIX}")


def _written(place: Path, program: Program, found: Found, conditions: Conditions, scenario: Scenario | None) -> bytes:
    """As the file's name says: a scenario, or bytes."""
    if not place.name.endswith(SUFFIX):
        return encode(program)
    name = scenario.id if scenario is not None else f"fuzz@{found.oracle.lower()}"
    source = scenario.source if scenario is not None else "vgpu-emu minimize"
    return tell(program, head_of(name, found, source, conditions)).encode()


def _as_json(first: Found, steps: list[str], file: str) -> dict[str, object]:
    return {
        "schema": 1,
        "oracle": first.oracle,
        "detail": first.detail,
        "step": first.step,
        "steps": steps,
        "file": file,
    }
