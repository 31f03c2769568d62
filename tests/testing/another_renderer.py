"""A renderer that is not ours, as small as it can be: written from vgpu_wire.renderer_link, it shares no code."""

from collections.abc import Callable
from errno import EBADF, EINVAL, ENOTTY, EPROTO
from itertools import count
from typing import Any

from vgpu_emu.ids import Fd
from vgpu_emu.memory import Memory, PassedFd
from vgpu_wire.context_stream import StreamAlloc, StreamWork, stream_commands
from vgpu_wire.errors import WireError
from vgpu_wire.renderer_link import Answer, Op, Signal, numbered, parse_question

Reply = tuple[Answer, tuple[PassedFd, ...]]
DONE: Reply = (Answer(), ())
#: its answer to GET_MAP_INFO: WC
MAP_INFO = 3


def need(holds: object, errno: int = EINVAL) -> None:
    if not holds:
        raise OSError(errno, "refused")


class Clock:
    """When each ring is done, and the fences behind that."""

    def __init__(self) -> None:
        self.busy: dict[tuple[int, int], float] = {}
        self.pending: list[tuple[float, Signal]] = []

    @property
    def next_due(self) -> float | None:
        return min((when for when, _ in self.pending), default=None)

    def due(self, now: float) -> list[Signal]:
        complete = [signal for when, signal in self.pending if when <= now]
        self.pending = [each for each in self.pending if each[0] > now]
        return complete


class AnotherRenderer:
    """It has no ioctl and no limits. contexts: id -> the memory of its objects. fds: the VMM's."""

    def __init__(self) -> None:
        self.contexts: dict[int, dict[int, Memory]] = {}
        self.resources: dict[int, Memory] = {}
        self.fds: dict[int, Memory] = {}
        self.rings = Clock()
        self._numbers = count(100)
        self._now = 0.0

    def handle(self, data: bytes, now: float = 0.0) -> tuple[bytes, tuple[PassedFd, ...]]:
        self._now = now
        try:
            question: Any = parse_question(data)
            answer, fds = CALLS[Op(question.op)](self, question)
        except WireError:
            answer, fds = Answer(errno=EPROTO), ()
        except OSError as error:
            answer, fds = Answer(errno=error.errno or EINVAL), ()
        return numbered(answer.build(), int.from_bytes(data[4:8], "little")), fds

    def die(self) -> None:
        self.reset()
        for memory in self.fds.values():
            memory.release()
        self.fds.clear()

    def reset(self, _question: object = None) -> Reply:
        for memory in [*self.resources.values(), *(m for objects in self.contexts.values() for m in objects.values())]:
            memory.release()
        self.contexts.clear()
        self.resources.clear()
        self.rings = Clock()
        return DONE

    def create_context(self, question: Any) -> Reply:
        need(question.ctx_id and question.ctx_id not in self.contexts)
        self.contexts[question.ctx_id] = {}
        return DONE

    def destroy_context(self, question: Any) -> Reply:
        need(question.ctx_id in self.contexts)
        for memory in self.contexts.pop(question.ctx_id).values():
            memory.release()
        return DONE

    def attach(self, question: Any) -> Reply:
        need(question.ctx_id in self.contexts)
        need(question.op == Op.CTX_DETACH or question.value in self.resources)
        return DONE

    def submit(self, question: Any) -> Reply:
        need(question.ctx_id in self.contexts)
        for command in stream_commands(question.commands):
            if isinstance(command, StreamAlloc):
                memory = Memory.memfd(-(-command.size // 4096) * 4096, "another")
                self.contexts[question.ctx_id][command.blob_id] = memory
            elif isinstance(command, StreamWork):
                ring = question.ctx_id, question.ring_idx
                start = max(self._now, self.rings.busy.get(ring, 0.0))
                self.rings.busy[ring] = start + command.microseconds / 1e6
        return DONE

    def create_blob(self, question: Any) -> Reply:
        need(question.ctx_id in self.contexts and question.resource_id not in self.resources)
        objects = self.contexts[question.ctx_id]
        need(question.blob_id in objects and objects[question.blob_id].size >= question.size)
        self.resources[question.resource_id] = objects.pop(question.blob_id)
        return DONE

    def unref(self, question: Any) -> Reply:
        need(question.resource_id in self.resources)
        self.resources.pop(question.resource_id).release()
        return DONE

    def export(self, question: Any) -> Reply:
        need(question.resource_id in self.resources)
        memory, number = self.resources[question.resource_id], next(self._numbers)
        self.fds[number] = memory.hold()
        return Answer(value=memory.size), (PassedFd(Fd(number), memory.hold()),)

    def map_info(self, question: Any) -> Reply:
        need(question.resource_id in self.resources)
        return Answer(value=MAP_INFO), ()

    def ioctl(self, question: Any) -> Reply:
        raise OSError(ENOTTY if question.fd in self.fds else EBADF, "no ioctl")

    def close(self, question: Any) -> Reply:
        need(question.fd in self.fds, EBADF)
        self.fds.pop(question.fd).release()
        return DONE

    def fence(self, question: Any) -> Reply:
        ring = question.ctx_id, question.ring_idx
        behind = [until for each, until in self.rings.busy.items() if question.is_global or each == ring]
        if max(behind, default=0.0) <= self._now:
            return DONE
        names = {"ctx_id": question.ctx_id, "ring_idx": question.ring_idx, "is_global": question.is_global}
        self.rings.pending.append((max(behind), Signal(**names, fence_id=question.fence_id)))
        return Answer(value=1), ()


CALLS: dict[Op, Callable[[AnotherRenderer, Any], Reply]] = {
    Op.CTX_CREATE: AnotherRenderer.create_context,
    Op.CTX_DESTROY: AnotherRenderer.destroy_context,
    Op.CTX_ATTACH: AnotherRenderer.attach,
    Op.CTX_DETACH: AnotherRenderer.attach,
    Op.SUBMIT: AnotherRenderer.submit,
    Op.CREATE_BLOB: AnotherRenderer.create_blob,
    Op.UNREF: AnotherRenderer.unref,
    Op.EXPORT_BLOB: AnotherRenderer.export,
    Op.GET_MAP_INFO: AnotherRenderer.map_info,
    Op.IOCTL: AnotherRenderer.ioctl,
    Op.CLOSE: AnotherRenderer.close,
    Op.FENCE: AnotherRenderer.fence,
    Op.RESET: AnotherRenderer.reset,
}
