"""The event log on disk: JSON lines, a header and then an event a line; every other header starts another run.

Bytes are hex, so that grep finds a resource id in them. A file is somebody else's until it was read whole: every line
has a type, nothing unknown is skipped, and size, lines and events have limits.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader
from typing import Annotated, Any, BinaryIO, Literal

import msgspec
from msgspec import Meta

from vgpu_emu.trace.log import Event, Message, Note

Schema = Literal[1]
SCHEMA: Schema = 1
#: bytes of a line without its end: the longest command that QEMU submits, 16 MiB, fits as hex
MAX_LINE = 1 << 26
#: bytes of a file
MAX_FILE = 1 << 28
#: events of all runs in a file
MAX_EVENTS = 1 << 20
#: of a clock that starts in 1970, in the year 2286
MAX_SECONDS = 1e10

Seconds = Annotated[float, Meta(ge=0, le=MAX_SECONDS, description="since the run began")]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Hex = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{2})*$", description="bytes, two lower case digits each")]


class LogError(ValueError):
    """A file that is no event log. path: ``FILE:LINE``. detail: what is wrong."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path = path
        self.detail = detail


class Header(msgspec.Struct, frozen=True, tag="log", forbid_unknown_fields=True):
    """The first line of a run. schema: of all lines, 1. run: its name, where a file has several."""

    schema: Schema
    run: str = ""


class MessageLine(msgspec.Struct, frozen=True, tag="message", forbid_unknown_fields=True, omit_defaults=True):
    """Bytes that crossed a link. link: controlq, cursorq, renderer, fences. sender, receiver: guest, vmm, host.

    head: the descriptor chain, on a virtqueue. capacity: device-writable bytes of a request. fds: the numbers, in the
    receiver's table, of descriptors passed beside the bytes.
    """

    seconds: Seconds
    link: str
    sender: str
    receiver: str
    data: Hex
    head: Count = 0
    capacity: Count = 0
    fds: tuple[Count, ...] = ()


class NoteLine(msgspec.Struct, frozen=True, tag="note", forbid_unknown_fields=True):
    """What a party did and no message shows. name: guessed, pgprot, refused ... values: what belongs to it."""

    seconds: Seconds
    who: str
    name: str
    values: dict[str, Any]


Line = Header | MessageLine | NoteLine
#: name of a run -> its events
Runs = Mapping[str, Sequence[Event]]

_HEADER = re.compile(rb'\s*\{[^{}]*"type"\s*:\s*"log"')
_encode = msgspec.json.Encoder(enc_hook=str).encode
_decode = msgspec.json.Decoder(Line).decode


def schema() -> dict[str, Any]:
    """The JSON schema of a line."""
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A line of vgpu-emu's event log"}
    return title | msgspec.json.schema(Line)


def log_lines(runs: Runs) -> Iterator[bytes]:
    """The lines of a file with these runs."""
    for name, events in runs.items():
        yield header_line(name)
        yield from map(event_line, events)


def header_line(run: str = "") -> bytes:
    return _encode(Header(SCHEMA, run)) + b"\n"


def event_line(event: Event) -> bytes:
    return _encode(_line(event)) + b"\n"


def _line(event: Event) -> Line:
    if isinstance(event, Note):
        return NoteLine(event.seconds, event.who, event.name, event.values)
    data = event.data.hex()
    ends = (event.link, event.sender, event.receiver)
    return MessageLine(event.seconds, *ends, data, event.head, event.capacity, event.fds)


def _event(line: MessageLine | NoteLine) -> Event:
    if isinstance(line, NoteLine):
        return Note(line.seconds, line.who, line.name, line.values)
    data = bytes.fromhex(line.data)
    ends = (line.link, line.sender, line.receiver)
    return Message(line.seconds, *ends, data, line.head, line.capacity, line.fds)


def says_log(stream: BinaryIO) -> bool:
    """Whether a file that is about to be read starts with the header of an event log. One that cannot be peeked into
    does not say so."""
    return isinstance(stream, BufferedReader) and _HEADER.match(stream.peek(1)) is not None


def read_log(
    stream: BinaryIO, name: str, *, max_line: int = MAX_LINE, max_file: int = MAX_FILE, max_events: int = MAX_EVENTS
) -> dict[str, list[Event]]:
    """The runs of a log, by name; runs of the same name get a number. name: of the file, for errors.

    Raises LogError, and OSError of the stream.
    """
    runs: dict[str, list[Event]] = {}
    events: list[Event] | None = None
    count = 0
    for path, text in _texts(stream, name, max_line, max_file):
        line = _parsed(path, text)
        if isinstance(line, Header):
            events = runs.setdefault(_unused(line.run, runs), [])
        elif events is None:
            raise LogError(path, 'an event before any header: the first line of a log is {"type":"log","schema":1}')
        else:
            events.append(_event(line))
        count += not isinstance(line, Header)
        if count > max_events or len(runs) > max_events:
            raise LogError(path, f"more than {max_events} events")
    if not runs:
        raise LogError(name, "no header and no events")
    return runs


def _texts(stream: BinaryIO, name: str, max_line: int, max_file: int) -> Iterator[tuple[str, bytes]]:
    """Where each line is that is not empty, and what it says."""
    size = 0
    for number, text in enumerate(iter(lambda: stream.readline(max_line + 2), b""), 1):
        path = f"{name}:{number}"
        size += len(text)
        if len(text.rstrip(b"\r\n")) > max_line:
            raise LogError(path, f"the line is longer than {max_line} bytes")
        if size > max_file:
            raise LogError(path, f"the file is longer than {max_file} bytes")
        if text.strip():
            yield path, text


def _parsed(path: str, text: bytes) -> Line:
    try:
        line: Line = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LogError(path, str(error)) from None
    return line


def _unused(name: str, runs: Runs) -> str:
    """The name, with a number if it is taken."""
    number, free = len(runs) + 1, name
    while free in runs:
        free, number = f"{name} ({number})".strip(), number + 1
    return free
