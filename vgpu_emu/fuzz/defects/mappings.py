"""P07 to P12, P16, P22, P23: what a VMM does wrong with mappings of blobs and their attributes."""

from typing import Any, ClassVar

import msgspec

from vgpu_emu.fuzz.defects.planted import Answers, Planted, Replies, Unchecked, around, finish, number_of, with_bytes
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.vmm.command import Handler, Refused
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Blob
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import BlobFlag, MapCache, RespMapInfo
from vgpu_wire.control import CtrlType
from vgpu_wire.dmabuf import DmaBufMapInfo, VmProt
from vgpu_wire.renderer_link import Op, ResourceQuestion

#: where map_info is in its answer, and the u64 value in the answer to the ioctl: behind the header, param and padding
_MAP_INFO_AT = RespMapInfo.layout.size - 8
_VALUE_AT = 24 + 8
_CACHED = {Dialect.RFC1: VmProt.CACHED.value, Dialect.RFC3: DmaBufMapInfo.COHERENT_CACHED.value}


class UnrefLeavesMapping(Planted):
    """RESOURCE_UNREF of a mapped blob leaves the mapping in the host visible region."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_UNREF, self._unref)
        return device

    def _unref(self, handler: Handler, device: Device, request: Any) -> Any:
        blob = device.find(request.resource_id)
        if self.passed(isinstance(blob, Blob) and blob.offset is not None) and isinstance(blob, Blob):
            blob.offset = None
        return handler(device, request)


class MapMoves(Unchecked):
    """A second RESOURCE_MAP_BLOB moves the blob, and its first mapping stays."""

    rules = frozenset({Rule.MAP_ONCE, Rule.MAP_ONCE_SHAREABLE})


class OffsetWraps(Planted):
    """Whether a mapping ends inside of the region is found out in 64 bits, which wrap."""

    _END: ClassVar[int] = 1 << 64

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_MAP_BLOB, self._map)
        return device

    def _map(self, handler: Handler, device: Device, request: Any) -> Any:
        blob = device.find(request.resource_id)
        wraps = isinstance(blob, Blob) and request.offset + blob.mapped_length >= self._END
        require = device.require

        def lax(holds: object, rule: Rule) -> None:
            require(holds or rule is Rule.MAP_INSIDE, rule)

        if self.passed(wraps):
            device.require = lax  # type: ignore[method-assign]
        try:
            return (yield from finish(handler(device, request)))
        finally:
            device.require = require  # type: ignore[method-assign]


class MapOverlaps(Unchecked):
    """RESOURCE_MAP_BLOB over another blob's mapping."""

    rules = frozenset({Rule.MAP_DISJOINT})


class ImportedIsDefault(Planted):
    """What an exporter says of a buffer that devices share is not what it says of its own: always cached."""

    def renderer(self, renderer: Any) -> Any:
        self._resources: set[int] = set()
        self._fds: set[int] = set()
        self._cached = _CACHED.get(renderer.process.kernel.dialect, 0)
        return Replies(renderer, self._replied)

    def _replied(self, op: int, data: bytes, reply: Any) -> Any:
        answer, fds = reply
        if op == Op.CREATE_BLOB and number_of(data[20:]) & BlobFlag.USE_CROSS_DEVICE:
            self._resources.add(number_of(data[12:]))
        elif op == Op.UNREF:
            self._resources.discard(number_of(data[8:]))
        elif op == Op.EXPORT_BLOB and number_of(data[8:]) in self._resources:
            self._fds |= {passed.fd for passed in fds}
        elif op == Op.CLOSE:
            self._fds.discard(number_of(data[8:]))
        elif op == Op.IOCTL and number_of(data[8:]) in self._fds:
            return self._default(answer), fds
        return reply

    def _default(self, answer: bytes) -> bytes:
        said = len(answer) > _VALUE_AT and answer[_VALUE_AT:] != self._cached.to_bytes(8, "little")
        return answer[:_VALUE_AT] + self._cached.to_bytes(8, "little") if self.passed(said) else answer


class MapInfoShifted(Planted):
    """map_info is masked with 3 and shifted, so that write-combining becomes uncached."""

    def device(self, device: Device) -> Any:
        return Answers(device, self._answered)

    def _answered(self, _chain: Chain, used: Used | None) -> Used | None:
        if used is None or number_of(used.written) != CtrlType.RESP_OK_MAP_INFO:
            return used
        wrong = used.written[_MAP_INFO_AT : _MAP_INFO_AT + 1] == bytes([MapCache.WC.value])
        return with_bytes(used, _MAP_INFO_AT, bytes([MapCache.UNCACHED.value])) if self.passed(wrong) else used


class ExportLeaks(Planted):
    """RESOURCE_MAP_BLOB exports the blob anew, and does not close that when it fails."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.RESOURCE_MAP_BLOB, self._map)
        return device

    def _map(self, handler: Handler, device: Device, request: Any) -> Any:
        try:
            answer = yield from finish(handler(device, request))
        except Refused:
            blob = device.find(request.resource_id)
            if self.passed(isinstance(blob, Blob) and blob.exported is not None):
                yield ResourceQuestion(op=Op.EXPORT_BLOB.value, resource_id=request.resource_id)
            raise
        return answer


class MapInfoOfTheDead(Planted):
    """What was said of a resource's mapping is remembered by its id, also when that is another resource's."""

    def device(self, device: Device) -> Device:
        self._said: dict[int, int] = {}
        around(device, CtrlType.RESOURCE_MAP_BLOB, self._map)
        return device

    def _map(self, handler: Handler, device: Device, request: Any) -> Any:
        answer = yield from finish(handler(device, request))
        said = self._said.setdefault(request.resource_id, answer.map_info)
        if not self.passed(said != answer.map_info):
            return answer
        blob = device.find(request.resource_id)
        if isinstance(blob, Blob):
            blob.map_info = MapCache(said)
        return RespMapInfo(map_info=said)


class RestoredCached(Planted):
    """A VMM that is restarted maps every blob cached."""

    def snapshot(self, data: bytes) -> bytes:
        state = msgspec.json.decode(data)
        cached = MapCache.CACHED.value
        wrong = [blob for blob in state["blobs"] if blob["map_info"] not in {None, cached}]
        if not self.passed(wrong):
            return data
        for blob in wrong:
            blob["map_info"] = cached
        return msgspec.json.encode(state)
