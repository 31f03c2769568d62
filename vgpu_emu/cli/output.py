"""What a command writes beside its data: pages, traces, pictures."""

import os
from collections.abc import Callable, Mapping, Sequence
from errno import EACCES, ENOTDIR
from importlib.util import find_spec
from pathlib import Path

from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.report.page import html
from vgpu_emu.report.perfetto import perfetto_of_runs
from vgpu_emu.report.story import Story
from vgpu_emu.trace.log import Event
from vgpu_emu.trace.logfile import log_lines


def write_html(file: Path, story: Story) -> None:
    """Raises UsageError if it cannot be written, or jinja2 is missing."""
    _write(file, "report", lambda: html(story).encode())


def write_perfetto(file: Path, runs: Mapping[str, Sequence[Event]]) -> None:
    """runs: name -> events. Raises UsageError if it cannot be written, or the package perfetto is missing."""
    _write(file, "perfetto", lambda: perfetto_of_runs(runs))


def write_log(file: Path, runs: Mapping[str, Sequence[Event]]) -> None:
    """An event log. runs: name -> events. Raises UsageError if it cannot be written."""
    write_file(file, b"".join(log_lines(runs)))


def write_file(file: Path, data: bytes) -> None:
    """Raises UsageError if it cannot be written."""
    try:
        file.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {printable(str(file))}: {error.strerror}") from None


def need_directories(given: Mapping[str, Path | None]) -> None:
    """For a command that makes directories, and writes there, when it is too late to ask for others. None is made yet.

    given: option -> directory. Raises UsageError.
    """
    for option, directory in given.items():
        if directory is not None and (why := _not_writable(directory)):
            raise UsageError(f"{option} {printable(str(directory))}: nothing can be written there: {why}")


def _not_writable(directory: Path) -> str:
    """Why not; what is not there can be made where the nearest of its parents can be written to."""
    there = directory
    try:
        while not there.exists():
            there = there.parent
        if not there.is_dir():
            return os.strerror(ENOTDIR)
    except OSError as error:
        return str(error.strerror)
    return "" if os.access(there, os.W_OK | os.X_OK) else os.strerror(EACCES)


def need_report() -> None:
    """For a command that writes a page when it is too late to ask for a package. Raises UsageError."""
    if find_spec("jinja2") is None:
        raise _no_package("jinja2", "report")


def _write(file: Path, extra: str, content: Callable[[], bytes]) -> None:
    try:
        data = content()
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        raise _no_package(package, extra) from None
    write_file(file, data)


def _no_package(package: str, extra: str) -> UsageError:
    return UsageError(f"no package {package}, which --{_OPTION[extra]} needs: pip install 'vgpu-emu[{extra}]'")


#: extra -> the option that needs it
_OPTION = {"report": "html", "perfetto": "perfetto"}
