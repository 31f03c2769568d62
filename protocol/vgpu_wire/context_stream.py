"""The fake virglrenderer's own context command stream: the payload of SUBMIT_3D.

Real streams (virgl, venus, ...) say with thousands of commands what shall be drawn and, on the way, which memory is
allocated. This one only allocates (ALLOC makes an object that RESOURCE_CREATE_BLOB then finds by its blob_id) and takes
time (WORK). A stream is a sequence of commands; each starts with its opcode and its length in 32-bit words, as virgl's.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated

import construct

from vgpu_wire.derive import wire
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Record, unread
from vgpu_wire.terms import le16, le32, le64


class StreamOp(IntEnum):
    ALLOC = 1
    FREE = 2
    WORK = 3


class ExporterKind(IntEnum):
    """Who allocates the memory and exports it: the drivers that the cache question is asked of."""

    #: a driver with write-combined CPU mappings that says so
    WC = 1
    #: a driver with cached, coherent CPU mappings that says so
    CACHED = 2
    #: cached CPU mappings of memory that the device does not snoop
    INCOHERENT = 3
    #: dma_buf_ops of its own, without the op: i915, amdgpu, udmabuf, the heaps
    SILENT = 4
    #: the generic DRM dma_buf_ops, in a driver without a hook
    DRM = 5


@wire("vgpu_emu_stream_hdr", 4)
class StreamHdr(Record, frozen=True):
    """opcode: StreamOp. length: of the whole command, in 32-bit words."""

    opcode: le16 = 0
    length: le16 = 0


@wire("vgpu_emu_stream_alloc", 24)
class StreamAlloc(StreamHdr, frozen=True):
    """Allocate `size` bytes under `blob_id`, by an exporter of this ExporterKind."""

    opcode: le16 = StreamOp.ALLOC.value
    length: le16 = 6
    exporter: le32 = 0
    blob_id: le64 = 0
    size: le64 = 0


@wire("vgpu_emu_stream_free", 16)
class StreamFree(StreamHdr, frozen=True):
    """Forget the object; a resource made of it lives on."""

    opcode: le16 = StreamOp.FREE.value
    length: le16 = 4
    padding: le32 = 0
    blob_id: le64 = 0


@wire("vgpu_emu_stream_work", 8)
class StreamWork(StreamHdr, frozen=True):
    """Keep the ring busy for that long: what a real stream does with the memory that it allocated."""

    opcode: le16 = StreamOp.WORK.value
    length: le16 = 2
    microseconds: le32 = 0


@wire("vgpu_emu_blob_tag", 16)
class BlobTag(Record, frozen=True):
    """How new memory starts if the renderer tags it, so that a guest sees which blob it has mapped.

    magic: ``VGPUBLOB`` in ASCII.
    """

    magic: Annotated[bytes, construct.Bytes(8)] = b"VGPUBLOB"
    blob_id: le64 = 0


_COMMANDS: dict[int, type[StreamAlloc] | type[StreamFree] | type[StreamWork]] = {
    StreamOp.ALLOC: StreamAlloc,
    StreamOp.FREE: StreamFree,
    StreamOp.WORK: StreamWork,
}
_HEADER = StreamHdr.layout.size
#: the header that a command must have, as bytes -> the command
_STARTS = {
    opcode.to_bytes(2, "little") + (command.layout.size // 4).to_bytes(2, "little"): command
    for opcode, command in _COMMANDS.items()
}


def stream_commands(stream: bytes) -> Iterator[StreamAlloc | StreamFree | StreamWork]:
    """The commands of a stream, in order. Raises WireError at the first that is none."""
    place = 0
    while place < len(stream):
        command = _STARTS.get(stream[place : place + _HEADER])
        if command is None:
            raise _no_command(stream, place)
        end = place + command.layout.size
        yield command.parse(stream[place:end])
        place = end


def _no_command(stream: bytes, place: int) -> WireError:
    """Why no command starts there."""
    if len(stream) - place < _HEADER:
        return unread(StreamHdr, stream[place:])
    header = StreamHdr.parse(stream[place : place + _HEADER])
    command = _COMMANDS.get(header.opcode)
    if command is None:
        return WireError("value", "vgpu_emu_stream_hdr.opcode", place, f"unknown opcode {header.opcode}")
    detail = f"{header.length} words, {command.layout.name} has {command.layout.size // 4}"
    return WireError("value", f"{command.layout.name}.hdr.length", place + 2, detail)
