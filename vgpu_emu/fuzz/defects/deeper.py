"""Defects of a VMM that take several objects, or a snapshot, or a reset, to show."""

from collections.abc import Iterator
from typing import Any

import msgspec

from vgpu_emu.fuzz.defects.planted import Part, Planted, around, finish
from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.vmm.command import Handler
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.state import Blob
from vgpu_wire.blob import MapCache, RespMapInfo
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature


def _mapped(device: Device) -> Iterator[Blob]:
    return (r for r in device.resources.values() if isinstance(r, Blob) and r.offset is not None)


class _Attribute(Planted):
    """Says another attribute than the exporter's, where `_instead` knows one."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_MAP_BLOB, self._map)
        return device

    def _map(self, handler: Handler, device: Device, request: Any) -> Any:
        before = list(_mapped(device))
        answer = yield from finish(handler(device, request))
        blob = device.resources[request.resource_id]
        instead = self._instead(before, MapCache(answer.map_info))
        if not self.passed(instead.value != answer.map_info) or not isinstance(blob, Blob):
            return answer
        blob.map_info = instead
        return RespMapInfo(map_info=instead.value)

    def _instead(self, before: list[Blob], said: MapCache) -> MapCache:
        raise NotImplementedError


class AttributeOfTheFirst(_Attribute):
    """While two blobs are mapped, a third has the attribute of the first: the region's was fixed with it."""

    def _instead(self, before: list[Blob], said: MapCache) -> MapCache:
        return (before[0].map_info or said) if len(before) >= 2 else said


class CachedWhenMany(_Attribute):
    """With three mappings, a write-combined blob is said to be cached."""

    def _instead(self, before: list[Blob], said: MapCache) -> MapCache:
        return MapCache.CACHED if len(before) >= 3 and said is MapCache.WC else said


class NeighbourCut(Planted):
    """Unmapping a blob takes the first page of the mapping behind it as well."""

    def device(self, device: Device) -> Device:
        cut = device.region.cut

        def wider(offset: int, length: int) -> None:
            behind = device.region.overlapping(offset + length, PAGE_SIZE)
            cut(offset, length + PAGE_SIZE if self.passed(behind) else length)

        device.region.cut = wider  # type: ignore[method-assign]
        return device


class LastEntryMisplaced(Planted):
    """Of a backing of three entries or more, the last one starts a word late."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_ATTACH_BACKING, self._attach)
        return device

    def _attach(self, handler: Handler, device: Device, request: Any) -> Any:
        answer = handler(device, request)
        backing = device.resources[request.resource_id].backing
        if self.passed(backing is not None and len(backing.stretches) >= 3) and backing is not None:
            backing._shifts[-1] -= 4
        return answer


class BytesOfTheShared(Planted):
    """The bytes of a blob that two contexts have are not given back when it ends."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_UNREF, self._unref)
        return device

    def _unref(self, handler: Handler, device: Device, request: Any) -> Any:
        blob = device.find(request.resource_id)
        owners = sum(request.resource_id in context.attached for context in device.contexts.values())
        answer = yield from finish(handler(device, request))
        if self.passed(owners >= 2 and isinstance(blob, Blob)) and isinstance(blob, Blob):
            device.blob_bytes += blob.size
        return answer


class OldEdid(Planted):
    """The EDID of a display is that of the first question, also after the display is another."""

    def device(self, device: Device) -> Device:
        self._said: dict[int, Any] = {}
        around(device, CtrlType.GET_EDID, self._edid)
        return device

    def _edid(self, handler: Handler, device: Device, request: Any) -> Any:
        fresh = handler(device, request)
        old = self._said.setdefault(request.scanout, fresh)
        return old if self.passed(old != fresh) else fresh


class ResetKeepsContexts(Planted):
    """A reset leaves contexts behind where there were more than two."""

    def device(self, device: Device) -> Any:
        return _Resetting(device, self)


class _Resetting(Part):
    def reset(self) -> Any:
        before = dict(self.inner.contexts)
        yield from self.inner.reset()
        if self.defect.passed(len(before) > 2):
            self.inner.contexts.update(before)


class ClosedGatesStayOpen(Planted):
    """A driver that accepts less than the one before the reset still has the commands that came with the rest."""

    def device(self, device: Device) -> Any:
        return _Negotiating(device, self)


class _Negotiating(Part):
    def __init__(self, inner: Device, defect: Planted) -> None:
        super().__init__(inner, defect)
        #: commands that no driver has been able to use
        self.shut = inner._closed

    def reset(self) -> Any:
        self.shut = self.inner._closed
        yield from self.inner.reset()

    def negotiate(self, features: frozenset[Feature]) -> bool:
        accepted: bool = self.inner.negotiate(features)
        if self.defect.passed(self.inner._closed - self.shut):
            self.inner._closed &= self.shut
        return accepted


class ScanoutOffsetLost(Planted):
    """A snapshot does not have where in its blob a scanout starts."""

    def snapshot(self, data: bytes) -> bytes:
        state = msgspec.json.decode(data)
        wrong = [scanout["shown"] for scanout in state["scanouts"] if scanout["shown"] and scanout["shown"]["offset"]]
        for shown in wrong:
            shown["offset"] = 0
        return msgspec.json.encode(state) if self.passed(wrong) else data
