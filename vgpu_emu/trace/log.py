"""One append-only log of what happened: every message that crossed a link, and what the parties noted.

Writers (ladder, JSON lines, ...) read it afterwards; nothing is decoded while it is written.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

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


def is_question(event: Message) -> bool:
    """Whether a message is a request or a question, not the answer to one."""
    return event.sender == (VMM if event.link == RENDERER else GUEST)


class RequestChain(Protocol):
    """What a descriptor chain has that is logged."""

    @property
    def head(self) -> int: ...
    @property
    def queue(self) -> int: ...
    @property
    def readable(self) -> bytes: ...
    @property
    def capacity(self) -> int: ...


class UsedChain(Protocol):
    @property
    def head(self) -> int: ...
    @property
    def queue(self) -> int: ...
    @property
    def written(self) -> bytes: ...


def message_of(seconds: float, chain: Any) -> Message:
    """What crosses a virtqueue."""
    link = QUEUE_NAMES[chain.queue]
    if hasattr(chain, "readable"):
        return Message(seconds, link, GUEST, VMM, chain.readable, chain.head, chain.capacity)
    return Message(seconds, link, VMM, GUEST, chain.written, chain.head)


class Log:
    """The events in order. clock: seconds, read once an event; None: time stands still.

    request, answer: a chain goes from the guest to the VMM, a used chain back.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._events: list[Event] = []
        #: what nobody has looked at: events, and what crossed a virtqueue as it is, or that and its time
        self._rows: list[Any] = []
        self._append = self._rows.append
        #: called with every note, as soon as it is in the log
        self.listeners: list[Callable[[Note], None]] = []
        self._clock = clock
        self._start = clock() if clock is not None else 0.0
        timed = self._append if clock is None else self._timed
        self.request: Callable[[RequestChain], None] = timed
        self.answer: Callable[[UsedChain], None] = timed

    def _now(self) -> float:
        return self._clock() - self._start if self._clock is not None else 0.0

    def _timed(self, chain: RequestChain | UsedChain) -> None:
        self._append((self._now(), chain))

    def batch(self, chains: Sequence[RequestChain] | Sequence[UsedChain]) -> None:
        """Chains that cross together."""
        now = self._now()
        self._rows += [(now, chain) for chain in chains]

    @property
    def events(self) -> list[Event]:
        """All of them so far. Not to be changed: `clear` forgets them."""
        for row in self._rows:
            known = isinstance(row, Event)
            self._events.append(row if known else message_of(*(row if type(row) is tuple else (0.0, row))))
        self._rows.clear()
        return self._events

    def clear(self) -> None:
        """Forget what happened so far."""
        self._events.clear()
        self._rows.clear()

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
        self._append(Message(self._now(), link, sender, receiver, data, head, capacity, fds))

    def note(self, who: str, name: str, **values: Any) -> None:
        note = Note(self._now(), who, name, values)
        self._append(note)
        for listener in self.listeners:
            listener(note)

    def notes(self, name: str) -> Iterator[Note]:
        """Every note of this name, in order."""
        return (event for event in self.events if isinstance(event, Note) and event.name == name)

    def messages(self, *links: str) -> Iterator[Message]:
        """Every message on these links, in order."""
        return (event for event in self.events if isinstance(event, Message) and event.link in links)
