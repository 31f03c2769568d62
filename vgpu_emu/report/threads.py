"""Which events belong together: a request and its answer, and everything that is about one blob."""

from collections.abc import Callable, Iterable

import msgspec

from vgpu_emu.trace.log import RENDERER, Event, Message, Note, is_question
from vgpu_wire.blob import ResourceCreateBlob
from vgpu_wire.context_stream import StreamAlloc, stream_commands
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Record
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CmdSubmit
from vgpu_wire.renderer_link import (
    Answer,
    Close,
    ContextQuestion,
    CreateBlob,
    Ioctl,
    Op,
    ResourceQuestion,
    Submit,
    parse_question,
)

_ATTACHES = {Op.CTX_ATTACH.value, Op.CTX_DETACH.value}


class Thread(msgspec.Struct):
    """What one event belongs to. record: the message; None for a note, and for bytes that are no message. answers: the
    index of the event that it answers. answered: the index of its answer. resource: the blob that it is about, by its
    resource_id."""

    record: Record | None = None
    answers: int | None = None
    answered: int | None = None
    resource: int | None = None


def threads(events: Iterable[Event]) -> list[Thread]:
    """One thread an event. An ALLOC belongs to the blob that is made of it later, an ioctl to the blob of its fd."""
    loom = _Loom()
    for index, event in enumerate(events):
        thread = Thread()
        loom.woven.append(thread)
        if isinstance(event, Note):
            resource = event.values.get("resource_id")
            thread.resource = resource if isinstance(resource, int) and 0 < resource < 1 << 32 else None
        elif is_question(event):
            loom.question(index, event, thread)
        else:
            loom.answer(index, event, thread)
    return loom.woven


class _Loom:
    """What has to be remembered from one event to the next."""

    def __init__(self) -> None:
        self.woven: list[Thread] = []
        #: (link, head) -> the question that has no answer yet
        self._open: dict[tuple[str, int], int] = {}
        #: descriptor of the VMM -> resource
        self._descriptors: dict[int, int] = {}
        #: (context, blob_id) -> the events that allocate it
        self._allocs: dict[tuple[int, int], list[int]] = {}

    def question(self, index: int, event: Message, thread: Thread) -> None:
        self._open[event.link, event.head] = index
        thread.record = record = _parsed(event)
        if isinstance(record, CmdSubmit | Submit):
            for command in _allocs(record.commands):
                self._allocs.setdefault((record.ctx_id, command.blob_id), []).append(index)
        else:
            thread.resource = self._resource(record)
        if isinstance(record, ResourceCreateBlob | CreateBlob) and record.blob_id:
            for place in self._allocs.pop((record.ctx_id, record.blob_id), ()):
                self._belongs(place, thread.resource)

    def _belongs(self, place: int, resource: int | None) -> None:
        """A question, and its answer if there is one, turn out to be about this blob."""
        self.woven[place].resource = resource
        answered = self.woven[place].answered
        if answered is not None:
            self.woven[answered].resource = resource

    def answer(self, index: int, event: Message, thread: Thread) -> None:
        thread.record = _parsed(event)
        asked = self._open.pop((event.link, event.head), None)
        if asked is None:
            return
        question = self.woven[asked]
        question.answered, thread.answers, thread.resource = index, asked, question.resource
        if question.resource is not None:
            self._descriptors.update(dict.fromkeys(event.fds, question.resource))

    def _resource(self, record: Record | None) -> int | None:
        match record:
            case ResourceQuestion():
                return record.resource_id
            case ContextQuestion() if record.op in _ATTACHES:
                return record.value
            case Ioctl():
                return self._descriptors.get(record.fd)
            case Close():
                return self._descriptors.pop(record.fd, None)
        return getattr(record, "resource_id", 0) or None


def _parsed(event: Message) -> Record | None:
    parse: Callable[[bytes], Record] = parse_message
    if event.link == RENDERER:
        parse = parse_question if is_question(event) else Answer.parse
    try:
        return parse(event.data)
    except WireError:
        return None


def _allocs(stream: bytes) -> list[StreamAlloc]:
    try:
        return [command for command in stream_commands(stream) if isinstance(command, StreamAlloc)]
    except WireError:
        return []
