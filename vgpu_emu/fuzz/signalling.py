"""An oracle on the driver's fences: signalled are those that were answered, and what was before them on their ring."""

from collections.abc import Iterable
from typing import Any

from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.guest.fences import FenceDriver
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType
from vgpu_wire.messages import MESSAGES

_FENCE, _RING = CtrlFlag.FENCE.value, CtrlFlag.INFO_RING_IDX.value
_HEADER = CtrlHdr.layout.size
#: where the low byte of the flags is: most requests have none, and are not parsed for that
_FLAGS_AT = 4
#: requests whose fence is one of the resource that they name (virtio_gpu_array_add_fence); a command stream names none
_NAMES = {
    CtrlType.RESOURCE_CREATE_2D.value,
    CtrlType.RESOURCE_CREATE_3D.value,
    CtrlType.TRANSFER_TO_HOST_2D.value,
    CtrlType.TRANSFER_TO_HOST_3D.value,
    CtrlType.TRANSFER_FROM_HOST_3D.value,
    CtrlType.RESOURCE_FLUSH.value,
}
#: context and ring; None: those of the device's one timeline
Timeline = tuple[int, int] | None


class Signalling:
    """Of one driver's requests."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        #: fence -> its timeline, of those that nothing has signalled yet
        self._waiting: dict[int, Timeline] = {}
        #: resource -> the fences of what named it, those of old, too
        self._named: dict[int, set[int]] = {}

    def names(self, fence_id: int, resources: Iterable[int]) -> None:
        """What is done when this fence is signalled uses these resources."""
        for number in resources:
            self._named.setdefault(number, set()).add(fence_id)

    def due(self, resource: int) -> set[int]:
        """The fences for it that nothing has signalled."""
        return self._named.get(resource, set()) & self._waiting.keys()

    def sends(self, data: bytes) -> None:
        """The driver makes a request available."""
        if len(data) >= _HEADER and data[_FLAGS_AT] & _FENCE:
            header = CtrlHdr.parse(data[:_HEADER])
            self._waiting[header.fence_id] = (header.ctx_id, header.ring_idx) if header.flags & _RING else None
            if header.type in _NAMES:
                request: Any = MESSAGES[header.type].parse(data)
                self.names(header.fence_id, [request.resource_id])

    def answered(self, written: bytes, fences: FenceDriver) -> None:
        """The driver has seen an answer. Raises Finding."""
        if len(written) < _HEADER or not written[_FLAGS_AT] & _FENCE:
            return
        fence_id = CtrlHdr.parse(written[:_HEADER]).fence_id
        if fence_id in self._waiting:
            timeline = self._waiting[fence_id]
            for earlier in [number for number, of in self._waiting.items() if of == timeline and number <= fence_id]:
                del self._waiting[earlier]
        if fence_id in fences:
            raise Finding("I21", f"fence {fence_id} is answered, and the driver does not take it for signalled")
        for waiting in self._waiting:
            if waiting not in fences:
                raise Finding("I21", f"fence {waiting} is signalled, and its request is not answered")
