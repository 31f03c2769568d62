"""Captures and logs: the exchanges of a capture as events, and the virtqueues of a log as a capture."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import BinaryIO

from vgpu_emu.trace.capture import Exchange, Item, read_messages
from vgpu_emu.trace.log import CONTROLQ, GUEST, VMM, Event, Message
from vgpu_emu.trace.logfile import LogError, read_log, says_log
from vgpu_emu.trace.recorder import Recorder

#: a chain's head in a log
_HEADS = (1 << 63) - 1


def events_of(exchanges: Iterable[Exchange]) -> Iterator[Message]:
    """The messages of a capture. A capture has one time an exchange, and none in between: each is answered at once.

    What says no queue was on the controlq. An exchange of a queue was answered, if only with no bytes; bytes alone are
    what they are.
    """
    for exchange in exchanges:
        link = exchange.queue or CONTROLQ
        seconds, head = exchange.seconds or 0.0, exchange.order & _HEADS
        if exchange.request:
            yield Message(seconds, link, GUEST, VMM, exchange.request, head, exchange.capacity or 0)
        if exchange.response or (exchange.request and exchange.queue):
            yield Message(seconds, link, VMM, GUEST, exchange.response, head)


def read_exchanges(stream: BinaryIO, name: str, *, runs: int | None = None) -> Iterator[Item]:
    """What a capture, hex or the virtqueues of an event log say. name: of the file. runs: a log has no more of them.

    Raises NotTextError, LogError, and OSError of the stream.
    """
    if not says_log(stream):
        yield from read_messages(stream, name)
        return
    found = read_log(stream, name)
    if runs is not None and len(found) > runs:
        raise LogError(name, f"{len(found)} runs, {runs} wanted: vgpu-emu convert {name} OUT.jsonl --run 1, or another")
    for events in found.values():
        yield from read_messages(BytesIO(capture_of(events)), name)


def capture_of(events: Iterable[Event]) -> bytes:
    """The lines of a capture: every request on a virtqueue, in order, and its answer."""
    lines = BytesIO()
    recorder = Recorder(lines)
    for event in events:
        recorder(event)
    recorder.finish()
    return lines.getvalue()
