"""What a run did, in 64 hexadecimal digits: two runs that say the same have the same hash, wherever they ran.

Every writer's events count in their order, the writers side by side: in which order two processes reached the log is
the operating system's business. Left out: seconds, process ids, and the numbers of file descriptors.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from vgpu_emu.trace.log import RENDERER, VMM, Event, Message
from vgpu_wire.errors import WireError
from vgpu_wire.renderer_link import Close, Ioctl, parse_question

#: values of notes that differ from run to run
VOLATILE = frozenset({"fd", "fds", "pid", "pids"})
_encode = msgspec.json.Encoder(enc_hook=str, order="sorted").encode


def trace_hash(events: Iterable[Event]) -> str:
    """SHA-256 of the events, without what differs between runs that did the same."""
    writers: dict[str, list[bytes]] = {}
    for event in events:
        writer, line = _line(event)
        writers.setdefault(writer, []).append(line)
    digest = hashlib.sha256()
    for writer, lines in sorted(writers.items()):
        digest.update(_encode([writer, len(lines)]) + b"\n")
        digest.update(b"\n".join(lines) + b"\n")
    return digest.hexdigest()


def _line(event: Event) -> tuple[str, bytes]:
    """Who wrote it, and what counts of it. JSON has no newlines, so that no two lists of lines are the same bytes."""
    line: list[Any]
    if isinstance(event, Message):
        data = _without_fd(event.data) if event.link == RENDERER and event.sender == VMM else event.data
        line = ["message", event.link, event.receiver, data, event.head, event.capacity, len(event.fds)]
        return event.sender, _encode(line)
    values = {name: value for name, value in event.values.items() if name not in VOLATILE}
    return event.who, _encode(["note", event.name, values])


def _without_fd(data: bytes) -> bytes:
    """The question, with 0 for a descriptor's number."""
    try:
        question = parse_question(data)
    except WireError:
        return data
    return replace(question, fd=0).build() if isinstance(question, Ioctl | Close) else data
