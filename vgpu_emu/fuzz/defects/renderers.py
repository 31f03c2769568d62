"""P17 and others: what a renderer does wrong."""

from typing import Any

from vgpu_emu.fuzz.defects.planted import Planted, Replies, number_of
from vgpu_emu.ids import ResourceId
from vgpu_emu.memory import Memory
from vgpu_wire.renderer_link import Op

_LEFT = b"\xa5"


class NotZeroed(Planted):
    """New memory shows what its last owner left in it."""

    def renderer(self, renderer: Any) -> Any:
        make = renderer.backing
        made: list[Memory] = []

        def reuse(size: int, name: str) -> Memory:
            memory: Memory = make(size, name)
            gone = any(not before.holders for before in made)
            made.append(memory)
            if self.passed(gone and memory.fileno is not None):
                memory.write(0, _LEFT * size)
            return memory

        renderer.backing = reuse
        return renderer


class ExportsTheFirst(Planted):
    """With three blobs, a blob of the same size as the oldest one is exported as that."""

    def renderer(self, renderer: Any) -> Any:
        export = renderer._resource

        def first(resource_id: int) -> Any:
            fd = export(resource_id)
            oldest = next(iter(renderer.resources.values()))
            size = renderer.process.file(fd).memory.size
            same = fd != oldest and renderer.process.file(oldest).memory.size == size
            return oldest if self._exporting and self.passed(len(renderer.resources) >= 3 and same) else fd

        self._exporting = False
        renderer._resource = first
        handle = renderer.handle

        def watched(data: bytes, now: float = 0.0) -> Any:
            self._exporting = number_of(data) == Op.EXPORT_BLOB
            return handle(data, now)

        renderer.handle = watched
        return renderer


class ContextEndsObjects(Planted):
    """CTX_DESTROY ends the blobs, too, that were attached to the context and to no other."""

    def renderer(self, renderer: Any) -> Any:
        return Replies(renderer, lambda op, data, reply: self._replied(renderer, op, data, reply))

    def _replied(self, renderer: Any, op: int, data: bytes, reply: Any) -> Any:
        if op == Op.CTX_ATTACH:
            self._last = number_of(data[8:]), ResourceId(number_of(data[12:]))
        if op == Op.CTX_DESTROY:
            ctx_id, resource_id = getattr(self, "_last", (0, ResourceId(0)))
            others = any(resource_id in context.attached for context in renderer.contexts.values())
            if self.passed(ctx_id == number_of(data[8:]) and resource_id in renderer.resources and not others):
                renderer.process.close(renderer.resources.pop(resource_id))
        return reply


class LeaksWhenFull(Planted):
    """A command stream that is refused in its middle keeps a reference to the last object that it made."""

    def renderer(self, renderer: Any) -> Any:
        return Replies(renderer, lambda op, data, reply: self._replied(renderer, op, data, reply))

    def _replied(self, renderer: Any, op: int, data: bytes, reply: Any) -> Any:
        if op == Op.SUBMIT and number_of(data[8:]) in renderer.contexts:
            objects = renderer.contexts[number_of(data[8:])].objects
            if self.passed(number_of(reply[0]) and len(objects) >= 2):
                renderer.process.file(list(objects.values())[-1]).refs += 1
        return reply
