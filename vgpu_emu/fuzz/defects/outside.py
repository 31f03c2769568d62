"""Defects by somebody who has not read the oracles: wrong where three things meet, or at a boundary (L3).

Each could stand in a VMM: a list that is not cleaned when a thing is replaced, a key that is too short, a
number that is another level's. What they need to be wrong is said by their sentence.
"""

from typing import Any

from msgspec.structs import replace

from vgpu_emu.fuzz.defects.outside_seams import Outside, Watched, also, succeeded
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.vmm.asking import Reply, Steps
from vgpu_emu.vmm.state import Backing, Blob, Image
from vgpu_wire.blob import ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.display import SetScanoutBlob, UpdateCursor
from vgpu_wire.render import GetCapset, RespCapset, RespCapsetInfo, TransferHost3D
from vgpu_wire.renderer_link import Answer, Ioctl, Question
from vgpu_wire.resource import ResourceAttachBacking, ResourceDetachBacking


class StaleScanoutBit(Outside):
    """An image that a blob replaced on a scanout still counts as shown there, so its end switches the scanout off."""

    component = "scanouts"

    def device(self, device: Any) -> Any:
        defect, bits = self, set[tuple[int, int]]()
        was: list[tuple[int, int]] = []

        class Scanouts(Watched):
            def before(self, request: CtrlHdr, chain: Chain) -> Chain:
                was.clear()
                scanout = device.displays.find(request.scanout_id) if isinstance(request, SetScanoutBlob) else None
                if scanout is not None and scanout.shown is not None:
                    was.append((scanout.shown.resource_id, device.displays.scanouts.index(scanout)))
                return chain

            def after(self, request: CtrlHdr, used: Used) -> Used:
                if isinstance(request, SetScanoutBlob) and request.resource_id and succeeded(used):
                    bits.update(bit for bit in was if isinstance(device.find(bit[0]), Image))
                return used

            def reset(self) -> Steps[None]:
                bits.clear()
                steps: Steps[None] = self.inner.reset()
                return steps

        def forgotten(resource_id: int) -> None:
            for bit in [bit for bit in bits if bit[0] == resource_id]:
                bits.remove(bit)
                scanout = device.displays.scanouts[bit[1]]
                defect.reached += 1
                defect.triggered += scanout.shown is not None
                scanout.shown = None

        also(device.displays, "forget", forgotten)
        return Scanouts(device)


class CursorOfAnotherScanout(Outside):
    """MOVE_CURSOR to a scanout whose cursor is hidden shows the image that the last UPDATE_CURSOR gave another one."""

    component = "cursor"

    def device(self, device: Any) -> Any:
        defect, last = self, [0]

        class Cursors(Watched):
            def after(self, request: CtrlHdr, used: Used) -> Used:
                here = device.displays.find(request.pos.scanout_id) if isinstance(request, UpdateCursor) else None
                if here is not None and request.type == CtrlType.UPDATE_CURSOR:
                    last[0] = request.pos.scanout_id  # type: ignore[attr-defined]
                elif here is not None and not here.cursor.resource_id:
                    there = device.displays.scanouts[last[0]].cursor
                    defect.reached += 1
                    if there.resource_id:
                        defect.triggered += 1
                        here.cursor = replace(there, x=here.cursor.x, y=here.cursor.y)
                return used

        return Cursors(device)


class BackingAttachedAgain(Outside):
    """A backing that is attached after another one of the same length was detached is not looked at: the old pages are
    used on."""

    component = "backings"

    def device(self, device: Any) -> Any:
        defect, detached = self, dict[int, tuple[Any, Backing]]()

        class Backings(Watched):
            def before(self, request: CtrlHdr, chain: Chain) -> Chain:
                resource = device.find(request.resource_id) if isinstance(request, ResourceDetachBacking) else None
                if resource is not None and resource.backing is not None:
                    detached[resource.resource_id] = resource, resource.backing
                return chain

            def after(self, request: CtrlHdr, used: Used) -> Used:
                if isinstance(request, ResourceAttachBacking) and succeeded(used):
                    self._attached(device.find(request.resource_id))
                return used

            def _attached(self, resource: Any) -> None:
                of, old = detached.get(resource.resource_id, (None, Backing(())))
                new = resource.backing
                if resource is of and new is not None and old.length == new.length:
                    defect.reached += 1
                    defect.triggered += old.stretches != new.stretches
                    resource.backing = old

        return Backings(device)


class LayersOfTheFirstLevel(Outside):
    """A transfer of several slices of a smaller level, without a layer stride, takes them as far apart as at level
    0."""

    component = "transfers"

    def device(self, device: Any) -> Any:
        defect = self

        class Transfers(Watched):
            def before(self, request: CtrlHdr, chain: Chain) -> Chain:
                image = device.find(request.resource_id) if isinstance(request, TransferHost3D) else None
                if not isinstance(image, Image) or not isinstance(request, TransferHost3D):
                    return chain
                if not request.level or not request.stride or request.layer_stride or request.box.d < 2:
                    return chain
                defect.reached += 1
                defect.triggered += image.height > 1
                wrong = replace(request, layer_stride=request.stride * image.height % (1 << 32))
                return replace(chain, readable=wrong.build())

        return Transfers(device)


class MapInfoByDescriptor(Outside):
    """The exporter's answer is kept by descriptor until UNMAP_BLOB: a blob that ends while it is mapped leaves it to
    the next one that gets its number."""

    component = "map_info"

    def device(self, device: Any) -> Any:
        defect, kept = self, dict[int, Answer]()

        class MapInfos(Watched):
            def before(self, request: CtrlHdr, chain: Chain) -> Chain:
                blob = device.find(request.resource_id) if isinstance(request, ResourceUnmapBlob) else None
                if isinstance(blob, Blob) and blob.exported is not None:
                    kept.pop(blob.exported.fd, None)
                return chain

            def told(self, request: CtrlHdr, question: Question, reply: Reply) -> Reply:
                if not isinstance(request, ResourceMapBlob) or not isinstance(question, Ioctl) or reply.answer.errno:
                    return reply
                answer = kept.setdefault(question.fd, reply.answer)
                defect.reached += 1
                defect.triggered += answer.data != reply.answer.data
                return replace(reply, answer=replace(answer, serial=reply.answer.serial))

        return MapInfos(device)


class LastPageStaysMapped(Outside):
    """Of a blob whose size is not whole pages, the last page stays in the host visible region when it is unmapped."""

    component = "region"

    def device(self, device: Any) -> Any:
        unmap = device.unmap

        def unmap_whole_pages(blob: Blob) -> None:
            if blob.offset is None or not blob.size % PAGE_SIZE:
                unmap(blob)
                return
            self.reached += 1
            self.triggered += 1
            device.region.cut(blob.offset, blob.size & -PAGE_SIZE)
            blob.offset = blob.map_info = None

        device.unmap = unmap_whole_pages
        return device


class CapsetOfTheLastSize(Outside):
    """A capability set is filled in no further than the size that GET_CAPSET_INFO said last, of whichever set."""

    component = "capsets"

    def device(self, device: Any) -> Any:
        defect, room = self, [1 << 32]
        header = RespCapset.layout.size

        class Capsets(Watched):
            def after(self, request: CtrlHdr, used: Used) -> Used:
                kind = int.from_bytes(used.written[:4], "little")
                if kind == CtrlType.RESP_OK_CAPSET_INFO and len(used.written) == RespCapsetInfo.layout.size:
                    room[0] = RespCapsetInfo.parse(used.written).capset_max_size
                end = header + room[0]
                if not isinstance(request, GetCapset) or kind != CtrlType.RESP_OK_CAPSET or len(used.written) <= end:
                    return used
                defect.reached += 1
                defect.triggered += any(used.written[end:])
                return replace(used, written=used.written[:end].ljust(len(used.written), b"\0"))

        return Capsets(device)
