"""Captures and logs: the exchanges of a capture as events, and the virtqueues of a log as a capture."""

from collections.abc import Iterable, Iterator
from io import BytesIO

from vgpu_emu.trace.capture import Exchange
from vgpu_emu.trace.log import CONTROLQ, GUEST, VMM, Event, Message
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


def capture_of(events: Iterable[Event]) -> bytes:
    """The lines of a capture: every request on a virtqueue, in order, and its answer."""
    lines = BytesIO()
    recorder = Recorder(lines)
    for event in events:
        recorder(event)
    recorder.finish()
    return lines.getvalue()
