"""One append-only log of what happened: every message that crossed a link, and what the parties noted.

Writers (ladder, JSON lines, ...) read it afterwards; nothing is decoded while it is written.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

#: links
CONTROLQ, CURSORQ, RENDERER, FENCES = "controlq", "cursorq", "renderer", "fences"
#: virtqueue -> its number, and back
QUEUE_NUMBERS = {CONTROLQ: 0, CURSORQ: 1}
QUEUE_NAMES = {number: name for name, number in QUEUE_NUMBERS.items()}
#: parties
GUEST, VMM, HOST = "guest", "vmm", "host"


class Message(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Bytes that crossed a link. seconds: since the log was opened. head: the chain, on a virtqueue.
    capacity: device-writable bytes of a request. fds: the
    numbers, in the receiver's table, of descriptors passed beside the bytes."""

    seconds: float
    link: str
    sender: str
    receiver: str
    data: bytes
    head: int = 0
    capacity: int = 0
    fds: tuple[int, ...] = ()


class Note(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Something a party did that no message shows: ``guessed``, ``pgprot``, ``refused`` ... with what belongs to it."""

    seconds: float
    who: str
    name: str
    values: dict[str, Any]


Event = Message | Note


class Log:
    """The events in order. clock: seconds; read once an event."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.events: list[Event] = []
        #: called with every note, as soon as it is in the log
        self.listeners: list[Callable[[Note], None]] = []
        self._clock = clock
        self._start = clock()

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
        seconds = self._clock() - self._start
        self.events.append(Message(seconds, link, sender, receiver, data, head, capacity, fds))

    def note(self, who: str, name: str, **values: Any) -> None:
        note = Note(self._clock() - self._start, who, name, values)
        self.events.append(note)
        for listener in self.listeners:
            listener(note)

    def notes(self, name: str) -> Iterator[Note]:
        """Every note of this name, in order."""
        return (event for event in self.events if isinstance(event, Note) and event.name == name)

    def messages(self, *links: str) -> Iterator[Message]:
        """Every message on these links, in order."""
        return (event for event in self.events if isinstance(event, Message) and event.link in links)
