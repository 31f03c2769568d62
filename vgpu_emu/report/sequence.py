"""The rows of the sequence of messages: who says what to whom, and every message taken apart."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from vgpu_emu.report.fields import Field, fields, raw
from vgpu_emu.report.threads import Thread, threads
from vgpu_emu.trace.ladder import Rung, rungs
from vgpu_emu.trace.log import GUEST, HOST, VMM, Event, Message
from vgpu_wire.blob import ResourceMapBlob
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.dmabuf import DMA_BUF_IOCTL_INFO
from vgpu_wire.layout import Record
from vgpu_wire.renderer_link import Answer, Ioctl, Op, ResourceQuestion

#: rows of one run; characters of a detail
MAX_ROWS, MAX_DETAIL = 1000, 400
LANES = {GUEST: 0, VMM: 1, HOST: 2}
#: notes that tell what the attribute became, and those among them and others that tell of trouble
_ABOUT = {"guessed", "map_info_failed", "maps", "pgprot", "mmap_failed", "deferred_map_failed", "alias"}
_TROUBLE = {
    "alias",
    "guessed",
    "map_info_failed",
    "mmap_failed",
    "deferred_map_failed",
    "refused",
    "truncated",
    "malformed",
} | {
    "renderer_refused",
    "error_response",
}


class Row(NamedTuple):
    """One event. number: its place in the log, from 1. lanes: of sender and receiver; one of them None: it has no lane.

    about: whether the attribute travels in it. trouble: an error, or a guess. structure: the C name of the message.
    """

    number: int
    says: str
    detail: str
    sender: str
    lanes: tuple[int | None, int | None]
    thread: Thread
    about: bool
    trouble: bool
    structure: str
    size: int
    fields: list[Field]


def rows(events: Sequence[Event]) -> Iterator[Row]:
    """The first MAX_ROWS events."""
    woven = threads(events)
    for index, (event, rung) in enumerate(islice(zip(events, rungs(events), strict=True), MAX_ROWS)):
        thread = woven[index]
        asked = woven[thread.answers].record if thread.answers is not None else None
        lanes = LANES.get(rung.sender), LANES.get(rung.receiver or "")
        detail = rung.detail if len(rung.detail) <= MAX_DETAIL else rung.detail[:MAX_DETAIL] + " ..."
        about, trouble = _marks(event, rung, thread.record, asked)
        data = event.data if isinstance(event, Message) else b""
        structure = thread.record.layout.name if thread.record else ""
        taken_apart = fields(thread.record, data, asked) if thread.record else list(raw(data))
        yield Row(
            index + 1, rung.says, detail, rung.sender, lanes, thread, about, trouble, structure, len(data), taken_apart
        )


def _marks(event: Event, rung: Rung, record: Record | None, asked: Record | None) -> tuple[bool, bool]:
    if not isinstance(event, Message):
        return rung.says in _ABOUT, rung.says in _TROUBLE
    return _asks_for_it(asked or record), record is None or _is_error(record)


def _asks_for_it(question: Record | None) -> bool:
    if isinstance(question, ResourceQuestion):
        return question.op == Op.GET_MAP_INFO
    if isinstance(question, Ioctl):
        return question.request == DMA_BUF_IOCTL_INFO
    return isinstance(question, ResourceMapBlob)


def _is_error(record: Record) -> bool:
    if isinstance(record, CtrlHdr):
        return record.type >= CtrlType.RESP_ERR_UNSPEC
    return isinstance(record, Answer) and record.errno != 0
