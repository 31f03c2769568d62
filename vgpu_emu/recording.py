"""A party that is not there: it says what it said in an earlier run, when it has heard what it heard then."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from vgpu_emu.ids import Fd
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Port
from vgpu_emu.memory import Memory, PassedFd, let_go
from vgpu_emu.trace.log import GUEST, QUEUE_NUMBERS, RENDERER, Event, Message
from vgpu_wire.renderer_link import Answer


async def replay(party: str, events: Iterable[Event], ports: Mapping[str, Port[Any, Any]]) -> None:
    """Walk the events: wait for as many messages as `party` received, send those that it sent.

    What arrives is not compared with the recording; that is for who looks at both logs. Descriptors that arrive are of
    no use here; those that were passed are size-only ones of the same number.
    """
    arrived: dict[str, deque[Any]] = {link: deque() for link in ports}
    for event in events:
        if not isinstance(event, Message):
            continue
        if event.receiver == party:
            if not arrived[event.link]:
                arrived[event.link].extend(await _receive(event.link, ports))
            arrived[event.link].popleft()
        elif event.sender == party:
            ports[event.link].send(_item(event))


async def _receive(link: str, ports: Mapping[str, Port[Any, Any]]) -> list[Any]:
    """The messages that arrive together: those of a kick or an interrupt, or the one of the renderer link."""
    item = await ports[link].receive()
    if link != RENDERER:
        return list(item)
    let_go(item[1])
    return [item]


def _item(message: Message) -> Any:
    if message.link == RENDERER:
        fds = (PassedFd(Fd(fd), Memory(Answer.parse(message.data).value, None)) for fd in message.fds)
        return message.data, tuple(fds)
    queue = QUEUE_NUMBERS[message.link]
    if message.sender == GUEST:
        return [Chain(message.head, queue, message.data, message.capacity)]
    return [Used(message.head, queue, message.data)]
