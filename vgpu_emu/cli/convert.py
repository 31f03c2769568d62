"""``vgpu-emu convert``: an event log, or a capture, in another format."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from cyclopts import Parameter

from vgpu_emu.cli.inputs import InputFile, input_name, read_input
from vgpu_emu.cli.output import write_file, write_html, write_perfetto
from vgpu_emu.cli.progress import progress
from vgpu_emu.cli.stories import log_story
from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import UsageError, complain
from vgpu_emu.report.mermaid import mermaid_of_runs
from vgpu_emu.trace.capture import Exchange, Unreadable, read_messages
from vgpu_emu.trace.exchanges import capture_of, events_of
from vgpu_emu.trace.ladder import timed_lines
from vgpu_emu.trace.logfile import Runs, read_log, says_log
from vgpu_emu.trace.pcapng import pcapng
from vgpu_emu.trace.qemu import qemu_lines

FormatName = Literal["pcapng", "ladder", "capture", "qemu", "mermaid", "perfetto", "html"]
#: bytes that take so long to read that one wonders
BIG = 1 << 25
#: runs that are listed where one has to be chosen
_SHOWN = 8
_SUFFIXES: Mapping[str, FormatName] = {
    ".pcapng": "pcapng",
    ".txt": "ladder",
    ".jsonl": "capture",
    ".trace": "qemu",
    ".mmd": "mermaid",
    ".pftrace": "perfetto",
    ".html": "html",
}


def convert(
    log: InputFile,
    out: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    format_: Annotated[FormatName | None, Parameter(name="--format")] = None,
    run: int | None = None,
) -> int:
    """Write an event log in another format.

    The format is that of OUT's suffix: .pcapng for Wireshark (see: vgpu-emu dissector), .txt the ladder, .jsonl a
    capture, for decode and replay, .trace the lines of QEMU's -trace 'virtio_gpu*', .mmd a Mermaid diagram, .pftrace a
    trace for ui.perfetto.dev, .html a page.

    Examples:

        vgpu-emu demo cache --log run.jsonl

        vgpu-emu convert run.jsonl run.pcapng

        vgpu-emu convert run.jsonl - --format ladder --run 2

        vgpu-emu convert capture.jsonl capture.html

    Parameters
    ----------
    log
        An event log, as --log FILE writes it; or what decode reads, a capture or hex. - is standard input.
    out
        The file to write; - is standard output.
    format_
        The format, whatever the suffix.
    run
        Only this run of the log, from 1.
    """
    chosen = format_ or _format_of(out)
    if out != "-" and Path(out).exists() and Path(log).exists() and Path(out).samefile(log):
        raise UsageError(f"{printable(out)} is the file that is read: give OUT another name")
    runs = _chosen(_read(log), run, input_name(log))
    if chosen == "capture" and len(runs) > 1:
        raise UsageError(f"a capture is one run, {input_name(log)} has {len(runs)}: {_listed(runs)}")
    target = Path("/dev/stdout") if out == "-" else Path(out)
    if chosen == "html":
        write_html(target, log_story(input_name(log), runs))
    elif chosen == "perfetto":
        write_perfetto(target, runs)
    else:
        count = sum(len(events) for events in runs.values())
        parts = progress(f"writing {chosen}", count, _WRITERS[chosen](runs))
        _print(parts) if out == "-" else write_file(target, b"".join(parts))
    return 0


def _format_of(out: str) -> FormatName:
    chosen = _SUFFIXES.get(Path(out).suffix)
    if chosen is None:
        known = ", ".join(f"{suffix} ({name})" for suffix, name in _SUFFIXES.items())
        what = "standard output has no suffix" if out == "-" else f"no format has the suffix of {printable(out)}"
        raise UsageError(f"{what}: use --format NAME, or one of {known}")
    return chosen


def _read(file: str) -> Runs:
    """The runs of the file. Raises UsageError at the first line that is neither a log's nor a capture's."""
    size = Path(file).stat().st_size if Path(file).is_file() else 0
    if size > BIG:
        complain(f"reading {size >> 20} MiB")
    read: list[Runs | Exchange | Unreadable] = list(read_input(file, _either))
    exchanges = []
    for item in read:
        if isinstance(item, Unreadable):
            raise UsageError(f"{item.path}: {item.detail}")
        if not isinstance(item, Exchange):
            return item
        exchanges.append(item)
    if not exchanges:
        raise UsageError(f"there is no event and no message in {input_name(file)}")
    return {"": list(events_of(exchanges))}


def _either(stream: BinaryIO, name: str) -> Iterator[Runs | Exchange | Unreadable]:
    if says_log(stream):
        yield read_log(stream, name)
    else:
        yield from read_messages(stream, name)


def _chosen(runs: Runs, number: int | None, name: str) -> Runs:
    if number is None:
        return runs
    if not 1 <= number <= len(runs):
        raise UsageError(f"no run {number} in {name}: {_listed(runs)}")
    return dict([list(runs.items())[number - 1]])


def _listed(runs: Runs) -> str:
    shown = [f"--run {number} is {printable(name) or 'unnamed'}" for number, name in islice(enumerate(runs, 1), _SHOWN)]
    return ", ".join(shown) + (f" ... up to --run {len(runs)}" if len(runs) > _SHOWN else "")


def _print(parts: Iterable[bytes]) -> None:
    if sys.stdout is None:
        raise UsageError("standard output is closed: name a file")
    sys.stdout.flush()
    for part in parts:
        sys.stdout.buffer.write(part)


def _ladder(runs: Runs) -> Iterator[bytes]:
    for name, events in runs.items():
        if name:
            yield f"{printable(name)}\n".encode()
        yield from (f"{printable(line)}\n".encode() for line in timed_lines(events))


_WRITERS: Mapping[str, Callable[[Runs], Iterable[bytes]]] = {
    "pcapng": pcapng,
    "ladder": _ladder,
    "capture": lambda runs: [capture_of(events) for events in runs.values()],
    "qemu": lambda runs: (f"{line}\n".encode() for events in runs.values() for line in qemu_lines(events)),
    "mermaid": lambda runs: [mermaid_of_runs(runs).encode()],
}
