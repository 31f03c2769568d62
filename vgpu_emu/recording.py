"""A party that is not there: it says what it said in an earlier run, when it has heard what it heard then."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from vgpu_emu.ids import Fd
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Port
from vgpu_emu.memory import Memory, PassedFd, let_go
from vgpu_emu.trace.log import FENCES, GUEST, QUEUE_NUMBERS, RENDERER, Event, Message
from vgpu_wire.renderer_link import Answer


async def replay(party: str, events: Iterable[Event], ports: Mapping[str, Port[Any, Any]]) -> None:
    """Walk the events: wait for as many messages as `party` received, send those that it sent.

    What arrives is not compared with the recording; that is for who looks at both logs. Descriptors that arrive are of
    no use here; those that were passed are size-only ones of the same number.
    """
    arrived: dict[Port[Any, Any], deque[Any]] = {port: deque() for port in ports.values()}
    for event in events:
        if not isinstance(event, Message):
            continue
        if event.receiver == party:
            port = ports[event.link]
            while not arrived[port]:
                item = await port.receive()
                if event.link == RENDERER:
                    let_go(item[1])
                # what arrives together: all chains of a kick or of an interrupt; one message on the other links
                arrived[port].extend(item if event.link in QUEUE_NUMBERS else [item])
            arrived[port].popleft()
        elif event.sender == party:
            ports[event.link].send(_item(event))


def _item(message: Message) -> Any:
    if message.link == FENCES:
        return message.data
    if message.link == RENDERER:
        fds = (PassedFd(Fd(fd), Memory(Answer.parse(message.data).value, None)) for fd in message.fds)
        return message.data, tuple(fds)
    queue = QUEUE_NUMBERS[message.link]
    if message.sender == GUEST:
        return [Chain(message.head, queue, message.data, message.capacity)]
    return [Used(message.head, queue, message.data)]
