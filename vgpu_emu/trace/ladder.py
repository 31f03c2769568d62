"""The log as a ladder: who says what to whom, one line an event, the numbers in words.

A writer over the event log; it colours nothing and measures nothing.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from errno import errorcode
from typing import Any

import msgspec
from msgspec.structs import replace

from vgpu_emu.trace.log import FENCES, GUEST, RENDERER, VMM, Event, Message, Note
from vgpu_emu.trace.words import WORDS, map_info_words
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.context_stream import StreamHdr, stream_commands
from vgpu_wire.dmabuf import DMA_BUF_IOCTL_INFO, DmaBufInfo, DmaBufMapInfo, VmProt
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Record
from vgpu_wire.messages import is_response, parse_message, type_name
from vgpu_wire.render import CmdSubmit
from vgpu_wire.renderer_link import Answer, Ioctl, Op, Question, Signal, parse_question


class Rung(msgspec.Struct, frozen=True):
    """One line. receiver: None for what a party did by itself. says: the message. detail: its members in words."""

    seconds: float
    sender: str
    receiver: str | None
    says: str
    detail: str


def rungs(events: Iterable[Event]) -> Iterator[Rung]:
    """The ladder of these events. An answer is read by what was asked: on a virtqueue by the same chain before, on the
    renderer link by the question before."""
    requests: dict[tuple[str, int], str] = {}
    asked: Question | None = None
    dialect: Dialect | None = None
    for event in events:
        if isinstance(event, Note):
            if event.name == "assembled":
                dialect = _dialect(event.values.get("dialect"))
            # process ids would make two ladders of the same run different
            shown = {name: value for name, value in event.values.items() if value is not None and name != "pids"}
            detail = _pairs(shown)
            yield Rung(event.seconds, event.who, None, event.name, detail)
        elif event.link == FENCES:
            yield Rung(event.seconds, event.sender, event.receiver, *_signal(event.data))
        elif event.link != RENDERER:
            rung = _control_rung(event)
            if event.sender == GUEST:
                requests[event.link, event.head] = rung.says
            elif request := requests.pop((event.link, event.head), None):
                rung = replace(rung, detail=", ".join(filter(None, [f"to {request}", rung.detail])))
            yield rung
        elif event.data and event.sender == VMM:
            asked = _question(event.data)
            yield Rung(event.seconds, event.sender, event.receiver, *_asks(asked))
        else:
            yield Rung(event.seconds, event.sender, event.receiver, *_answers(event, asked, dialect))


def _dialect(value: Any) -> Dialect | None:
    """None also for a word of a log that we have not written."""
    return next((dialect for dialect in Dialect if dialect.value == value), None)


def _signal(data: bytes) -> tuple[str, str]:
    try:
        return "signal", ", ".join(_members(Signal.parse(data)))
    except WireError as unreadable:
        return "?", str(unreadable)


def _control_rung(event: Message) -> Rung:
    try:
        message = parse_message(event.data)
    except WireError as unreadable:
        return Rung(event.seconds, event.sender, event.receiver, f"{len(event.data)} bytes", str(unreadable))
    detail = _stream(message) if isinstance(message, CmdSubmit) else _members(message)
    prefix = [] if is_response(message.type) or not message.ctx_id else [f"ctx {message.ctx_id}"]
    return Rung(event.seconds, event.sender, event.receiver, type_name(message.type), ", ".join([*prefix, *detail]))


def _members(record: Record) -> list[str]:
    """Every member that is not zero and no part of the header: ``resource_id 2``, ``map_info 3 (WC)``."""
    shown = []
    for member in record.layout.members:
        if member.inherited:
            continue
        value = getattr(record, member.attribute)
        words = WORDS.get((record.layout.name, member.name))
        if isinstance(value, Record):
            shown += [f"{member.name}.{part}" for part in _members(value)]
        elif member.name == "map_info":
            shown.append(f"map_info {value} ({map_info_words(value)})")
        elif isinstance(value, int) and value:
            shown.append(f"{member.name} {words(value) if words else _number(value)}")
        elif isinstance(value, bytes) and any(value):
            shown.append(f"{member.name} {_text(value)}")
        elif not isinstance(value, int | bytes) and len(value):
            shown.append(f"{len(value)} {member.name}")
    return shown


def _number(value: int) -> str:
    return str(value) if value < 4096 else f"{value:#x}"


def _text(value: bytes) -> str:
    text = value.rstrip(b"\0")
    return repr(text.decode()) if text.isascii() and text.decode().isprintable() else f"{len(value)} bytes"


def _stream(message: CmdSubmit) -> list[str]:
    """The context's commands, if they are in the emulator's own stream."""
    try:
        commands = list(stream_commands(message.commands))
    except WireError:
        return [f"{message.size} bytes"]
    return [" ".join([_opcode(command), *_members(command)]) for command in commands]


def _opcode(command: StreamHdr) -> str:
    return WORDS["vgpu_emu_stream_hdr", "opcode"](command.opcode)


def _question(data: bytes) -> Question | None:
    try:
        return parse_question(data)
    except WireError:
        return None


def _asks(question: Question | None) -> tuple[str, str]:
    if question is None:
        return "?", "not a question"
    if isinstance(question, Ioctl):
        request = WORDS["vgpu_emu_question_ioctl", "request"](question.request)
        return f"ioctl({question.fd}, {request})", ""
    return Op(question.op).name.lower(), ", ".join(_members(question))


def _answers(event: Message, asked: Question | None, dialect: Dialect | None) -> tuple[str, str]:
    try:
        answer = Answer.parse(event.data)
    except WireError as unreadable:
        return "?", str(unreadable)
    if answer.errno:
        name = errorcode.get(answer.errno)
        return (name, os.strerror(answer.errno)) if name else (str(answer.errno), "no errno")
    if isinstance(asked, Ioctl) and asked.request == DMA_BUF_IOCTL_INFO:
        return "0", _info(answer.data, dialect)
    if asked is not None and asked.op == Op.GET_MAP_INFO:
        return "0", f"value {answer.value} ({map_info_words(answer.value)})"
    fds = [f"fd {fd}" for fd in event.fds]
    return "0", ", ".join(fds + ([f"value {_number(answer.value)}"] if answer.value else []))


def _info(data: bytes, dialect: Dialect | None) -> str:
    try:
        value = DmaBufInfo.parse(data).value
    except WireError as unreadable:
        return str(unreadable)
    words: type[VmProt] | type[DmaBufMapInfo] = VmProt if dialect is Dialect.RFC1 else DmaBufMapInfo
    name = next((word.name for word in words if word.value == value), "no word of the dialect")
    return f"value {_number(value)} ({name})"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def line(rung: Rung) -> str:
    """The rung without columns: ``vmm -> guest RESP_OK_MAP_INFO to RESOURCE_MAP_BLOB, map_info 3 (WC)``."""
    way = f"{rung.sender} -> {rung.receiver}" if rung.receiver else rung.sender
    return " ".join(filter(None, [way, rung.says, rung.detail]))


def text(events: Iterable[Event]) -> str:
    """The ladder for a terminal or a file: a line an event, the parties in columns, nothing cut off."""
    return "".join(f"{columns(rung)}\n" for rung in rungs(events))


def timed_lines(events: Iterable[Event]) -> Iterator[str]:
    """The same lines, each behind its seconds."""
    return (f"{rung.seconds:12.6f}  {columns(rung)}" for rung in rungs(events))


def columns(rung: Rung) -> str:
    """The rung for a terminal or a file: the parties in columns, nothing cut off."""
    return f"{_way(rung):16} {rung.says:28} {rung.detail}".rstrip()


def _way(rung: Rung) -> str:
    return f"{rung.sender:5} -> {rung.receiver}" if rung.receiver else rung.sender
