"""What a call of a guest program must make the driver send."""

from collections.abc import Iterable
from typing import Any

from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.ids import GemHandle
from vgpu_wire.control import CtrlType
from vgpu_wire.messages import MESSAGES, type_name
from vgpu_wire.render import CtxResource


class Promise:
    """What a call must make the driver send: the members of the last request of a type."""

    def __init__(self, number: CtrlType, **members: Any) -> None:
        self.number = number
        self.members = members

    def check(self, sent: list[bytes]) -> None:
        """sent: the requests since the call began. Raises Finding."""
        found = [data for data in sent if int.from_bytes(data[:4], "little") == self.number]
        if not found:
            raise Finding("I6", f"the driver did not send {type_name(self.number)}")
        request = MESSAGES[self.number].parse(found[-1])
        for name, wanted in self.members.items():
            actual = getattr(request, name)
            if actual != wanted:
                raise Finding("I6", f"{type_name(self.number)}: {name} is {actual!r}, not {wanted!r}")


class Detached:
    """The promise that a context is told of closed handles: of each, in the order in which Linux closes them, and of no
    other (drm_gem_release, virtio_gpu_gem_object_close)."""

    def __init__(self, file: DrmFile, handles: Iterable[GemHandle]) -> None:
        closed = [file.handles[handle] for handle in handles if handle in file.handles]
        self._wanted = [(file.ctx_id, int(gem.resource_id)) for gem in closed if file.context_created]

    def check(self, sent: list[bytes]) -> None:
        """sent: the requests since the call began. Raises Finding."""
        number = CtrlType.CTX_DETACH_RESOURCE
        found = [CtxResource.parse(data) for data in sent if int.from_bytes(data[:4], "little") == number]
        told = [(request.ctx_id, request.resource_id) for request in found]
        if told != self._wanted:
            raise Finding("I6", f"the driver detached, as (context, resource), {told}, not {self._wanted}")
