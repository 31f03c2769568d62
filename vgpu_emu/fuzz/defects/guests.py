"""P13, P14 and others: what a guest's driver does wrong."""

from typing import Any

from vgpu_emu.fuzz.defect import Wrapper
from vgpu_emu.fuzz.defects.planted import Part, Planted, number_of, with_bytes
from vgpu_emu.guest.vram import MapState, VramObject
from vgpu_emu.link.chain import Used
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.blob import MapCache, RespMapInfo
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType

_MAP_INFO_AT = RespMapInfo.layout.size - 8


class UncachedIsCached(Planted):
    """The driver takes UNCACHED for cached."""

    def driver(self, driver: Any) -> Any:
        return _Completing(driver, self._completed)

    def _completed(self, used: Used) -> Used:
        is_map_info = number_of(used.written) == CtrlType.RESP_OK_MAP_INFO
        wrong = is_map_info and number_of(used.written[_MAP_INFO_AT:]) == MapCache.UNCACHED.value
        return with_bytes(used, _MAP_INFO_AT, bytes([MapCache.CACHED.value])) if self.passed(wrong) else used


class _Completing(Wrapper):
    def __init__(self, inner: Any, change: Any) -> None:
        super().__init__(inner)
        self.change = change

    def complete(self, used: Used) -> None:
        self.inner.complete(self.change(used))


class MappedBeforeAnswer(Planted):
    """mmap does not wait for the answer to RESOURCE_MAP_BLOB, and maps with what map_info was before: nothing."""

    def driver(self, driver: Any) -> Any:
        return _Eager(driver, self)


class _Eager(Part):
    def queue(self, request: CtrlHdr, callback: Any = None, *rest: Any, **options: Any) -> Any:
        vram = getattr(callback, "__self__", None)
        maps = request.type == CtrlType.RESOURCE_MAP_BLOB and isinstance(vram, VramObject)
        if self.defect.passed(maps) and isinstance(vram, VramObject):
            vram.map_state = MapState.OK
        return self.inner.queue(request, callback, *rest, **options)


class PlaceGivenTwice(Planted):
    """The place of a blob of more than two pages in the region is free again but for its first two."""

    def driver(self, driver: Any) -> Any:
        insert = driver.mm.insert
        short = 2 * PAGE_SIZE

        def shorter(size: int) -> int:
            return int(insert(short if self.passed(size > short and driver.mm.nodes) else size))

        driver.mm.insert = shorter
        return driver


class ReferenceKept(Planted):
    """A refused command stream keeps the references to its buffers."""

    def driver(self, driver: Any) -> Any:
        answered = driver._answered

        def keep(pending: Any, buffer: bytes) -> None:
            refused = number_of(buffer) >= CtrlType.RESP_ERR_UNSPEC
            if self.passed(refused and pending.objects):
                pending.objects[0].get()
            answered(pending, buffer)

        driver._answered = keep
        return driver


class FenceSignalsAll(Planted):
    """A fence that is complete signals the fences before it on every timeline, when three are waited for."""

    def driver(self, driver: Any) -> Any:
        fences, process = driver.fences, driver.fences.process

        def everything(fence_id: int) -> None:
            waiting = sorted(fences._by_id)
            others = [number for number in waiting if number < fence_id]
            for number in others if self.passed(len(waiting) >= 3 and others) else ():
                process(number)
            process(fence_id)

        fences.process = everything
        return driver


class RingFlagLost(Planted):
    """A fence on a ring above 0 is sent without INFO_RING_IDX once another ring has been used."""

    def driver(self, driver: Any) -> Any:
        emit, rings = driver.fences.emit, set()

        def lossy(fence: Any, request: CtrlHdr) -> Any:
            rings.add(fence.ring_idx)
            wrong = self.passed(fence.ring_idx and len(rings - {None}) > 1)
            sent = emit(fence, request)
            return _without_ring(sent) if wrong else sent

        driver.fences.emit = lossy
        return driver


def _without_ring(request: Any) -> Any:
    from msgspec.structs import replace

    return replace(request, flags=request.flags & ~CtrlFlag.INFO_RING_IDX.value, ring_idx=0)
