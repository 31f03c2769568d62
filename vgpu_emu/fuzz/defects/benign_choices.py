"""What a device chooses, and ours chooses otherwise: how fast it is, how large, in which order it tells what it has."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from vgpu_emu.fuzz.defects.planted import Planted, around, finish
from vgpu_emu.vmm.asking import ask
from vgpu_emu.vmm.command import Handler, Refused
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Backing
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.display import DisplayOne, RespDisplayInfo
from vgpu_wire.renderer_link import Fence, Op, ResourceQuestion
from vgpu_wire.resource import MemEntry

#: seconds
_LATE = 0.003
_WIDEST = 512


class LateFences(Planted):
    """A fence takes three milliseconds more than the work before it."""

    def renderer(self, renderer: Any) -> Any:
        fence: Callable[[Fence, float], bool] = renderer.rings.fence

        def late(asked: Fence, now: float) -> bool:
            self.passed(True)
            renderer.rings.work((asked.ctx_id, asked.ring_idx), _LATE, now)
            return fence(asked, now)

        renderer.rings.fence = late
        return renderer


class CapsetsReversed(Planted):
    """The last capability set has the first index."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.GET_CAPSET_INFO, self._info)
        return device

    def _info(self, handler: Handler, device: Device, request: Any) -> Any:
        last = len(device.capsets) - 1
        if self.passed(request.capset_index <= last):
            request = replace(request, capset_index=last - request.capset_index)
        return handler(device, request)


class SmallHost(Planted):
    """The host has no textures that are wider than 512 pixels: RESP_ERR_OUT_OF_MEMORY."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_CREATE_2D, self._create)
        return device

    def _create(self, handler: Handler, device: Device, request: Any) -> Any:
        if self.passed(request.width > _WIDEST):
            raise Refused(Rule.HOST_MEMORY_LIMIT, HeaderOnly(type=CtrlType.RESP_ERR_OUT_OF_MEMORY.value))
        return handler(device, request)


class DetachIsStrict(Planted):
    """CTX_DETACH_RESOURCE of a resource that the context does not have is refused."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.CTX_DETACH_RESOURCE, self._detach)
        return device

    def _detach(self, handler: Handler, device: Device, request: Any) -> Any:
        context, resource = device.find_context(request.ctx_id), device.find(request.resource_id)
        if self.passed(context and resource and resource.resource_id not in context.attached):
            error = HeaderOnly(type=CtrlType.RESP_ERR_INVALID_RESOURCE_ID.value)
            raise Refused(Rule.CTX_RESOURCE_KNOWN, error)
        return handler(device, request)


class SizesOfDisabled(Planted):
    """A scanout that is not enabled says what size it would have; drivers look at `enabled` first."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.GET_DISPLAY_INFO, self._sizes)
        return device

    def _sizes(self, handler: Handler, device: Device, request: Any) -> Any:
        answer: Any = handler(device, request)
        modes: list[DisplayOne] = list(answer.pmodes)
        for index, scanout in enumerate(device.displays.scanouts):
            if self.passed(not scanout.enabled):
                rect = replace(modes[index].r, width=scanout.width, height=scanout.height)
                modes[index] = replace(modes[index], r=rect)
        return RespDisplayInfo(pmodes=tuple(modes))


class JoinedEntries(Planted):
    """Entries of a backing that are neighbours in guest memory are kept as one, and none that has no bytes."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_ATTACH_BACKING, self._attach)
        return device

    def _attach(self, handler: Handler, device: Device, request: Any) -> Any:
        answer, resource = handler(device, request), device.find(request.resource_id)
        if resource is not None and resource.backing is not None:
            before, joined = resource.backing.stretches, list[MemEntry]()
            for addr, length in before:
                if joined and joined[-1].addr + joined[-1].length == addr:
                    joined[-1] = replace(joined[-1], length=joined[-1].length + length)
                elif length:
                    joined.append(MemEntry(addr=addr, length=length))
            if self.passed(len(joined) < len(before)):
                resource.backing = Backing(joined)
        return answer


class AsksTwice(Planted):
    """The renderer is asked for its guess with every map, when the kernel has said how; nobody looks at the answer."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_MAP_BLOB, self._map)
        return device

    def _map(self, handler: Handler, device: Device, request: Any) -> Any:
        answer = yield from finish(handler(device, request))
        self.passed(True)
        yield from ask(ResourceQuestion(op=Op.GET_MAP_INFO.value, resource_id=request.resource_id))
        return answer
