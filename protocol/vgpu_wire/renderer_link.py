"""What the VMM asks the host: calls of virglrenderer's API and system calls on the file descriptors it got from it.

The emulator's own protocol, since in most stacks these are function calls. A question is one record that starts with
its op; the answer to every question is one Answer. File descriptors travel beside the bytes, as with SCM_RIGHTS.
"""

from enum import IntEnum
from types import MappingProxyType
from typing import Annotated

import construct

from vgpu_wire.derive import wire
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Buffer, Record, unread
from vgpu_wire.terms import le32, le64


class Op(IntEnum):
    """The call that a question stands for."""

    #: virgl_renderer_context_create_with_flags
    CTX_CREATE = 1
    #: virgl_renderer_context_destroy
    CTX_DESTROY = 2
    #: virgl_renderer_ctx_attach_resource
    CTX_ATTACH = 3
    #: virgl_renderer_ctx_detach_resource
    CTX_DETACH = 4
    #: virgl_renderer_submit_cmd
    SUBMIT = 5
    #: virgl_renderer_resource_create_blob
    CREATE_BLOB = 6
    #: virgl_renderer_resource_unref
    UNREF = 7
    #: virgl_renderer_resource_export_blob
    EXPORT_BLOB = 8
    #: virgl_renderer_resource_get_map_info
    GET_MAP_INFO = 9
    #: ioctl(2)
    IOCTL = 10
    #: close(2)
    CLOSE = 11
    #: virgl_renderer_context_create_fence, virgl_renderer_create_fence
    FENCE = 12
    #: virgl_renderer_reset
    RESET = 13


@wire("vgpu_emu_question", 8)
class Question(Record, frozen=True):
    """op: an Op. RESET has nothing else: contexts, resources and pending fences are gone, the VMM's fds are not.

    serial: tells the answer to this question from answers that come late or twice.
    """

    op: le32 = 0
    serial: le32 = 0


@wire("vgpu_emu_question_context", 16)
class ContextQuestion(Question, frozen=True):
    """CTX_CREATE (value: context_init), CTX_DESTROY, CTX_ATTACH and CTX_DETACH (value: the resource)."""

    ctx_id: le32 = 0
    value: le32 = 0


@wire("vgpu_emu_question_submit", 20)
class Submit(Question, frozen=True):
    """SUBMIT: `size` bytes of the context's command stream, to run on one of its rings."""

    op: le32 = Op.SUBMIT.value
    ctx_id: le32 = 0
    ring_idx: le32 = 0
    size: le32 = 0
    commands: Annotated[bytes, construct.Bytes(construct.this.size)] = b""


@wire("vgpu_emu_question_create_blob", 40)
class CreateBlob(Question, frozen=True):
    """CREATE_BLOB: as in virtio_gpu_resource_create_blob."""

    op: le32 = Op.CREATE_BLOB.value
    ctx_id: le32 = 0
    resource_id: le32 = 0
    blob_mem: le32 = 0
    blob_flags: le32 = 0
    blob_id: le64 = 0
    size: le64 = 0


@wire("vgpu_emu_question_resource", 16)
class ResourceQuestion(Question, frozen=True):
    """UNREF, EXPORT_BLOB (answer: size, and an fd) and GET_MAP_INFO (answer: value, the renderer's guess)."""

    resource_id: le32 = 0
    reserved: le32 = 0


@wire("vgpu_emu_question_ioctl", 20)
class Ioctl(Question, frozen=True):
    """IOCTL: a request on an fd of the VMM, with its argument; the answer's data is the argument afterwards."""

    op: le32 = Op.IOCTL.value
    fd: le32 = 0
    request: le32 = 0
    size: le32 = 0
    argument: Annotated[bytes, construct.Bytes(construct.this.size)] = b""


@wire("vgpu_emu_question_close", 16)
class Close(Question, frozen=True):
    """CLOSE: the VMM closes an fd."""

    op: le32 = Op.CLOSE.value
    fd: le32 = 0
    reserved: le32 = 0


@wire("vgpu_emu_question_fence", 28)
class Fence(Question, frozen=True):
    """FENCE: behind all that was submitted to a ring or, if `is_global`, to any. Answer: 1 if the fence is pending.

    A pending fence is signalled later by a Signal.
    """

    op: le32 = Op.FENCE.value
    ctx_id: le32 = 0
    ring_idx: le32 = 0
    is_global: le32 = 0
    fence_id: le64 = 0


@wire("vgpu_emu_signal", 24)
class Signal(Record, frozen=True):
    """What the host sends unasked, on a link of its own: a fence, named as in the question, is complete."""

    ctx_id: le32 = 0
    ring_idx: le32 = 0
    is_global: le32 = 0
    padding: le32 = 0
    fence_id: le64 = 0


@wire("vgpu_emu_answer", 24)
class Answer(Record, frozen=True):
    """errno: 0, or why not. serial: the question's. value: what was asked for. data: `size` bytes."""

    errno: le32 = 0
    serial: le32 = 0
    value: le64 = 0
    size: le32 = 0
    padding: le32 = 0
    data: Annotated[bytes, construct.Bytes(construct.this.size)] = b""


@wire("vgpu_emu_frame", 8)
class Frame(Record, frozen=True):
    """Before a question or an answer on a stream of bytes. size: of what follows. descriptors: beside it."""

    size: le32 = 0
    descriptors: le32 = 0


#: op -> its structure
QUESTIONS: MappingProxyType[Op, type[Question]] = MappingProxyType(
    {
        Op.CTX_CREATE: ContextQuestion,
        Op.CTX_DESTROY: ContextQuestion,
        Op.CTX_ATTACH: ContextQuestion,
        Op.CTX_DETACH: ContextQuestion,
        Op.SUBMIT: Submit,
        Op.CREATE_BLOB: CreateBlob,
        Op.UNREF: ResourceQuestion,
        Op.EXPORT_BLOB: ResourceQuestion,
        Op.GET_MAP_INFO: ResourceQuestion,
        Op.IOCTL: Ioctl,
        Op.CLOSE: Close,
        Op.FENCE: Fence,
        Op.RESET: Question,
    }
)


def numbered(data: bytes, serial: int) -> bytes:
    """A question or an answer that is built, with this serial in it."""
    return data[:4] + serial.to_bytes(4, "little") + data[8:]


_SHORTEST = Question.layout.size
#: the first four bytes of a question -> its structure
_STRUCTURE = {op.value.to_bytes(4, "little"): structure for op, structure in QUESTIONS.items()}


def parse_question(data: Buffer) -> Question:
    """The question in exactly these bytes. Raises WireError."""
    if len(data) < _SHORTEST:
        raise unread(Question, data)
    start = bytes(data[:4])
    structure = _STRUCTURE.get(start)
    if structure is None:
        raise WireError("value", "vgpu_emu_question.op", 0, f"unknown op {int.from_bytes(start, 'little')}")
    return structure.parse(data)
