"""Captures and logs: the exchanges of a capture as events, and the virtqueues of a log as the lines of a capture."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from vgpu_emu.trace.capture import Exchange
from vgpu_emu.trace.log import CONTROLQ, GUEST, QUEUE_NUMBERS, VMM, Event, Message, is_question
from vgpu_wire.messages import type_name

_encode = msgspec.json.Encoder().encode
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


def capture_lines(events: Iterable[Event]) -> Iterator[bytes]:
    """A line of a capture for each request on a virtqueue, in order, and its answer; none yet: no ``response``."""
    rows: list[dict[str, Any]] = []
    asked: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for event in events:
        if not isinstance(event, Message) or event.link not in QUEUE_NUMBERS:
            continue
        waiting = asked.setdefault((event.link, event.head), [])
        if is_question(event):
            rows.append(_row(len(rows), event))
            waiting.append(rows[-1])
        elif waiting:
            waiting.pop(0)["response"] = event.data.hex()
    return (_encode(row) + b"\n" for row in rows)


def _row(order: int, request: Message) -> dict[str, Any]:
    data = request.data
    named = {"cmd": type_name(int.from_bytes(data[:4], "little"))} if len(data) >= 4 else {}
    lengths = {"out": [len(data)], "inn": [request.capacity]}
    return {"order": order, "t": request.seconds, "queue": request.link, **named, "request": data.hex(), **lengths}
