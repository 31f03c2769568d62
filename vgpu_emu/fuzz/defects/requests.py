"""P01 to P06, P15, P18, P19, P21: what a VMM does wrong with resources, displays and contexts."""

from typing import Any

from msgspec.structs import replace

from vgpu_emu.fuzz.defects.planted import (
    Answers,
    Part,
    Planted,
    Unchecked,
    around,
    finish,
    is_error,
    number_of,
    with_bytes,
)
from vgpu_emu.ids import ResourceId
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.vmm.command import OK, Handler
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Backing
from vgpu_wire.control import CtrlFlag, CtrlType

_FENCE = CtrlFlag.FENCE.value
_ENTRY_BYTES = 16
_NR_ENTRIES = {CtrlType.RESOURCE_ATTACH_BACKING.value: 28, CtrlType.RESOURCE_CREATE_BLOB.value: 36}


class StaleCapsetInfo(Planted):
    """GET_CAPSET_INFO of an index that is out of range answers an error with the bytes of the answer before."""

    def device(self, device: Device) -> Any:
        self._before = bytes(40)
        return Answers(device, self._answered)

    def _answered(self, chain: Chain, used: Used | None) -> Used | None:
        if used is None or number_of(chain.readable) != CtrlType.GET_CAPSET_INFO:
            return used
        stale, self._before = self._before, used.written
        if not self.passed(is_error(used) and chain.capacity >= 40):
            return used
        return Used(used.head, used.queue, used.written + stale[24:])


class ScanoutTooMany(Planted):
    """SET_SCANOUT takes the number of scanouts for a scanout."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.SET_SCANOUT, self._set)
        return device

    def _set(self, handler: Handler, device: Device, request: Any) -> Any:
        return OK if self.passed(request.scanout_id == len(device.displays.scanouts)) else handler(device, request)


class IdZero(Unchecked):
    """RESOURCE_CREATE_2D and _3D take the id 0."""

    rules = frozenset({Rule.CREATE_ID_NONZERO})


class ErrorWithoutFence(Planted):
    """An error answers a fenced request without its fence."""

    def device(self, device: Device) -> Any:
        return Answers(device, self._answered)

    def _answered(self, _chain: Chain, used: Used | None) -> Used | None:
        wrong = used is not None and is_error(used) and len(used.written) >= 24 and used.written[4] & _FENCE
        if used is None or not self.passed(wrong):
            return used
        return with_bytes(used, 4, bytes(12))


class AttachTwice(Unchecked):
    """RESOURCE_ATTACH_BACKING of a resource that has a backing replaces that, and nobody lets go of the first."""

    rules = frozenset({Rule.ATTACH_ONCE})


class UnrefKeepsBacking(Planted):
    """RESOURCE_UNREF of a resource with a backing does not let go of it."""

    def device(self, device: Device) -> Device:
        self._kept: list[Backing] = []
        around(device, CtrlType.RESOURCE_UNREF, self._unref)
        return device

    def _unref(self, handler: Handler, device: Device, request: Any) -> Any:
        resource = device.find(request.resource_id)
        backing = None if resource is None else resource.backing
        if self.passed(backing is not None) and backing is not None:
            self._kept.append(backing)
        return handler(device, request)


class ScanoutOfTheDead(Planted):
    """A scanout goes on to show a resource after RESOURCE_UNREF."""

    def device(self, device: Device) -> Device:
        device.displays.forget = self._forget  # type: ignore[method-assign]
        self._displays = device.displays
        return device

    def _forget(self, resource_id: ResourceId) -> None:
        shown = [scanout.shown for scanout in self._displays.scanouts]
        self.passed(any(frame is not None and frame.resource_id == resource_id for frame in shown))


class EntriesWrap(Planted):
    """The bytes of memory entries are counted in 32 bits, so that 2^28 entries more are none more."""

    def device(self, device: Device) -> Any:
        return _Narrowed(device, self)


class _Narrowed(Part):
    def handle(self, chain: Chain) -> Any:
        place = _NR_ENTRIES.get(number_of(chain.readable))
        if place is not None and len(chain.readable) >= place + 4:
            chain = self._narrow(chain, place)
        return self.inner.handle(chain)

    def _narrow(self, chain: Chain, place: int) -> Chain:
        entries = number_of(chain.readable[place:])
        if not self.defect.passed(entries * _ENTRY_BYTES >> 32):
            return chain
        narrow = (entries % (1 << 28)).to_bytes(4, "little")
        return replace(chain, readable=chain.readable[:place] + narrow + chain.readable[place + 4 :])


class TransferWraps(Planted):
    """A transfer whose box ends at 2^31 lines or behind is taken for one that ends before the resource does."""

    def device(self, device: Device) -> Device:
        for number in (CtrlType.TRANSFER_TO_HOST_3D, CtrlType.TRANSFER_FROM_HOST_3D):
            around(device, number, self._transfer_3d)
        around(device, CtrlType.TRANSFER_TO_HOST_2D, self._transfer_2d)
        return device

    def _transfer_3d(self, handler: Handler, device: Device, request: Any) -> Any:
        wrong = request.resource_id in device.resources and request.box.y + request.box.h >= 1 << 31
        return OK if self.passed(wrong) else handler(device, request)

    def _transfer_2d(self, handler: Handler, device: Device, request: Any) -> Any:
        wrong = request.resource_id in device.resources and request.r.y + request.r.height >= 1 << 31
        return OK if self.passed(wrong) else handler(device, request)


class DetachedFromAll(Planted):
    """CTX_DETACH_RESOURCE of a resource that two contexts have takes it from both."""

    def device(self, device: Device) -> Device:
        around(device, CtrlType.CTX_DETACH_RESOURCE, self._detach)
        return device

    def _detach(self, handler: Handler, device: Device, request: Any) -> Any:
        answer = yield from finish(handler(device, request))
        others = [c for c in device.contexts.values() if request.resource_id in c.attached]
        if self.passed(others):
            for context in others:
                context.attached.discard(ResourceId(request.resource_id))
        return answer
