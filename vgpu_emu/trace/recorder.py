"""A capture written while it happens: JSON lines, one request with its answer, in the order of the requests.

What `vgpu_emu.trace.capture` reads: order, t (seconds), queue, cmd, request and response in hex, out and inn (bytes
that the device may read and write).
"""

from collections import deque
from typing import BinaryIO

import msgspec

from vgpu_emu.trace.log import GUEST, QUEUE_NUMBERS, Event, Message
from vgpu_wire.messages import type_name

_encode = msgspec.json.Encoder().encode
#: of a chain in flight: its queue and head
_Key = tuple[str, int]


class _Line(msgspec.Struct):
    """order: from 0. cmd: the request's name. response: empty until there is one."""

    order: int
    t: float
    queue: str
    cmd: str
    request: str
    response: str
    out: list[int]
    inn: list[int]


class Recorder:
    """Writes to `file`. A line has to wait until it and all before it are answered; `finish` writes those that never
    were, with an empty response."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lines: deque[tuple[_Key, _Line]] = deque()
        #: the lines that wait for their answers. A head that comes again has lost its answer
        self._open: dict[_Key, _Line] = {}
        self._count = 0

    def __call__(self, event: Event) -> None:
        """The next event. Raises OSError."""
        if not isinstance(event, Message) or event.link not in QUEUE_NUMBERS:
            return
        if event.sender == GUEST:
            self._request(event)
        elif (line := self._open.pop((event.link, event.head), None)) is not None:
            line.response = event.data.hex()
            self._write()

    def _request(self, event: Message) -> None:
        name = type_name(int.from_bytes(event.data[:4], "little"))
        inn = [event.capacity] if event.capacity else []
        line = _Line(
            self._count, round(event.seconds, 6), event.link, name, event.data.hex(), "", [len(event.data)], inn
        )
        self._count += 1
        self._lines.append(((event.link, event.head), line))
        self._open[event.link, event.head] = line

    def _write(self) -> None:
        """All lines in front that are complete."""
        while self._lines:
            key, line = self._lines[0]
            if self._open.get(key) is line:
                break
            self._lines.popleft()
            self._file.write(_encode(line) + b"\n")

    def finish(self) -> None:
        """No more answers come for what was asked. Raises OSError."""
        self._open.clear()
        self._write()
