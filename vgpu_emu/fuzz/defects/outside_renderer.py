"""Defects of a renderer by somebody who has not read the oracles: blobs made of objects (L3)."""

from typing import Any

from msgspec.structs import replace

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.defects.outside_seams import Outside
from vgpu_wire.errors import WireError
from vgpu_wire.renderer_link import Answer, CreateBlob, numbered, parse_question


class _CreateBlobs(Wrapper):
    """A renderer that answers CREATE_BLOB with `created`."""

    def handle(self, data: bytes, now: float = 0.0) -> Any:
        try:
            question = parse_question(data)
        except WireError:
            return self.inner.handle(data, now)
        return self.created(question, data, now) if isinstance(question, CreateBlob) else self.inner.handle(data, now)

    def created(self, question: CreateBlob, data: bytes, now: float) -> Any:
        raise NotImplementedError


class ObjectOfAnotherContext(Outside):
    """CREATE_BLOB takes the object of the oldest context that has one of this blob_id, if the one it names has, too."""

    component = "renderer"

    def renderer(self, renderer: Any) -> Any:
        defect = self

        class Objects(_CreateBlobs):
            def created(self, question: CreateBlob, data: bytes, now: float) -> Any:
                owners = [number for number, has in renderer.contexts.items() if question.blob_id in has.objects]
                if question.ctx_id in owners:
                    defect.reached += 1
                    defect.triggered += owners[0] != question.ctx_id
                    data = numbered(replace(question, ctx_id=owners[0]).build(), question.serial)
                return self.inner.handle(data, now)

        return Objects(renderer)


class RefusedBlobTakesObject(Outside):
    """A CREATE_BLOB that is refused because it wants more bytes than the object has frees the object."""

    component = "renderer"

    def renderer(self, renderer: Any) -> Any:
        defect = self

        class Objects(_CreateBlobs):
            def created(self, question: CreateBlob, data: bytes, now: float) -> Any:
                reply = self.inner.handle(data, now)
                context = renderer.contexts.get(question.ctx_id)
                if context is not None and Answer.parse(reply[0]).errno:
                    defect.reached += 1
                    self._free(context.objects, question)
                return reply

            def _free(self, objects: Any, question: CreateBlob) -> None:
                fd = objects.get(question.blob_id)
                if fd is not None and renderer.process.file(fd).memory.size < question.size:
                    defect.triggered += 1
                    renderer.process.close(objects.pop(question.blob_id))

        return Objects(renderer)
