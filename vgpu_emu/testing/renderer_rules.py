"""What a host owes the VMM that asks it, as conversations with one."""

from errno import EBADF, ENOTTY, EPROTO
from random import Random

from vgpu_emu.memory import PAGE_SIZE, Memory
from vgpu_emu.testing.rules import Rule, unless
from vgpu_emu.testing.talking import SIZE, Talk
from vgpu_wire.dmabuf import DMA_BUF_INFO_VM_PROT, DMA_BUF_IOCTL_INFO, DMA_BUF_IOCTL_SYNC, DmaBufInfo
from vgpu_wire.renderer_link import QUESTIONS, ContextQuestion, Fence, Op, Question, ResourceQuestion, Submit

#: nothing has this id
_NOBODY = 77
_OURS = "vgpu_wire.renderer_link"


# -- bytes


def _answers_each(talk: Talk) -> None:
    for serial, (op, structure) in enumerate(QUESTIONS.items(), 1):
        answer, _ = talk.exchange(structure(op=op.value).build(), serial)
        unless(answer.serial == serial, f"{op.name} with serial {serial} was answered with {answer.serial}")


def _refuses_noise(talk: Talk) -> None:
    whole = ResourceQuestion(op=Op.UNREF.value, resource_id=1).build()
    for data in (b"", whole[:7], whole[:-1], whole + b"\0", Question(op=0).build(), Question(op=999).build()):
        answer, fds = talk.exchange(data)
        unless(answer.errno == EPROTO, f"{data.hex() or 'no bytes'} were answered with errno {answer.errno}")
        unless(not fds, "descriptors came with it")


def _survives_noise(talk: Talk) -> None:
    """Well-formed questions with random members; always the same ones."""
    random = Random(1)
    talk.blob()
    for _ in range(300):
        op, structure = random.choice(list(QUESTIONS.items()))
        if op is not Op.RESET:
            data = structure(op=op.value).build()
            members = [random.choice((0, 1, 5, 0xFFFFFFFF)).to_bytes(4, "little") for _ in data[8::4]]
            talk.exchange(data[:8] + b"".join(members))


def _refuses_without_descriptors(talk: Talk) -> None:
    answer, fds = talk.ask(ResourceQuestion(op=Op.EXPORT_BLOB.value, resource_id=_NOBODY))
    unless(answer.errno, "EXPORT_BLOB of an unknown resource succeeded")
    unless(not fds, "descriptors came with it")


# -- contexts, resources


def _context_ids(talk: Talk) -> None:
    talk.refused(ContextQuestion(op=Op.CTX_CREATE.value, ctx_id=0), "context 0 was made")
    talk.context()
    talk.refused(ContextQuestion(op=Op.CTX_CREATE.value, ctx_id=1), "context 1 was made twice")
    talk.done(ContextQuestion(op=Op.CTX_DESTROY.value, ctx_id=1))
    talk.context()


def _unknown_contexts(talk: Talk) -> None:
    for question in (
        ContextQuestion(op=Op.CTX_DESTROY.value, ctx_id=_NOBODY),
        ContextQuestion(op=Op.CTX_ATTACH.value, ctx_id=_NOBODY, value=talk.blob()),
        Submit(ctx_id=_NOBODY),
        talk.creation(9, blob_id=9, ctx_id=_NOBODY),
    ):
        talk.refused(question, f"{Op(question.op).name} succeeded for a context that there is not")


def _unknown_resources(talk: Talk) -> None:
    talk.context()
    for op in (Op.UNREF, Op.EXPORT_BLOB, Op.GET_MAP_INFO):
        talk.refused(ResourceQuestion(op=op.value, resource_id=_NOBODY), f"{op.name} succeeded for an unknown resource")
    attach = ContextQuestion(op=Op.CTX_ATTACH.value, ctx_id=1, value=_NOBODY)
    talk.refused(attach, "CTX_ATTACH succeeded for an unknown resource")


def _needs_object(talk: Talk) -> None:
    talk.context()
    talk.refused(talk.creation(5, blob_id=_NOBODY), "CREATE_BLOB succeeded without an object")
    talk.allocate(5)
    talk.refused(talk.creation(5, size=SIZE + PAGE_SIZE), "CREATE_BLOB succeeded beyond the end of the object")


def _one_owner(talk: Talk) -> None:
    talk.blob()
    talk.refused(talk.creation(6, blob_id=5), "a second blob was made of an object")


def _ids_once(talk: Talk) -> None:
    resource_id = talk.blob()
    talk.allocate(6)
    talk.refused(talk.creation(resource_id, blob_id=6), f"resource {resource_id} was made twice")
    talk.done(ResourceQuestion(op=Op.UNREF.value, resource_id=resource_id))
    talk.refused(ResourceQuestion(op=Op.UNREF.value, resource_id=resource_id), "a resource ended twice")
    talk.done(talk.creation(resource_id, blob_id=6))


def _outlives_context(talk: Talk) -> None:
    resource_id = talk.blob()
    talk.done(ContextQuestion(op=Op.CTX_DESTROY.value, ctx_id=1))
    talk.export(resource_id)


# -- dma-bufs


def _exports_all(talk: Talk) -> None:
    resource_id = talk.blob()
    answer, fds = talk.ask(ResourceQuestion(op=Op.EXPORT_BLOB.value, resource_id=resource_id))
    unless(not answer.errno, f"EXPORT_BLOB was refused with errno {answer.errno}")
    unless(len(fds) == 1, f"{len(fds)} descriptors came with it")
    unless(fds[0].memory.size >= SIZE, f"a blob of {SIZE} bytes has {fds[0].memory.size}")
    unless(answer.value == fds[0].memory.size, f"value {answer.value}, and the memory has {fds[0].memory.size} bytes")


def _same_bytes(talk: Talk) -> None:
    resource_id = talk.blob()
    first, second = talk.export(resource_id), talk.export(resource_id)
    unless(first.fd != second.fd, f"two exports have the number {first.fd}")
    _written(first.memory, second.memory)


def _written(here: Memory, there: Memory) -> None:
    """Bytes written here are read there; of memory without bytes, that it is the same."""
    if here.fileno is None:
        unless(here.identity == there.identity, "two exports of a blob are not the same memory")
        return
    here.write(0, b"written")
    unless(there.read(0, 7) == b"written", "what was written through one export is not in the other")


def _outlives_resource(talk: Talk) -> None:
    resource_id = talk.blob()
    exported = talk.export(resource_id)
    talk.done(ResourceQuestion(op=Op.UNREF.value, resource_id=resource_id))
    unless(exported.memory.holders, "its memory is gone")
    talk.shut(exported.fd)


def _descriptors_close_once(talk: Talk) -> None:
    exported = talk.export(talk.blob())
    talk.shut(exported.fd)
    for errno in (talk.close_errno(exported.fd), talk.ioctl(exported.fd, DMA_BUF_IOCTL_SYNC, bytes(8)).errno):
        unless(errno == EBADF, f"a closed descriptor was answered with errno {errno}")


def _unknown_ioctl(talk: Talk) -> None:
    errno = talk.ioctl(talk.export(talk.blob()).fd, 0xC0DE, bytes(8)).errno
    unless(errno == ENOTTY, f"errno {errno}")


def _info(talk: Talk) -> None:
    asked = DmaBufInfo(param=DMA_BUF_INFO_VM_PROT).build()
    answer = talk.ioctl(talk.export(talk.blob()).fd, DMA_BUF_IOCTL_INFO, asked)
    if not answer.errno:
        unless(len(answer.data) == len(asked), f"{len(answer.data)} bytes came back of {len(asked)}")
        unless(answer.data[:4] == asked[:4], "another param came back")


def _map_info(talk: Talk) -> None:
    question = ResourceQuestion(op=Op.GET_MAP_INFO.value, resource_id=talk.blob())
    answer, _ = talk.ask(question)
    again, _ = talk.ask(question)
    unless(answer.errno or answer.value in {1, 2, 3}, f"map_info {answer.value} is none of VIRTIO_GPU_MAP_CACHE_*")
    unless((answer.errno, answer.value) == (again.errno, again.value), "it was not the same the second time")


# -- fences, reset


def _idle_fence(talk: Talk) -> None:
    talk.context()
    unless(not talk.fence(1), "a fence behind nothing is pending")
    unless(not talk.host.rings.due(1e9), "a fence that was not pending was signalled")


def _reset(talk: Talk) -> None:
    resource_id = talk.blob()
    exported = talk.export(resource_id)
    talk.done(Question(op=Op.RESET.value))
    talk.refused(ResourceQuestion(op=Op.UNREF.value, resource_id=resource_id), "a resource is still there")
    talk.context()
    unless(exported.memory.holders, "the memory of a descriptor that the VMM has is gone")
    talk.shut(exported.fd)


def _pending_fence(talk: Talk) -> None:
    talk.context()
    talk.work(1000)
    unless(talk.fence(1), "a fence behind work is not pending")
    unless(talk.host.rings.next_due is not None, "rings.next_due says that nothing is pending")
    unless(not talk.host.rings.due(0.0005), "it was signalled before the work was done")
    signals = [signal.fence_id for signal in talk.host.rings.due(1.0)]
    unless(signals == [1], f"then fences {signals} were signalled")
    unless(not talk.host.rings.due(2.0), "it was signalled twice")


def _fences_in_order(talk: Talk) -> None:
    talk.context()
    for fence_id in (1, 2, 3):
        talk.work(1000)
        unless(talk.fence(fence_id), f"fence {fence_id} behind work is not pending")
    signals = [signal.fence_id for signal in talk.host.rings.due(1.0)]
    unless(signals == [1, 2, 3], f"fences 1, 2, 3 of a ring were signalled as {signals}")


def _rings_apart(talk: Talk) -> None:
    talk.context()
    talk.work(1000, ring_idx=1)
    unless(not talk.fence(1, ring_idx=2), "a fence of ring 2 waits for work on ring 1")
    talk.done(Fence(ctx_id=1, ring_idx=1, fence_id=2))
    (signal,) = talk.host.rings.due(1.0)
    seen = signal.ctx_id, signal.ring_idx, signal.is_global, signal.fence_id
    unless(seen == (1, 1, 0, 2), f"fence 2 of context 1, ring 1 was signalled as {signal}")


def _reset_forgets_fences(talk: Talk) -> None:
    talk.context()
    talk.work(1000)
    talk.fence(1)
    talk.done(Question(op=Op.RESET.value))
    unless(not talk.host.rings.due(1.0), "a fence from before it was signalled")


_CREATE = "virgl_renderer_resource_create_blob"
_EXPORT = "virgl_renderer_resource_export_blob"
_FENCE = "virgl_renderer_context_create_fence; virtio 1.4, 5.7.6.7"
RULES: list[Rule[None]] = [
    Rule("every question has one answer, with its serial", _OURS, _answers_each),
    Rule("bytes that are no question get EPROTO", _OURS, _refuses_noise),
    Rule("whatever is asked is answered", _OURS, _survives_noise),
    Rule("a refusal carries no descriptors", _OURS, _refuses_without_descriptors),
    Rule("a context id is used once, and is not 0", "virgl_renderer_context_create_with_flags", _context_ids),
    Rule("a context that there is not is refused", "virglrenderer.h", _unknown_contexts),
    Rule("a resource that there is not is refused", "virglrenderer.h", _unknown_resources),
    Rule("a blob is made of an object of its context, which is large enough", _CREATE, _needs_object),
    Rule("an object becomes one blob", _CREATE, _one_owner),
    Rule("a resource id is used once at a time", _CREATE, _ids_once),
    Rule("a resource outlives its context", "virgl_renderer_resource_unref", _outlives_context),
    Rule("an export is one descriptor, of all of the blob, and says its size", _EXPORT, _exports_all),
    Rule("all exports of a blob are the same memory", _EXPORT, _same_bytes),
    Rule("a dma-buf lives as long as a descriptor", "Linux drivers/dma-buf/dma-buf.c", _outlives_resource),
    Rule("a descriptor is closed once", "close(2)", _descriptors_close_once),
    Rule("an unknown ioctl is ENOTTY", "ioctl(2)", _unknown_ioctl),
    Rule("DMA_BUF_IOCTL_INFO is refused, or gives its structure back", "dma-buf map-info series", _info),
    Rule("map info is CACHED, UNCACHED or WC, or an error", "virgl_renderer_resource_get_map_info", _map_info),
    Rule("a fence with nothing to wait for is complete", _FENCE, _idle_fence),
    Rule("a reset ends contexts and resources, not the VMM's descriptors", "virgl_renderer_reset", _reset),
]
#: of hosts that work can be given to
PENDING: list[Rule[None]] = [
    Rule("a fence is signalled once, when the work before it is done", _FENCE, _pending_fence),
    Rule("the fences of a ring are signalled in their order", _FENCE, _fences_in_order),
    Rule("rings do not wait for each other, and a signal names the fence's", _FENCE, _rings_apart),
    Rule("after a reset no fence from before is signalled", "virgl_renderer_reset", _reset_forgets_fences),
]
