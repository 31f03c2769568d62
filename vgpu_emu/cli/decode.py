"""``vgpu-emu decode``: what the bytes of messages say."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from vgpu_emu.cli.inputs import InputFile, input_name, read_input
from vgpu_emu.cli.style import Paint, painter, printable
from vgpu_emu.cli.usage import FOUND, UsageError, complain
from vgpu_emu.trace.capture import REQUEST, RESPONSE, Direction, Exchange, Unreadable, read_binary
from vgpu_emu.trace.exchanges import read_exchanges
from vgpu_emu.trace.listing import FIRST_BYTES, listing, shown_bytes
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Record
from vgpu_wire.messages import parse_message, type_name
from vgpu_wire.terms import Records

SCHEMA = 1

Flag = Annotated[bool, Parameter(negative=())]


class Message(msgspec.Struct, frozen=True):
    """One message of an exchange. parsed: the record, or why there is none."""

    exchange: Exchange
    direction: Direction
    data: bytes
    parsed: CtrlHdr | WireError

    @property
    def roundtrip(self) -> bool:
        """Whether the record builds the bytes that it was parsed from."""
        return not isinstance(self.parsed, WireError) and self.parsed.build() == self.data


def decode(
    file: InputFile,
    /,
    *,
    binary: Flag = False,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
    offsets: Flag = False,
    full: Flag = False,
) -> int:
    """Show what the bytes of virtio-gpu messages say.

    The input is hex, one message a line (white space, 0x, the rows of xxd and of hexdump -C, and # comments may be
    there), or a capture: JSON lines with the keys request and response, in hex, and if you like order, queue and cmd.
    A line may have 64 MiB. Of an event log, as --log FILE writes it, the messages of the virtqueues are shown. Exit
    code 1: something could not be decoded, and is listed as such.

    Examples:

        vgpu-emu decode capture.jsonl

        vgpu-emu decode --offsets messages.hex

        echo 000100000000000000000000000000000000000000000000 | vgpu-emu decode -

        vgpu-emu decode --json capture.jsonl | jq -c 'select(.error)'

    Parameters
    ----------
    file
        Where the messages are; - is standard input.
    binary
        The file is one message, as raw bytes.
    json_
        One JSON object a message, instead of a listing.
    offsets
        Show every member's byte offset and size.
    full
        Show arrays whole, not only how they start.
    """
    paint = painter(sys.stdout)
    good = bad = 0
    for message in _read(file, binary):
        if isinstance(message, Message) and message.roundtrip:
            good += 1
        else:
            bad += 1
        for line in [_as_json(message)] if json_ else _as_text(message, paint, offsets=offsets, full=full):
            print(line)
    if not good + bad:
        raise UsageError(f"there is no message in {input_name(file)}: vgpu-emu decode --help says what is read")
    if bad:
        complain(f"{bad} of {good + bad} messages could not be decoded")
    return FOUND if bad else 0


def _read(file: str, binary: bool) -> Iterator[Message | Unreadable]:
    for item in read_input(file, read_binary if binary else read_exchanges):
        if isinstance(item, Unreadable):
            yield item
        else:
            yield from _messages(item)


def _messages(exchange: Exchange) -> Iterator[Message]:
    """The messages of an exchange that are not empty."""
    for direction, data in ((REQUEST, exchange.request), (RESPONSE, exchange.response)):
        if data:
            try:
                parsed: CtrlHdr | WireError = parse_message(data)
            except WireError as error:
                parsed = error
            yield Message(exchange, direction, data, parsed)


_encode = msgspec.json.Encoder().encode


def _as_json(message: Message | Unreadable) -> str:
    if isinstance(message, Unreadable):
        shown = _head(message.order, message.queue, message.direction) | {"size": None, "error": _error(message)}
    else:
        shown = _head(message.exchange.order, message.exchange.queue, message.direction)
        if len(message.data) >= 4:
            shown["type"] = _type(message.data)
        shown["size"] = len(message.data)
        if isinstance(message.parsed, WireError):
            shown["error"] = _error(message.parsed)
        else:
            shown["fields"] = _fields(message.parsed, type(message.parsed))
            shown["roundtrip"] = message.roundtrip
    return _encode(shown).decode()


def _head(order: int, queue: str | None, direction: Direction | None) -> dict[str, Any]:
    return {"schema": SCHEMA, "order": order, "queue": queue, "direction": direction}


def _error(error: WireError | Unreadable) -> dict[str, Any]:
    return {"kind": error.kind, "path": error.path, "offset": error.offset}


def _type(data: bytes) -> str | int:
    number = int.from_bytes(data[:4], "little")
    try:
        return CtrlType(number).name
    except ValueError:
        return number


def _fields(record: Record, cls: type[Record]) -> dict[str, Any]:
    """Every member under its C name; byte arrays as hex."""
    return {
        member.name: _value(record if member.inherited else getattr(record, member.attribute), member.record)
        for member in cls.layout.members
    }


def _value(value: Any, cls: type[Record] | None) -> Any:
    if isinstance(value, Records):
        # encoded one by one: a message may have a million of them
        return msgspec.Raw(b"[" + b",".join(_encode(_fields(element, value.record)) for element in value) + b"]")
    if isinstance(value, Record) and cls is not None:
        return _fields(value, cls)
    return value.hex() if isinstance(value, bytes) else value


def _as_text(message: Message | Unreadable, paint: Paint, *, offsets: bool, full: bool) -> Iterator[str]:
    if isinstance(message, Unreadable):
        yield paint("bold", f"#{message.order} {message.path}")
        yield paint("red", f"  UNREADABLE {message.kind} at character {message.offset}: {printable(message.detail)}")
        return
    yield paint("bold", _heading(message))
    if not isinstance(message.parsed, WireError):
        yield from listing(message.parsed, offsets=offsets, full=full)
        return
    yield paint("red", f"  UNDECODABLE {message.parsed}")
    for start in range(0, len(message.data) if full else FIRST_BYTES, FIRST_BYTES):
        yield f"  {shown_bytes(message.data[start : start + FIRST_BYTES])}"


def _heading(message: Message) -> str:
    """``#7 controlq response RESP_OK_NODATA to RESOURCE_FLUSH, 24 bytes``, and what else the recorder calls it."""
    exchange = message.exchange
    words = [f"#{exchange.order}", printable(exchange.queue or ""), message.direction, _name(message.data)]
    if message.direction == RESPONSE and exchange.request:
        words.append(f"to {_name(exchange.request)}")
    cmd = f" ({printable(exchange.cmd)})" if exchange.cmd and exchange.cmd != _name(exchange.request) else ""
    return f"{' '.join(filter(None, words))}, {len(message.data)} bytes{cmd}"


def _name(data: bytes) -> str:
    """The type in words, if the bytes have one."""
    return type_name(int.from_bytes(data[:4], "little")) if len(data) >= 4 else ""
