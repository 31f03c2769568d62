"""The fake virglrenderer: contexts, their objects, blob resources made of them, and dma-bufs exported from those.

`Renderer.handle` answers one question of the VMM (vgpu_wire.renderer_link). Whatever it is sent, it answers: bytes
that are no question get EPROTO, a call that fails its errno.
"""

from collections.abc import Callable, Iterable
from errno import EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM, EPROTO
from typing import Any

import msgspec

from vgpu_emu.host.dmabuf import Kernel, Process
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.host.rings import Rings
from vgpu_emu.ids import BlobId, ContextId, Fd, ResourceId
from vgpu_emu.memory import PAGE_SIZE, Memory, PassedFd
from vgpu_emu.vocabulary import HostAttribute
from vgpu_wire.blob import BlobMem, MapCache
from vgpu_wire.context_stream import BlobTag, ExporterKind, StreamAlloc, StreamFree, StreamWork, stream_commands
from vgpu_wire.errors import WireError
from vgpu_wire.renderer_link import (
    Answer,
    Close,
    ContextQuestion,
    CreateBlob,
    Fence,
    Ioctl,
    Op,
    Question,
    ResourceQuestion,
    Submit,
    numbered,
    parse_question,
)

Reply = tuple[bytes, tuple[PassedFd, ...]]


class RendererLimits(msgspec.Struct, frozen=True):
    """What a guest can make the host hold. Beyond: ENOMEM."""

    #: bytes of all objects and blobs together
    host_memory: int = 256 << 20
    #: objects and blobs together
    objects: int = 4096


class Context(msgspec.Struct):
    """A rendering context. context_init: as it was created with. objects: what its command stream allocated and no
    resource took yet, as fds. work: ring -> microseconds that the streams on it have asked for."""

    context_init: int = 0
    work: dict[int, int] = msgspec.field(default_factory=dict)
    objects: dict[BlobId, Fd] = msgspec.field(default_factory=dict)
    attached: set[ResourceId] = msgspec.field(default_factory=set)


class Renderer:
    """guess: what get_map_info answers, which no real renderer knows either. backing: makes the memory of an object.

    opaque: take a command stream that is not ours without a look, and let a blob_id that nothing was allocated under
    stand for cached memory of the size that is asked for: for guests that speak to another renderer.
    tagged: new memory starts with a BlobTag.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        guess: MapCache = MapCache.CACHED,
        backing: Callable[[int, str], Memory] = Memory.memfd,
        limits: RendererLimits | None = None,
        opaque: bool = False,
        tagged: bool = False,
    ) -> None:
        self.process = Process(kernel, "renderer")
        #: the descriptors of the VMM, whose system calls come as questions
        self.vmm = Process(kernel, "vmm")
        self.guess = guess
        self.backing = backing
        self.limits = limits or RendererLimits()
        self.contexts: dict[ContextId, Context] = {}
        self.opaque = opaque
        self.tagged = tagged
        self.resources: dict[ResourceId, Fd] = {}
        self.rings = Rings()
        self.now = 0.0

    def handle(self, data: bytes, now: float = 0.0) -> Reply:
        """Answer one question, at `now` seconds: its bytes, and the descriptors that go with them."""
        self.now = now
        try:
            question = parse_question(data)
            answer, fds = _CALLS[question.op](self, question)
        except WireError:
            answer, fds = Answer(errno=EPROTO).build(), ()
        except OSError as refused:
            answer, fds = Answer(errno=refused.errno or EINVAL).build(), ()
        return numbered(answer, int.from_bytes(data[4:8], "little")), fds

    def reset(self, _question: Question) -> Reply:
        """virgl_renderer_reset: everything but the VMM's own descriptors. No fence is signalled any more."""
        self.die()
        return _OK

    def die(self) -> None:
        """The end of the renderer's process. The VMM's descriptors are still open."""
        self.process.exit()
        self.contexts.clear()
        self.resources.clear()
        self.rings = Rings()

    def end_vmm(self) -> None:
        """The end of the VMM's process: its descriptors are closed, and nobody is there to be told of its fences."""
        self.vmm.exit()
        self.rings.forget_fences()

    def exit(self) -> None:
        """The end of both processes: every descriptor is closed."""
        self.process.exit()
        self.vmm.exit()

    def attribute_of(self, resource_id: ResourceId) -> HostAttribute:
        """How the exporter really maps the resource's buffer. For observers; no question asks for it."""
        return self.process.file(self.resources[resource_id]).ops.attribute

    # -- contexts

    def _context(self, ctx_id: int) -> Context:
        try:
            return self.contexts[ContextId(ctx_id)]
        except KeyError:
            raise OSError(EINVAL, f"no context {ctx_id}") from None

    def ctx_create(self, question: ContextQuestion) -> Reply:
        ctx_id = ContextId(question.ctx_id)
        if not ctx_id or ctx_id in self.contexts:
            raise OSError(EINVAL, f"context {ctx_id} is not free")
        self.contexts[ctx_id] = Context(question.value)
        return _OK

    def ctx_destroy(self, question: ContextQuestion) -> Reply:
        for fd in self._context(question.ctx_id).objects.values():
            self.process.close(fd)
        self.rings.forget(question.ctx_id)
        del self.contexts[ContextId(question.ctx_id)]
        return _OK

    def ctx_attach(self, question: ContextQuestion) -> Reply:
        self._resource(question.value)
        self._context(question.ctx_id).attached.add(ResourceId(question.value))
        return _OK

    def ctx_detach(self, question: ContextQuestion) -> Reply:
        self._context(question.ctx_id).attached.discard(ResourceId(question.value))
        return _OK

    def submit(self, question: Submit) -> Reply:
        context = self._context(question.ctx_id)
        for command in self._commands(question.commands):
            if isinstance(command, StreamAlloc):
                self._alloc(context, BlobId(command.blob_id), command)
            elif isinstance(command, StreamWork):
                self.rings.work((question.ctx_id, question.ring_idx), command.microseconds / 1e6, self.now)
                context.work[question.ring_idx] = context.work.get(question.ring_idx, 0) + command.microseconds
            elif BlobId(command.blob_id) in context.objects:
                self.process.close(context.objects.pop(BlobId(command.blob_id)))
            else:
                raise OSError(ENOENT, f"no object {command.blob_id}")
        return _OK

    def _commands(self, stream: bytes) -> Iterable[StreamAlloc | StreamFree | StreamWork]:
        """Raises WireError; of a stream for another renderer, if that is taken, nothing is known."""
        if not self.opaque:
            return stream_commands(stream)
        try:
            return list(stream_commands(stream))
        except WireError:
            return ()

    def fence(self, question: Fence) -> Reply:
        pending = self.rings.fence(question, self.now)
        return Answer(value=int(pending)).build(), ()

    def _alloc(self, context: Context, blob_id: BlobId, command: StreamAlloc) -> None:
        if blob_id in context.objects:
            raise OSError(EEXIST, f"object {blob_id} exists")
        if command.exporter not in EXPORTERS or not command.size:
            raise OSError(EINVAL, f"exporter {command.exporter}, {command.size} bytes")
        kernel, size = self.process.kernel, -(-command.size // PAGE_SIZE) * PAGE_SIZE
        if len(kernel.live) >= self.limits.objects:
            raise OSError(ENOMEM, f"{len(kernel.live)} objects")
        if kernel.live_bytes + size > self.limits.host_memory:
            raise OSError(ENOMEM, f"{size} bytes more")
        memory = self.backing(size, f"blob {blob_id}")
        buf = kernel.dma_buf_export(memory, EXPORTERS[ExporterKind(command.exporter)])
        try:
            if self.tagged:
                memory.write(0, BlobTag(blob_id=blob_id).build())
            context.objects[blob_id] = self.process.install(buf)
        finally:
            kernel.put(buf)

    # -- resources

    def _resource(self, resource_id: int) -> Fd:
        try:
            return self.resources[ResourceId(resource_id)]
        except KeyError:
            raise OSError(EINVAL, f"no resource {resource_id}") from None

    def create_blob(self, question: CreateBlob) -> Reply:
        """The object becomes a resource: it leaves its context, as a second blob of it would have two owners."""
        context = self._context(question.ctx_id)
        if ResourceId(question.resource_id) in self.resources:
            raise OSError(EBUSY, f"resource {question.resource_id} exists")
        if question.blob_mem == BlobMem.GUEST:
            raise OSError(EINVAL, "a guest blob has no memory on the host")
        if self.opaque and BlobId(question.blob_id) not in context.objects:
            alloc = StreamAlloc(exporter=ExporterKind.CACHED.value, blob_id=question.blob_id, size=question.size)
            self._alloc(context, BlobId(question.blob_id), alloc)
        fd = context.objects.get(BlobId(question.blob_id))
        if fd is None or self.process.file(fd).memory.size < question.size:
            raise OSError(EINVAL, f"no object {question.blob_id} of {question.size} bytes")
        del context.objects[BlobId(question.blob_id)]
        self.resources[ResourceId(question.resource_id)] = fd
        return _OK

    def unref(self, question: ResourceQuestion) -> Reply:
        self.process.close(self._resource(question.resource_id))
        del self.resources[ResourceId(question.resource_id)]
        for context in self.contexts.values():
            context.attached.discard(ResourceId(question.resource_id))
        return _OK

    def export_blob(self, question: ResourceQuestion) -> Reply:
        fd = self._resource(question.resource_id)
        passed = self.process.send(fd, self.vmm)
        return Answer(value=passed.memory.size).build(), (passed,)

    def get_map_info(self, question: ResourceQuestion) -> Reply:
        """virgl_renderer_resource_get_map_info: no renderer asks the kernel. NONE is not an answer but -EINVAL."""
        self._resource(question.resource_id)
        if self.guess is MapCache.NONE:
            raise OSError(EINVAL, "no map info")
        return Answer(value=self.guess.value).build(), ()

    # -- system calls of the VMM

    def ioctl(self, question: Ioctl) -> Reply:
        argument = bytearray(question.argument)
        self.vmm.ioctl(Fd(question.fd), question.request, argument)
        return Answer(size=len(argument), data=bytes(argument)).build(), ()

    def close(self, question: Close) -> Reply:
        self.vmm.close(Fd(question.fd))
        return _OK


_OK: Reply = (Answer().build(), ())
_CALLS: dict[int, Callable[[Renderer, Any], Reply]] = {
    Op.CTX_CREATE.value: Renderer.ctx_create,
    Op.CTX_DESTROY.value: Renderer.ctx_destroy,
    Op.CTX_ATTACH.value: Renderer.ctx_attach,
    Op.CTX_DETACH.value: Renderer.ctx_detach,
    Op.SUBMIT.value: Renderer.submit,
    Op.CREATE_BLOB.value: Renderer.create_blob,
    Op.UNREF.value: Renderer.unref,
    Op.EXPORT_BLOB.value: Renderer.export_blob,
    Op.GET_MAP_INFO.value: Renderer.get_map_info,
    Op.IOCTL.value: Renderer.ioctl,
    Op.CLOSE.value: Renderer.close,
    Op.FENCE.value: Renderer.fence,
    Op.RESET.value: Renderer.reset,
}
