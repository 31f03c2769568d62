"""A corpus: a directory of programs as bytes, each in a file named by the SHA-1 of its content, as libFuzzer has it.

So a corpus can be merged by copying, shared by many campaigns, and used by an engine. Scenarios that the reference
watches are programs, too, whatever their files are called.
"""

import os
from collections.abc import Iterable
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple

from vgpu_emu.fuzz.encoding import MAX_BYTES, encode
from vgpu_emu.fuzz.reading import program_of
from vgpu_emu.scenario.loading import SUFFIX, load

_HEX = frozenset("0123456789abcdef")


class Read(NamedTuple):
    """programs: in the order of their names. wrong: (file, what is wrong with it) of those that were left out."""

    programs: list[bytes]
    wrong: list[tuple[Path, str]]


def name_of(program: bytes) -> str:
    return sha1(program, usedforsecurity=False).hexdigest()


def read(directory: Path) -> Read:
    """The programs of a directory; one that is not there has none. Raises OSError if it cannot be listed."""
    found = Read([], [])
    if not directory.exists():
        return found
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.is_dir():
            continue
        wrong = _wrong(path, found.programs)
        if wrong:
            found.wrong.append((path, wrong))
    return found


def _wrong(path: Path, programs: list[bytes]) -> str:
    """Add the file to the programs, or say why not."""
    if path.name.endswith(SUFFIX):
        return _wrong_scenario(path, programs)
    if len(path.name) != 40 or not _HEX.issuperset(path.name):
        return "its name is no SHA-1"
    try:
        if path.stat().st_size > MAX_BYTES:
            return f"it has more than {MAX_BYTES} bytes"
        data = path.read_bytes()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if name_of(data) != path.name:
        return "its content is not what its name says"
    programs.append(data)
    return ""


def _wrong_scenario(path: Path, programs: list[bytes]) -> str:
    """The same of a scenario file."""
    try:
        programs += [encode(program_of(scenario)) for scenario in load(path)]
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    except ValueError as wrong:
        return str(wrong)
    return ""


def save(directory: Path, programs: Iterable[bytes]) -> int:
    """Add programs; how many are new. Each is there whole or not at all. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    new = 0
    for data in programs:
        path = directory / name_of(data)
        if not path.exists():
            write_whole(path, data)
            new += 1
    return new


def write_whole(path: Path, data: bytes) -> None:
    """A file that has its content when it has its name. Raises OSError."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_bytes(data)
        half.replace(path)
    except OSError:
        half.unlink(missing_ok=True)
        raise
