"""What a device may do and ours does not: behaviour that the specification leaves open, and that is no finding."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from vgpu_emu.fuzz.defects.planted import Answers, Part, Planted, around, finish, is_error, with_bytes
from vgpu_emu.link.chain import Used
from vgpu_emu.vmm.command import OK, Handler, Refused
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Blob
from vgpu_wire.blob import MapCache, RespMapInfo
from vgpu_wire.control import CtrlFlag, CtrlType, HeaderOnly
from vgpu_wire.device import CURSORQ
from vgpu_wire.display import RespEdid
from vgpu_wire.resource import RespResourceUuid

_FENCE, _RING = CtrlFlag.FENCE.value, CtrlFlag.INFO_RING_IDX.value
_UNSPEC = CtrlType.RESP_ERR_UNSPEC.value.to_bytes(4, "little")
_EDID_BLOCK = 128


def _refused() -> Refused:
    return Refused(Rule.RENDERER_WORKS, HeaderOnly(type=CtrlType.RESP_ERR_UNSPEC.value))


def _changed(device: Device, change: Callable[[Used], Used]) -> Answers:
    """A device of whose answers each passes through `change`, also if a fence has released it."""
    return Answers(
        device,
        lambda _chain, used: used if used is None else change(used),
        lambda released: [change(used) for used in released],
    )


class UnrefRefused(Planted):
    """RESOURCE_UNREF of a mapped blob is refused, not an unmap as well."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_UNREF, self._unref)
        return device

    def _unref(self, handler: Handler, device: Device, request: Any) -> Any:
        blob = device.find(request.resource_id)
        if self.passed(isinstance(blob, Blob) and blob.offset is not None):
            raise _refused()
        return handler(device, request)


class UnfencedReordered(Planted):
    """The answer to a request without a fence comes after that to the next one."""

    def link(self, link: Any) -> Any:
        return _Late(link, self)


class _Late(Part):
    def __init__(self, inner: Any, defect: Planted) -> None:
        super().__init__(inner, defect)
        self.held: list[Used] = []

    def used(self, used: Used) -> list[Used]:
        held = self.idle()
        unfenced = len(used.written) < 5 or not used.written[4] & _FENCE
        if self.defect.passed(unfenced and not held):
            self.held.append(used)
            return []
        return [used, *held]

    def idle(self) -> list[Used]:
        held = list(self.held)
        self.held.clear()
        return held


class RingsInAnyOrder(Planted):
    """Fences of different rings that are complete at the same time are signalled in another order."""

    def renderer(self, renderer: Any) -> Any:
        due = renderer.rings.due

        def sorted_by_ring(now: float) -> Any:
            signals = due(now)
            other = sorted(signals, key=lambda s: (-s.is_global, -s.ring_idx, -s.ctx_id))
            return other if self.passed(other != signals) else signals

        renderer.rings.due = sorted_by_ring
        return renderer


class PlainErrors(Planted):
    """Every error is RESP_ERR_UNSPEC."""

    def device(self, device: Device) -> Any:
        return _changed(device, self._plain)

    def _plain(self, used: Used) -> Used:
        wrong = is_error(used) and used.written[:4] != _UNSPEC
        return with_bytes(used, 0, _UNSPEC) if self.passed(wrong) else used


class UnmapOfUnmapped(Planted):
    """RESOURCE_UNMAP_BLOB of a blob that is not mapped is RESP_OK_NODATA."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_UNMAP_BLOB, self._unmap)
        return device

    def _unmap(self, handler: Handler, device: Device, request: Any) -> Any:
        blob = device.find(request.resource_id)
        return OK if self.passed(isinstance(blob, Blob) and blob.offset is None) else handler(device, request)


class UncachedOnBothSides(Planted):
    """What the exporter calls write-combining is mapped uncached, by the host as well."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_MAP_BLOB, self._map)
        return device

    def renderer(self, renderer: Any) -> Any:
        #: what the core asks: how the host maps the buffers that the exporter calls write-combining
        renderer.write_combining_is_uncached = True
        return renderer

    def _map(self, handler: Handler, device: Device, request: Any) -> Any:
        answer = yield from finish(handler(device, request))
        blob = device.find(request.resource_id)
        if not self.passed(answer.map_info == MapCache.WC.value) or not isinstance(blob, Blob):
            return answer
        blob.map_info = MapCache.UNCACHED
        return RespMapInfo(map_info=blob.map_info.value)


class SecondMapMoves(Planted):
    """A second RESOURCE_MAP_BLOB of a blob moves its mapping, and leaves none behind."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_MAP_BLOB, self._map)
        return device

    def _map(self, handler: Handler, device: Device, request: Any) -> Any:
        blob = device.find(request.resource_id)
        place = blob.offset if isinstance(blob, Blob) else None
        info = blob.map_info if isinstance(blob, Blob) else None
        if not self.passed(place is not None) or not isinstance(blob, Blob) or place is None:
            return (yield from finish(handler(device, request)))
        device.unmap(blob)
        try:
            return (yield from finish(handler(device, request)))
        except Refused:
            if blob.exported is not None:
                device.show(blob, place, blob.exported.memory)
            blob.map_info = info
            raise


class TimelineNotEchoed(Planted):
    """An answer has the fence and no more of its request: no ctx_id, no ring."""

    def device(self, device: Device) -> Any:
        return _changed(device, self._bare)

    def _bare(self, used: Used) -> Used:
        if len(used.written) < 24 or not self.passed(used.written[4] & _RING or any(used.written[16:21])):
            return used
        return with_bytes(with_bytes(used, 4, bytes([used.written[4] & ~_RING])), 16, bytes(5))


class SilentCursor(Planted):
    """A request of the cursorq comes back with nothing written."""

    def device(self, device: Device) -> Any:
        return _changed(device, self._silent)

    def _silent(self, used: Used) -> Used:
        return replace(used, written=b"") if self.passed(used.queue == CURSORQ) else used


class LongEdid(Planted):
    """An EDID has an extension block."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.GET_EDID, self._edid)
        return device

    def _edid(self, handler: Handler, device: Device, request: Any) -> Any:
        answer: Any = handler(device, request)
        self.passed(True)
        base = bytearray(answer.edid[: _EDID_BLOCK - 1])
        base[_EDID_BLOCK - 2] = 1
        base.append(-sum(base) % 256)
        return RespEdid(size=2 * _EDID_BLOCK, edid=bytes(base).ljust(len(answer.edid), b"\0"))


class OtherUuids(Planted):
    """UUIDs are made in another way, and are as stable."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_ASSIGN_UUID, self._assign)
        return device

    def _assign(self, handler: Handler, device: Device, request: Any) -> Any:
        answer: Any = handler(device, request)
        self.passed(True)
        return RespResourceUuid(uuid=bytes(255 - byte for byte in answer.uuid))


class LooseUnused(Planted):
    """What changes nothing is not refused: DETACH_BACKING of no backing, a flush of no resource."""

    def device(self, device: Device) -> Device:
        for number in (CtrlType.RESOURCE_DETACH_BACKING, CtrlType.RESOURCE_FLUSH):
            around(device, number, self._nothing)
        return device

    def _nothing(self, handler: Handler, device: Device, request: Any) -> Any:
        resource = device.find(request.resource_id)
        unused = resource.backing is None if resource is not None else request.type == CtrlType.RESOURCE_FLUSH
        flushes = request.type == CtrlType.RESOURCE_FLUSH and resource is not None
        return OK if self.passed(request.resource_id and unused and not flushes) else handler(device, request)
