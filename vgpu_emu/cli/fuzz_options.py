"""What the commands around fuzzing have in common: what programs run on, and files of programs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from vgpu_emu.cli.choices import known
from vgpu_emu.cli.profiles import named_profile
from vgpu_emu.cli.scenario_files import load_scenarios
from vgpu_emu.cli.style import many, printable
from vgpu_emu.cli.usage import UsageError, complain
from vgpu_emu.fuzz.actions import Program
from vgpu_emu.fuzz.corpus import Read, read
from vgpu_emu.fuzz.defect import DefectError
from vgpu_emu.fuzz.encoding import decode
from vgpu_emu.fuzz.oracles import DEVICE
from vgpu_emu.fuzz.reading import ReadError, program_of
from vgpu_emu.fuzz.targets import TARGETS
from vgpu_emu.fuzz.trial import Conditions
from vgpu_emu.scenario.loading import MAX_FILE, SUFFIX
from vgpu_emu.scenario.records import Scenario


def conditions_of(target: str, profile: str | None, defects: list[str]) -> Conditions:
    """Raises UsageError for a name that means nothing."""
    known("target", target, TARGETS)
    if target == DEVICE:
        raise UsageError("--target device: say which, with --device vhost-user:PATH")
    return Conditions(
        target=target,
        profile=None if profile is None else named_profile(profile),
        defects=tuple(named_defect(name) for name in defects),
    )


def on_device(device: str, command: str | None, profile: str | None, patience: float | None) -> Conditions:
    """Programs on a device that is not ours. Raises UsageError, also if it is not there."""
    from vgpu_emu.cli.devices import device_source, no_device, patience_of
    from vgpu_emu.fuzz.outside import Outside, meet
    from vgpu_emu.peers.front.errors import DeviceError
    from vgpu_emu.peers.front.source import CommandError

    seconds = patience_of(patience)
    source = device_source(device, command)
    try:
        met = meet(Outside(source, seconds))
    except (DeviceError, CommandError) as error:
        raise no_device(error, source) from None
    return Conditions(target="device", profile=None if profile is None else named_profile(profile), device=met)


def named_defect(name: str, option: str = "--defect") -> type:
    """A shipped defect, or one of a file: path/to/file.py:NAME. Raises UsageError."""
    from vgpu_emu.fuzz.defects.loading import load

    with planting(option):
        return load(name)


@contextmanager
def planting(option: str = "--defect") -> Iterator[None]:
    """A defect that cannot be planted, also later, is the user's mistake. Raises UsageError."""
    try:
        yield
    except DefectError as wrong:
        raise UsageError(f"{option} {printable(str(wrong))}") from None


def read_corpus(directory: Path) -> list[bytes]:
    """The programs of a corpus; what is none is told on stderr. Raises UsageError."""
    return _told(directory, _read(directory))


def needed_corpus(directory: Path) -> list[bytes]:
    """The same of one that has a program. Raises UsageError."""
    found = _read(directory)
    if not found.programs:
        why = f" ({_left_out(directory, found.wrong)})" if found.wrong else ""
        raise UsageError(f"there is no program in {printable(str(directory))}{why}; vgpu-emu fuzz --corpus makes some")
    return _told(directory, found)


def _told(directory: Path, found: Read) -> list[bytes]:
    if found.wrong:
        complain(_left_out(directory, found.wrong))
    return found.programs


def _read(directory: Path) -> Read:
    try:
        return read(directory)
    except OSError as error:
        raise UsageError(f"cannot read {printable(str(directory))}: {error.strerror}") from None


#: files that are left out of a corpus and named
_NAMED = 3


def _left_out(directory: Path, wrong: Sequence[tuple[Path, str]]) -> str:
    """In one line: how many files, and which, if they are few."""
    named = ", ".join(f"{printable(path.name)} ({printable(why)})" for path, why in wrong[:_NAMED])
    more = f", and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
    return f"{printable(str(directory))}: {many(len(wrong), 'file')} left out: {named}{more}"


class Programmed(NamedTuple):
    """A program of a file. scenario: what the file is, if it is no bytes."""

    program: Program
    scenario: Scenario | None = None


def read_program(file: Path) -> Programmed:
    """A program as bytes, or as a scenario. Raises UsageError."""
    if file.name.endswith(SUFFIX):
        return _read_scenario(file)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise UsageError(f"cannot read {printable(str(file))}: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise UsageError(f"{printable(str(file))} is no program: it has more than {MAX_FILE} bytes")
    return Programmed(decode(data))


def _read_scenario(file: Path) -> Programmed:
    """Of a file with several rows, the first."""
    scenario = load_scenarios(file)[0]
    try:
        return Programmed(program_of(scenario), scenario)
    except ReadError as wrong:
        raise UsageError(f"{printable(str(file))}: {printable(str(wrong))}") from None


def duration(text: str) -> float:
    """Seconds: 90, 90s, 10m, 2h. Raises UsageError."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--time {printable(text)}: a time above 0, such as 90s, 10m or 2h")
    return seconds


_UNITS = {"s": 1, "m": 60, "h": 3600}
