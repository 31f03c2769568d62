"""What a server writes about its guests while they run: the trace, captures, screenshots. What fails is given up."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import trio

from vgpu_emu.assembly import Config
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.peers.backend import Backend, Transport
from vgpu_emu.peers.screenshots import Screenshots
from vgpu_emu.trace.ladder import Rung
from vgpu_emu.trace.live import LiveLog, Sink, ladder
from vgpu_emu.trace.log import QUEUE_NUMBERS, VMM, Event, Message, Note
from vgpu_emu.trace.logfile import event_line, header_line
from vgpu_emu.trace.recorder import Recorder

#: notes after which nothing is as it was: the driver, or the VMM, has reset the device; the connection has ended
RESET, GONE = "reset", "disconnected"
#: the note with which the log of a guest's device starts
ASSEMBLED = "assembled"

#: note -> what is said of it, and which of its values says why
_FATAL = {
    "needs_reset": ("the device needs a reset", "reason"),
    "memory_not_shared": ("the VMM does not share the guest's memory", "hint"),
    "device_dead": ("the VMM that is modelled has died", "at"),
}

Say = Callable[[str], None]
#: the runs of a server, a guest each, as the bytes of a file
Render = Callable[[Mapping[str, Sequence[Event]]], bytes]
#: what is kept for a file that is written as a whole: events, and bytes of messages
MAX_EVENTS, MAX_BYTES = 50_000, 1 << 26


class Captures:
    """A sink that writes a file for each life of the device, from a reset to the next: to be replayed by itself.

    The first has the name that was asked for, the others a number in it: ``run.jsonl``, ``run.2.jsonl``.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError if it cannot be written."""
        self._path = path
        self._lives = 1
        # a line at a time: whoever looks on sees it, and an error is that of the line
        self._file: BinaryIO | None = path.open("wb", buffering=0)
        self._recorder: Recorder | None = None

    def __call__(self, event: Event) -> None:
        """Raises OSError."""
        if isinstance(event, Message):
            if event.link not in QUEUE_NUMBERS:
                return
            if self._recorder is None:
                self._recorder = Recorder(self._open())
            self._recorder(event)
        elif event.name in {RESET, GONE} and self._recorder is not None:
            self.finish()

    def _open(self) -> BinaryIO:
        if self._file is None:
            self._lives += 1
            self._file = self._path.with_suffix(f".{self._lives}{self._path.suffix}").open("wb", buffering=0)
        return self._file

    def finish(self) -> None:
        """The end of a life: what was not answered will not be. Raises OSError."""
        recorder, file = self._recorder, self._file
        self._recorder = self._file = None
        try:
            if recorder is not None:
                recorder.finish()
        finally:
            if file is not None:
                file.close()


class EventLog:
    """A sink that writes everything, as `vgpu_emu.trace.logfile` has it: a run for each guest."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if it cannot be written."""
        self._file = path.open("wb", buffering=0)
        self._guests = 0

    def __call__(self, event: Event) -> None:
        """Raises OSError."""
        if isinstance(event, Note) and event.name == ASSEMBLED:
            self._guests += 1
            self._file.write(header_line(f"guest {self._guests}"))
        self._file.write(event_line(event))

    def finish(self) -> None:
        self._file.close()


class Pages:
    """A sink for a format that is written as a whole: anew whenever a guest has gone, and at the end.

    It keeps the first MAX_EVENTS events and MAX_BYTES bytes of messages, and says what is left out.
    """

    def __init__(self, path: Path, render: Render, say: Say) -> None:
        """Raises OSError if it cannot be written."""
        path.open("wb").close()
        self._path = path
        self._render = render
        self._say = say
        self._runs: dict[str, list[Event]] = {}
        self._run: list[Event] = []
        self._events = self._bytes = self._left_out = 0
        self._is_written = True

    def __call__(self, event: Event) -> None:
        """Raises OSError."""
        if isinstance(event, Note) and event.name == ASSEMBLED:
            self._run = self._runs[f"guest {len(self._runs) + 1}"] = []
        self._keep(event)
        if isinstance(event, Note) and event.name == GONE:
            self.finish()

    def _keep(self, event: Event) -> None:
        size = len(event.data) if isinstance(event, Message) else 0
        self._is_written = False
        if self._left_out or self._events >= MAX_EVENTS or self._bytes + size > MAX_BYTES:
            self._left_out += 1
            return
        self._events += 1
        self._bytes += size
        self._run.append(event)

    def finish(self) -> None:
        """Raises OSError."""
        if self._is_written:
            return
        self._is_written = True
        self._path.write_bytes(self._render(self._runs))
        if self._left_out:
            left_out = f"{self._left_out} more are left out (--log has all, for vgpu-emu convert)"
            self._say(f"{self._path.name} has the first {self._events} events, {left_out}")


class Outlets:
    """For all guests of a server. A context manager: files are complete at its end.

    say: a line for the user. trace: takes the ladder's rungs. screenshots: a directory that exists. pages: what a
    file is called for the user -> where it goes, and what is written there.
    """

    def __init__(
        self,
        say: Say,
        *,
        trace: Callable[[Rung], None] | None = None,
        log: Path | None = None,
        capture: Path | None = None,
        screenshots: Path | None = None,
        pages: Mapping[str, tuple[Path, Render]] = MappingProxyType({}),
    ) -> None:
        """Raises OSError if one of the files cannot be written."""
        self.say = say
        self.screenshots = screenshots
        self.log = LiveLog(trio.current_time)
        self._files: dict[str, EventLog | Captures | Pages] = {
            name: Pages(path, render, say) for name, (path, render) in pages.items()
        }
        if trace is not None:
            self._add("the trace", ladder(trace))
        if log is not None:
            self._files["the log"] = EventLog(log)
        if capture is not None:
            self._files["the capture"] = Captures(capture)
        for name, file in self._files.items():
            self._add(name, file)

    def __enter__(self) -> "Outlets":
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._files):
            try:
                self._finish(name)
            except OSError as error:
                self.failed(name, error)

    def _finish(self, name: str) -> None:
        """Raises OSError."""
        if (file := self._files.pop(name, None)) is not None:
            file.finish()

    def complain(self, note: Note) -> None:
        """Tell the user of what a guest does not get over."""
        if note.name in _FATAL:
            what, why = _FATAL[note.name]
            self.say(f"{what}: {note.values[why]}")

    def _add(self, name: str, write: Sink) -> None:
        def sink(event: Event) -> None:
            try:
                write(event)
            except OSError as error:
                self.log.sinks.remove(sink)
                self.failed(name, error)
                with suppress(OSError):
                    self._finish(name)

        self.log.sinks.append(sink)

    def failed(self, name: str, error: OSError) -> None:
        self.say(f"cannot write {name} any more: {error.strerror}")


@asynccontextmanager
async def open_backend(
    config: Config, outlets: Outlets, transport: Transport, region: HostVisibleRegion | None = None
) -> AsyncGenerator[Backend, None]:
    """A guest's device, with all the tasks that belong to it."""
    log = outlets.log
    log.listeners.append(outlets.complain)
    backend = Backend(config, log, transport, region)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(backend.run)
            if outlets.screenshots is not None:
                _take_pictures(outlets, outlets.screenshots, backend, nursery)
            try:
                yield backend
            finally:
                nursery.cancel_scope.cancel()
    finally:
        log.note(VMM, GONE)
        log.listeners.clear()
        backend.close()


def _take_pictures(outlets: Outlets, directory: Path, backend: Backend, nursery: trio.Nursery) -> None:
    pictures = Screenshots(directory, backend, partial(outlets.failed, "a screenshot"))

    def last_chance(note: Note) -> None:
        if note.name in {RESET, GONE}:
            pictures.flush()

    outlets.log.listeners.append(last_chance)
    nursery.start_soon(pictures.run)
