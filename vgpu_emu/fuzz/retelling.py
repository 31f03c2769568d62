"""Requests that make, map and end blobs, as calls of a guest program, each of which sends several of them."""

from collections.abc import Iterator

from msgspec.structs import replace

from vgpu_emu.fuzz.actions import Call, Program, Send, Step
from vgpu_emu.fuzz.making import BLOB_FLAGS
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob
from vgpu_wire.context_stream import StreamAlloc, stream_commands
from vgpu_wire.errors import WireError
from vgpu_wire.messages import MESSAGES
from vgpu_wire.render import CmdSubmit
from vgpu_wire.resource import ResourceUnref

#: bytes of guest memory: a driver has use for less
_MEMORY = 1 << 21


def as_calls(program: Program) -> Program:
    """A blob is made where it was mapped. Steps that are no requests stay, other requests are left out."""
    steps = (Call("open"), *_Story().calls(program.steps))
    return Program(replace(program.setup, memory=max(program.setup.memory, _MEMORY)), steps)


class _Story:
    """exporters: of a context's objects. blobs: what there is to map. made: by calls, in their order."""

    def __init__(self) -> None:
        self._exporters: dict[tuple[int, int], int] = {}
        self._blobs: dict[int, ResourceCreateBlob] = {}
        self._made: list[int] = []

    def calls(self, steps: tuple[Step, ...]) -> Iterator[Step]:
        for step in steps:
            if not isinstance(step, Send):
                yield step
            elif (call := self._call(_parsed(step.data))) is not None:
                yield call

    def _call(self, request: object) -> Call | None:
        match request:
            case CmdSubmit(ctx_id=ctx_id, commands=commands):
                self._exporters |= {(ctx_id, made.blob_id): made.exporter for made in _allocated(commands)}
            case ResourceCreateBlob(resource_id=resource_id):
                self._blobs[resource_id] = request
            case ResourceMapBlob(resource_id=resource_id) if resource_id in self._blobs:
                self._made.append(resource_id)
                return self._blob(self._blobs[resource_id])
            case ResourceUnref(resource_id=resource_id) if resource_id in self._made:
                place = self._made.index(resource_id)
                del self._made[place]
                return Call("close_handle", (place,))
        return None

    def _blob(self, blob: ResourceCreateBlob) -> Call:
        exporter = self._exporters.get((blob.ctx_id, blob.blob_id), 1)
        flags = BLOB_FLAGS.index(blob.blob_flags) if blob.blob_flags in BLOB_FLAGS else 0
        return Call("blob", (0, max(blob.size - 1, 0) // PAGE_SIZE % 4, exporter - 1, flags))


def _parsed(data: bytes) -> object:
    """None: bytes that are no request."""
    message = MESSAGES.get(int.from_bytes(data[:4], "little"))
    try:
        return message and message.parse(data)
    except WireError:
        return None


def _allocated(stream: bytes) -> Iterator[StreamAlloc]:
    try:
        yield from (command for command in stream_commands(stream) if isinstance(command, StreamAlloc))
    except WireError:
        return
