"""How tests ask the fake renderer: one question, one answer."""

from typing import Any

from support import PAGE, alloc

from vgpu_emu.assembly import size_only
from vgpu_emu.host.dmabuf import Kernel
from vgpu_emu.host.renderer import Renderer
from vgpu_emu.memory import PassedFd
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import BlobMem
from vgpu_wire.context_stream import ExporterKind, StreamFree
from vgpu_wire.renderer_link import (
    Answer,
    ContextQuestion,
    CreateBlob,
    Op,
    Question,
    ResourceQuestion,
    Submit,
)


def make(**options: Any) -> Renderer:
    """A renderer with context 1, whose buffers have no bytes."""
    renderer = Renderer(Kernel(Dialect.RFC1, max_fds=options.pop("max_fds", 64)), backing=size_only, **options)
    assert ask(renderer, ContextQuestion(op=Op.CTX_CREATE.value, ctx_id=1)).errno == 0
    return renderer


def talk(renderer: Renderer, question: Question) -> tuple[Answer, tuple[PassedFd, ...]]:
    data, fds = renderer.handle(question.build())
    return Answer.parse(data), fds


def ask(renderer: Renderer, question: Question) -> Answer:
    answer, fds = talk(renderer, question)
    assert not fds
    return answer


def context(op: Op, ctx_id: int = 1, value: int = 0) -> ContextQuestion:
    return ContextQuestion(op=op.value, ctx_id=ctx_id, value=value)


def resource(op: Op, resource_id: int = 5) -> ResourceQuestion:
    return ResourceQuestion(op=op.value, resource_id=resource_id)


def submit(stream: bytes, ctx_id: int = 1) -> Submit:
    return Submit(ctx_id=ctx_id, size=len(stream), commands=stream)


def blob(**members: int) -> CreateBlob:
    members = {"ctx_id": 1, "resource_id": 5, "blob_mem": BlobMem.HOST3D.value, "blob_id": 1, "size": PAGE} | members
    return CreateBlob(**members)


def free(blob_id: int = 1) -> bytes:
    return StreamFree(blob_id=blob_id).build()


def with_blob(**options: Any) -> Renderer:
    """A renderer with resource 5, which is write-combined."""
    renderer = make(**options)
    assert ask(renderer, submit(alloc(ExporterKind.WC))).errno == 0
    assert ask(renderer, blob()).errno == 0
    return renderer
