"""An oracle on memory that nobody counts: what a resource had is gone with it (I9, I10)."""

import gc
from weakref import ref

from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.judge import Judge
from vgpu_emu.ids import ResourceId
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.state import Backing, Image
from vgpu_wire.control import CtrlType

#: requests that give a resource something, and where its id is in each of them
NEWBORN = {
    CtrlType.RESOURCE_CREATE_2D.value,
    CtrlType.RESOURCE_CREATE_3D.value,
    CtrlType.RESOURCE_ATTACH_BACKING.value,
    CtrlType.RESOURCE_CREATE_BLOB.value,
}
_RESOURCE_ID = slice(24, 28)


class Census:
    """Every backing and every image's pixels that there were since the machine's start, as far as they live."""

    def __init__(self) -> None:
        self._known: dict[int, ref[Backing] | ref[memoryview]] = {}

    def register(self, device: Device, request: bytes) -> None:
        """After a request that may have given its resource a backing, or pixels."""
        resource = device.resources.get(ResourceId(int.from_bytes(request[_RESOURCE_ID], "little")))
        if resource is None:
            return
        if resource.backing is not None:
            self._known[id(resource.backing)] = ref(resource.backing)
        if isinstance(resource, Image):
            self._known[id(resource.pixels)] = ref(resource.pixels)

    def look(self, device: Device, judge: Judge) -> None:
        """Raises Finding."""
        judge.evaluated["I9"] += 1
        if self._left(device):
            # what is in a cycle is nobody's leak
            gc.collect()
            for thing in self._left(device):
                kind = "a backing is" if isinstance(thing, Backing) else "an image's pixels are"
                raise Finding("I9", f"{kind} still there, and the resource that had it is gone, or has another")

    def _left(self, device: Device) -> list[Backing | memoryview]:
        resources = device.resources.values()
        owned = {id(resource.backing) for resource in resources}
        owned |= {id(resource.pixels) for resource in resources if isinstance(resource, Image)}
        living = [(number, known()) for number, known in self._known.items()]
        self._known = {number: self._known[number] for number, thing in living if thing is not None}
        return [thing for number, thing in living if thing is not None and number not in owned]
