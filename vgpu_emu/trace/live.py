"""A log that hands every event on and keeps none: for a device that runs for days."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vgpu_emu.trace.ladder import Rung, rungs
from vgpu_emu.trace.log import CONTROLQ, CURSORQ, Event, Log, Message, Note, RequestChain, UsedChain, message_of

Sink = Callable[[Event], None]
#: what captures have: cheap enough to be always looked at
QUEUES = frozenset({CONTROLQ, CURSORQ})


class LiveLog(Log):
    """sinks: called with every event, in order. Without any nothing but notes costs time, and those are rare."""

    def __init__(self, clock: Callable[[], float], sinks: Sequence[Sink] = ()) -> None:
        super().__init__(clock)
        self.sinks = list(sinks)
        self.request = self.answer = self._chain

    def _chain(self, chain: RequestChain | UsedChain) -> None:
        if self.sinks:
            self._hand_on(message_of(self._now(), chain))

    def batch(self, chains: Sequence[RequestChain] | Sequence[UsedChain]) -> None:
        if self.sinks:
            now = self._now()
            for chain in chains:
                self._hand_on(message_of(now, chain))

    def message(
        self,
        link: str,
        sender: str,
        receiver: str,
        data: bytes,
        head: int = 0,
        capacity: int = 0,
        fds: tuple[int, ...] = (),
    ) -> None:
        if self.sinks:
            self._hand_on(Message(self._now(), link, sender, receiver, data, head, capacity, fds))

    def note(self, who: str, name: str, **values: Any) -> None:
        note = Note(self._now(), who, name, values)
        self._hand_on(note)
        for listener in self.listeners:
            listener(note)

    def _hand_on(self, event: Event) -> None:
        for sink in self.sinks:
            sink(event)


def ladder(write: Callable[[Rung], None]) -> Sink:
    """A sink that writes the ladder as it grows."""
    waiting: deque[Event] = deque()

    def events() -> Iterator[Event]:
        while True:
            yield waiting.popleft()

    # each event is one rung
    climb = rungs(events())

    def push(event: Event) -> None:
        waiting.append(event)
        write(next(climb))

    return push
