"""A condition brought about on a real device, and the device made as new for the next one."""

from collections.abc import Iterable
from contextlib import suppress

from vgpu_emu.drive.answer import DIED, NO_ANSWER, Answer, answer_of, is_error
from vgpu_emu.drive.conditions import Condition
from vgpu_emu.drive.requests import cursor, scanout
from vgpu_emu.link.chain import Chain
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.front.machine import DeviceMachine
from vgpu_wire.blob import ResourceUnmapBlob
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.device import CONTROLQ, CURSORQ
from vgpu_wire.errors import WireError
from vgpu_wire.messages import parse_message, type_name
from vgpu_wire.render import CtxDestroy
from vgpu_wire.resource import ResourceUnref

#: device-writable bytes of every request
ROOM = 4096


def queue_of(request: bytes) -> int:
    """Where a request of this type belongs."""
    return CURSORQ if CtrlType.UPDATE_CURSOR <= int.from_bytes(request[:4], "little") < 0x400 else CONTROLQ


class Asker:
    """Asks one device. error: why it answers no more."""

    def __init__(self, machine: DeviceMachine) -> None:
        self._machine = machine
        self._head = 0
        self.error: DeviceError | None = None

    async def ask(self, condition: Condition) -> Answer:
        """The answer to the condition's request."""
        blocked = ""
        for request in condition.before:
            answer = await self._send(request.build())
            if is_error(answer) and not blocked:
                blocked = f"{type_name(request.type)}: {answer.word}"
            if self.error is not None:
                return Answer(answer.word, blocked=blocked)
        return await self._send(condition.request, condition.queue, blocked)

    async def _send(self, request: bytes, queue: int | None = None, blocked: str = "") -> Answer:
        self._head += 1
        queue = queue_of(request) if queue is None else queue
        try:
            self._machine.port.send([Chain(self._head, queue, request, ROOM)])
            while True:
                for used in await self._machine.port.receive():
                    if used.head == self._head:
                        return answer_of(used.written, blocked)
        except DeviceError as error:
            self.error = error
            return Answer(NO_ANSWER if error.fault is DeviceFault.SILENT else DIED, blocked=blocked)

    async def clean(self, condition: Condition) -> None:
        """Undo what its requests may have made; a device that has not made it says so, which nobody looks at."""
        for request in undoing(condition, self._machine.driver.config.read().num_scanouts):
            if self.error is None:
                await self._send(request.build())


def undoing(condition: Condition, scanouts: int) -> Iterable[CtrlHdr]:
    """Requests after which nothing is left of what the condition's have made."""
    requests = [*condition.before]
    with suppress(WireError):
        requests.append(parse_message(condition.request))
    resources = {found for request in requests if (found := getattr(request, "resource_id", 0))}
    contexts = {request.ctx_id for request in requests if request.ctx_id}
    yield cursor(0)
    yield from (scanout(number, 0) for number in range(scanouts))
    if any(request.type == CtrlType.RESOURCE_MAP_BLOB for request in requests):
        yield from (ResourceUnmapBlob(resource_id=resource_id) for resource_id in sorted(resources))
    yield from (ResourceUnref(resource_id=resource_id) for resource_id in sorted({*resources, 0}))
    yield from (CtxDestroy(ctx_id=ctx_id) for ctx_id in sorted(contexts))
