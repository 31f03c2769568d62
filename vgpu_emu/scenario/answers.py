"""What crossed the virtqueues, as pairs: which answer a request got."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from vgpu_emu.trace.log import GUEST, QUEUE_NUMBERS, Event, Message
from vgpu_wire.control import CtrlHdr, Unknown
from vgpu_wire.errors import WireError
from vgpu_wire.messages import parse_message


class Exchange(NamedTuple):
    """A request and its answer; None: none has come."""

    request: Message
    answer: Message | None


def exchanges(events: Iterable[Event]) -> Iterator[Exchange]:
    """Every request on a virtqueue, in order, with what came back for its chain. A head may be used again."""
    waiting: dict[tuple[str, int], Message] = {}
    done: dict[int, Message] = {}
    order = []
    for event in events:
        if not isinstance(event, Message) or event.link not in QUEUE_NUMBERS:
            continue
        key = (event.link, event.head)
        if event.sender == GUEST:
            waiting[key] = event
            order.append(event)
        elif key in waiting:
            done[id(waiting.pop(key))] = event
    return (Exchange(request, done.get(id(request))) for request in order)


def last_exchange(events: Iterable[Event], commands: Collection[int], resource_id: int | None) -> Exchange | None:
    """The last one of these commands, about this resource if one is given."""
    found = None
    for exchange in exchanges(events):
        request = message(exchange.request.data)
        if request.type in commands and resource_id in {None, getattr(request, "resource_id", None)}:
            found = exchange
    return found


def message(data: bytes) -> CtrlHdr:
    """The message; of bytes that are none, one that says nothing."""
    try:
        return parse_message(data)
    except WireError:
        return Unknown()
