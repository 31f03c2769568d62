"""Messages out of files: captures (a JSON object a line), hex, one message a line, hex dumps, and raw bytes.

A text is read line by line and no line may be longer than MAX_LINE, so a file of any size needs bounded memory. What
cannot be read is an item of its own, and the rest is read on.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, Literal

import msgspec

from vgpu_emu.trace.hextext import Dump, HexError, Row, bytes_from_hex, dump_row, last_row
from vgpu_wire.messages import is_response

#: bytes of a line without its end: a command of 16 MiB, the longest that QEMU submits, and its answer fit as hex
MAX_LINE = 1 << 26
#: bytes of a message, however it is written
MAX_MESSAGE = MAX_LINE // 2
#: of a recorder's clock, which may start in 1970; what is later than 2286 is as good as not recorded
MAX_SECONDS = 1e10

Direction = Literal["request", "response"]
REQUEST: Direction = "request"
RESPONSE: Direction = "response"


class NotTextError(ValueError):
    """There are NUL bytes where the first line should be: no text, or text of 16 bits a character."""


class Exchange(msgspec.Struct, frozen=True):
    """A request and its response; one of them may be empty. order: its number in the capture, else its line's, from 1.

    queue: ``controlq``, ``cursorq``; None: not known. cmd: what the recorder called it. capacity: device-writable bytes
    of the request; None: not recorded. seconds: when, by the recorder's clock; None: not recorded.
    """

    order: int
    queue: str | None = None
    cmd: str | None = None
    request: bytes = b""
    response: bytes = b""
    capacity: int | None = None
    seconds: float | None = None


class Unreadable(msgspec.Struct, frozen=True):
    """A line, or a message in it, that is neither hex nor JSON. direction: None where the line does not say it.

    kind: ``size``: longer than the limit. path: ``FILE:LINE``, and the key of a capture. offset: characters into that
    value, or into the line from where its white space ends.
    """

    order: int
    queue: str | None
    direction: Direction | None
    kind: Literal["hex", "json", "size"]
    path: str
    offset: int
    detail: str


Item = Exchange | Unreadable


class _Line(msgspec.Struct):
    """A line of a capture, as it is written. The order fits 64 bits, as everywhere in JSON."""

    order: Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | None = None
    queue: str | None = None
    cmd: str | None = None
    request: str | None = None
    response: str | None = None
    #: lengths of the writable descriptors, and seconds, if they are what they should be
    inn: Any = None
    t: Any = None


#: how lines start of JSON that is no capture: of an array, of an object on many lines
_OTHER_JSON = (b"[", b"]", b'"', b"}")

_decode = msgspec.json.Decoder(_Line).decode


def read_messages(stream: BinaryIO, name: str, max_line: int = MAX_LINE) -> Iterator[Item]:
    """Everything in a text. A line that starts with ``{`` is a capture's, any other one hex; ``#`` starts a comment.

    name: of the file, for paths. Raises NotTextError, and OSError of the stream.
    """
    hex_reader = _HexReader(name, max_line // 2)
    for number, line in _lines(stream, max_line):
        if line is None:
            yield from hex_reader.end()
            detail = f"the line is longer than {max_line} bytes"
            yield Unreadable(number, None, None, "size", f"{name}:{number}", max_line, detail)
        elif line.startswith(b"{"):
            yield from hex_reader.end()
            yield from _capture_line(line, name, number)
        elif line.startswith(_OTHER_JSON):
            yield from hex_reader.end()
            detail = "JSON, but a capture has one whole object on each line: jq -c makes such lines"
            yield Unreadable(number, None, None, "json", f"{name}:{number}", 0, detail)
        elif line and not line.startswith(b"#"):
            # one character a byte: what is no ASCII can stand in comments
            yield from hex_reader.line(line.decode("latin-1"), number)
    yield from hex_reader.end()


def read_binary(stream: BinaryIO, name: str) -> Iterator[Item]:
    """The one message that a file is; no item if the file is empty. Raises OSError of the stream."""
    data = stream.read(MAX_MESSAGE + 1)
    if len(data) > MAX_MESSAGE:
        detail = f"more than {MAX_MESSAGE} bytes are no message"
        yield Unreadable(1, None, None, "size", f"{name}:1", MAX_MESSAGE, detail)
    elif data:
        yield _exchange(1, data)


def _lines(stream: BinaryIO, max_line: int) -> Iterator[tuple[int, bytes | None]]:
    """Every line's number and its text without the white space around it; None for one that is too long."""
    number, is_text = 0, False
    while line := stream.readline(max_line + 1):
        number += 1
        if not is_text and b"\0" in line:
            raise NotTextError
        if len(line) > max_line and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(max_line + 1)
            yield number, None
            continue
        line = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
        is_text = is_text or bool(line)
        yield number, line


def _exchange(order: int, data: bytes) -> Exchange:
    """The exchange of a message that says itself what it is."""
    if len(data) >= 4 and is_response(int.from_bytes(data[:4], "little")):
        return Exchange(order, response=data)
    return Exchange(order, request=data)


def _capture_line(line: bytes, name: str, number: int) -> Iterator[Item]:
    try:
        read = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = re.search(r"\(byte (\d+)\)", str(error))
        offset = int(place.group(1)) if place else 0
        yield Unreadable(number, None, None, "json", f"{name}:{number}", offset, str(error))
        return
    order = number if read.order is None else read.order
    messages = []
    for direction, text in ((REQUEST, read.request), (RESPONSE, read.response)):
        try:
            messages.append(bytes_from_hex(text or ""))
        except HexError as error:
            messages.append(b"")
            path = f"{name}:{number}:{direction}"
            yield Unreadable(order, read.queue, direction, "hex", path, error.offset, error.detail)
    if any(messages):
        request, response = messages
        yield Exchange(order, read.queue, read.cmd, request, response, _capacity(read.inn), _seconds(read.t))


def _capacity(lengths: Any) -> int | None:
    plain = isinstance(lengths, list) and all(type(length) is int and 0 <= length <= MAX_MESSAGE for length in lengths)
    return min(sum(lengths), MAX_MESSAGE) if plain else None


def _seconds(time: Any) -> float | None:
    return float(time) if type(time) in {int, float} and 0 <= time <= MAX_SECONDS else None


class _HexReader:
    """Lines of hex. The rows of a dump are one message, everything else is a message a line."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.dump: Dump | None = None
        #: where the dump starts
        self.first = 0
        #: a row was reported: those that follow it are not
        self.broken = False

    def line(self, text: str, number: int) -> Iterator[Item]:
        """What this line makes, or the dump that it ends."""
        row = dump_row(text) or (last_row(text) if self.dump else None)
        try:
            if text == "*" and (self.dump or self.broken):
                if self.dump:
                    self.dump.squeeze()
            elif row is None:
                yield from self.end()
                yield _exchange(number, bytes_from_hex(text.partition("#")[0]))
            else:
                yield from self._row(row, number)
        except HexError as error:
            yield Unreadable(number, None, None, "hex", f"{self.name}:{number}", error.offset, error.detail)

    def _row(self, row: Row, number: int) -> Iterator[Item]:
        if row.offset == 0:
            yield from self.end()
            self.dump, self.first = Dump(self.limit), number
        if self.broken:
            return
        try:
            if self.dump is None:
                raise HexError(0, "the first row of a dump has offset 0")
            self.dump.add(row)
        except HexError:
            self.dump, self.broken = None, True
            raise

    def end(self) -> Iterator[Item]:
        """What the dump has become, if there is one."""
        if self.dump is not None:
            yield _exchange(self.first, bytes(self.dump.data))
        self.dump, self.broken = None, False
