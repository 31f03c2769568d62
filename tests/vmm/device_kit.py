"""What the tests of the whole device share: a device in lockstep with its renderer, spoken to in bytes."""

from collections.abc import Callable
from typing import Any, TypeVar

from vgpu_emu.assembly import Config
from vgpu_emu.drive.requests import MAPPABLE, PAGE, attach, host_blob, submit
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.vmm.asking import Reply, Steps, parse_reply
from vgpu_emu.vmm.state import Image
from vgpu_wire.blob import BlobMem
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import FIRST_ERROR, CtrlHdr
from vgpu_wire.device import CONTROLQ, CURSORQ
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CtxCreate
from vgpu_wire.renderer_link import Answer, Question
from vgpu_wire.resource import Format, ResourceCreate2D

T = TypeVar("T")
#: device-writable bytes of a request: more than any answer but a long capset's
ROOM = 4096
BGRA = Format.B8G8R8A8_UNORM.value
HOST3D_GUEST = BlobMem.HOST3D_GUEST.value


class Rig(Lockstep):
    """Lockstep, with requests that a test makes up. refusals: op -> the errno with which the renderer refuses it."""

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config or Config(guest_memory=1 << 20))
        self.device = self.parts.device
        self.memory = self.parts.memory
        self.refusals: dict[int, int] = {}
        self.questions: list[Question] = []
        self._head = 0

    def raw(self, data: bytes, *, queue: int = CONTROLQ, capacity: int = ROOM) -> Used | None:
        """A chain of these bytes; what the device does with it at once."""
        self._head += 1
        return self.submit(Chain(self._head, queue, data, capacity))

    def exchange(self, data: bytes, *, queue: int = CONTROLQ, capacity: int = ROOM) -> bytes:
        """The bytes of the answer to these bytes, which comes at once."""
        used = self.raw(data, queue=queue, capacity=capacity)
        assert used is not None
        assert used.queue == queue
        return used.written

    def send(self, request: CtrlHdr, *, capacity: int = ROOM) -> CtrlHdr | None:
        """The answer; None: it has to wait, or has no bytes."""
        used = self.raw(request.build(), queue=CURSORQ if request.type >= 0x300 else CONTROLQ, capacity=capacity)
        return parse_message(used.written) if used is not None and used.written else None

    def answer(self, request: CtrlHdr) -> CtrlHdr:
        answer = self.send(request)
        assert answer is not None, f"no answer to {request}"
        return answer

    def type_of(self, request: CtrlHdr) -> int:
        return self.answer(request).type

    def ok(self, *requests: CtrlHdr) -> CtrlHdr:
        """The answer to the last of these, all of which succeed."""
        answer = None
        for request in requests:
            answer = self.answer(request)
            assert answer.type < FIRST_ERROR, f"{request} -> {answer.type:#x}, {self.refused_rules()[-1:]}"
        assert answer is not None
        return answer

    def carry(self, steps: Steps[T]) -> T:
        """As Lockstep does, but for refusals."""
        reply: Reply | None = None
        try:
            while True:
                question = next(steps) if reply is None else steps.send(reply)
                self.questions.append(question)
                errno = self.refusals.get(question.op)
                if errno is None:
                    reply = parse_reply(*self.parts.renderer.handle(question.build(), self.now))
                else:
                    reply = Reply(Answer(errno=errno))
        except StopIteration as done:
            value: T = done.value
            return value

    def refused_rules(self) -> list[str]:
        return [note.values["rule"] for note in self.log.notes("refused")]

    def state(self) -> list[str]:
        """All that a request can change, comparable: of the device, the region, the renderer, the host kernel."""
        device, renderer = self.device, self.parts.renderer
        parts: list[Any] = [device.features, device.dead, device.image_bytes, device.blob_bytes]
        parts += [device.resources, device.contexts, device.displays.scanouts, device.displays.events]
        parts += [list(device.fences), device.fences.count, device.fences.busy, list(device.region)]
        parts += [bytes(image.pixels) for image in device.resources.values() if isinstance(image, Image)]
        parts += [renderer.contexts, renderer.resources, renderer.rings.next_due]
        parts += [renderer.process.files, renderer.vmm.files, self.parts.kernel.live]
        return [repr(part) for part in parts]

    # -- things to talk about

    def image(self, resource_id: int, width: int, height: int, *, pixel_format: int = BGRA, at: int | None = 0) -> None:
        """A 2D image, backed by guest memory from `at` on; None: not backed."""
        self.ok(ResourceCreate2D(resource_id=resource_id, format=pixel_format, width=width, height=height))
        if at is not None:
            self.ok(attach(resource_id, (at, width * height * 4)))

    def blob(
        self, resource_id: int, size: int = PAGE, *, exporter: ExporterKind = ExporterKind.WC, flags: int = MAPPABLE
    ) -> None:
        """A HOST3D blob of context 1, which is made if it is not there. Its blob_id is its resource id."""
        if not self.device.contexts:
            self.ok(CtxCreate(ctx_id=1))
        self.ok(submit(1, StreamAlloc(exporter=exporter.value, blob_id=resource_id, size=size)))
        self.ok(host_blob(resource_id, size, flags=flags))


Prepare = Callable[[Rig], object]
