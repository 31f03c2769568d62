"""Commands on images: 2D and 3D resources and the transfers of their pixels (virtio 1.4, 5.7.6.8 and 5.7.6.9).

The renderer draws nothing, so a 3D resource is what a 2D one is: pixels in the VMM.
"""

from collections.abc import Iterator
from typing import NamedTuple

from vgpu_emu.ids import ResourceId
from vgpu_emu.vmm.command import OK, Command
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Backing, Image, Kind, black
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import ResourceCreate3D, TransferHost3D
from vgpu_wire.resource import Format, ResourceCreate2D, TransferToHost2D

#: of every virtio-gpu format, and of a Gallium format that is not listed
BYTES_PER_PIXEL = 4
#: Gallium formats of another size (mesa, gallium/include/pipe/p_format.h), by number -> bytes
_GALLIUM_BYTES = {64: 1, 65: 2, 66: 3}
_FORMATS = {fmt.value for fmt in Format}
# to look a member up costs as much as a check
_IMAGE_2D = Kind.IMAGE_2D


def resource_create_2d(device: Device, request: ResourceCreate2D) -> CtrlHdr:
    device.require(request.resource_id, Rule.CREATE_ID_NONZERO)
    device.insist(request.resource_id not in device.resources, Rule.CREATE_ID_FREE)
    device.require(request.format in _FORMATS, Rule.CREATE_2D_FORMAT)
    device.require(request.width and request.height, Rule.CREATE_SIZE_NONZERO)
    size = request.width * request.height * BYTES_PER_PIXEL
    if not _has_room(device, size, request.height):
        return _keep_empty(device, request, Kind.IMAGE_2D)
    image = Image(
        ResourceId(request.resource_id), Kind.IMAGE_2D, request.format, request.width, request.height, black(size)
    )
    return _keep(device, image)


def resource_create_3d(device: Device, request: ResourceCreate3D) -> CtrlHdr:
    device.require(request.resource_id, Rule.CREATE_ID_NONZERO)
    device.insist(request.resource_id not in device.resources, Rule.CREATE_ID_FREE)
    device.require(request.width and request.height and request.depth, Rule.CREATE_SIZE_NONZERO)
    last_level = min(request.last_level, _MAX_LEVEL)
    shape = request.width, request.height, request.depth, request.array_size
    size = image_bytes(request.format, shape, last_level)
    lines = image_bytes(request.format, (1, *shape[1:]), last_level) // _pixel_bytes(request.format)
    if not _has_room(device, size, lines):
        return _keep_empty(device, request, Kind.IMAGE_3D)
    image = Image(
        ResourceId(request.resource_id),
        Kind.IMAGE_3D,
        request.format,
        request.width,
        request.height,
        black(size),
        depth=request.depth,
        array_size=request.array_size,
        last_level=last_level,
    )
    return _keep(device, image)


def _has_room(device: Device, size: int, lines: int) -> bool:
    limits = device.limits
    device.require(len(device.resources) < limits.resources, Rule.RESOURCE_LIMIT)
    room = device.image_bytes + size <= limits.host_memory and lines <= limits.image_lines
    device.require(room, Rule.HOST_MEMORY_LIMIT)
    return room


def _keep_empty(device: Device, request: ResourceCreate2D | ResourceCreate3D, kind: Kind) -> CtrlHdr:
    """A VMM that does not look whether the renderer made an image has a resource without pixels."""
    return _keep(device, Image(ResourceId(request.resource_id), kind, request.format, 0, 0, black(0)))


def _keep(device: Device, image: Image) -> CtrlHdr:
    device.resources[image.resource_id] = image
    device.image_bytes += len(image.pixels)
    return OK


#: a side of 2^32 - 1 pixels has no more levels
_MAX_LEVEL = 31


def _pixel_bytes(gallium_format: int) -> int:
    return _GALLIUM_BYTES.get(gallium_format, BYTES_PER_PIXEL)


def image_bytes(pixel_format: int, shape: tuple[int, int, int, int], last_level: int) -> int:
    """Bytes of an image of this width, height, depth and array size, with all its levels."""
    return sum(_level_bytes(pixel_format, shape, level) for level in range(last_level + 1))


def _level_bytes(gallium_format: int, shape: tuple[int, int, int, int], level: int) -> int:
    width, height, depth, array_size = shape
    slices = max(depth >> level, 1) * max(array_size, 1)
    return max(width >> level, 1) * max(height >> level, 1) * slices * _pixel_bytes(gallium_format)


def transfer_to_host_2d(device: Device, request: TransferToHost2D) -> CtrlHdr:
    """Copy a rectangle from the backing, where lines are as long as the image's. Of a blob, nothing has to move."""
    image = device.find(request.resource_id) or device.missing(Rule.TRANSFER_KNOWN)
    if not isinstance(image, Image):
        return OK
    if image.kind is not _IMAGE_2D:
        raise device.broken(Rule.TRANSFER_IMAGE)
    backing = image.backing or device.missing(Rule.TRANSFER_BACKED)
    r, stride = request.r, image.width * BYTES_PER_PIXEL
    if r.x + r.width > image.width or r.y + r.height > image.height:
        raise device.broken(Rule.TRANSFER_INSIDE)
    line, place = r.width * BYTES_PER_PIXEL, r.y * stride + r.x * BYTES_PER_PIXEL
    size = (r.height - 1) * stride + line if line and r.height else 0
    if request.offset + size > backing.length:
        device.require(False, Rule.TRANSFER_BACKING_LONG)
    if line == stride or r.height == 1:
        backing.read_into(device.memory, request.offset, image.pixels[place : place + size])
    else:
        here = _Block(line, r.height, 1, stride, 0, request.offset)
        _copy_in(device, image, backing, here, here._replace(start=place))
    return OK


def transfer_host_3d(device: Device, request: TransferHost3D) -> CtrlHdr:
    """Copy a box between the backing and a level. Strides of 0 are the level's, as virglrenderer takes them."""
    resource = device.resource(request.resource_id, Rule.TRANSFER_KNOWN)
    if not isinstance(resource, Image):
        return OK
    device.insist(resource.kind is Kind.IMAGE_3D, Rule.TRANSFER_IMAGE)
    backing = resource.backing or device.missing(Rule.TRANSFER_BACKED)
    there = _box(device, resource, request)
    stride = request.stride or there.stride
    layer_stride = request.layer_stride or stride * (there.slice_stride // there.stride)
    here = _Block(there.line, there.lines, there.slices, stride, layer_stride, request.offset)
    device.require(here.end <= backing.length, Rule.TRANSFER_BACKING_LONG)
    if request.type == CtrlType.TRANSFER_TO_HOST_3D:
        _copy_in(device, resource, backing, here, there)
    else:
        _copy_out(device, resource, backing, here, there)
    return OK


class _Block(NamedTuple):
    """Lines of `line` bytes, `stride` apart, in slices `slice_stride` apart, from `start` on."""

    line: int
    lines: int
    slices: int
    stride: int
    slice_stride: int
    start: int

    @property
    def end(self) -> int:
        """Behind its last byte; an empty block ends where it starts."""
        if not self.line or not self.lines or not self.slices:
            return self.start
        return self.start + (self.slices - 1) * self.slice_stride + (self.lines - 1) * self.stride + self.line

    @property
    def contiguous(self) -> bool:
        lines = self.lines == 1 or self.stride == self.line
        return lines and (self.slices == 1 or self.slice_stride == self.lines * self.line)

    @property
    def size(self) -> int:
        return self.line * self.lines * self.slices

    def places(self) -> Iterator[int]:
        """Where its lines start; of an empty block, none."""
        for z in range(self.slices if self.line and self.lines else 0):
            first = self.start + z * self.slice_stride
            yield from range(first, first + self.lines * self.stride, self.stride)


def _box(device: Device, image: Image, request: TransferHost3D) -> _Block:
    box, level = request.box, request.level
    width, height = max(image.width >> level, 1), max(image.height >> level, 1)
    slices = max(image.depth >> level, 1) * max(image.array_size, 1)
    inside = box.x + box.w <= width and box.y + box.h <= height and box.z + box.d <= slices
    device.insist(level <= image.last_level and inside, Rule.TRANSFER_INSIDE)
    size = _pixel_bytes(image.format)
    shape = image.width, image.height, image.depth, image.array_size
    start = sum(_level_bytes(image.format, shape, below) for below in range(level))
    stride, slice_stride = width * size, width * height * size
    place = start + box.z * slice_stride + box.y * stride + box.x * size
    return _Block(box.w * size, box.h, box.d, stride, slice_stride, place)


def _copy_in(device: Device, image: Image, backing: Backing, here: _Block, there: _Block) -> None:
    if here.contiguous and there.contiguous:
        backing.read_into(device.memory, here.start, image.pixels[there.start : there.start + there.size])
        return
    for source, place in zip(here.places(), there.places(), strict=True):
        backing.read_into(device.memory, source, image.pixels[place : place + here.line])


def _copy_out(device: Device, image: Image, backing: Backing, here: _Block, there: _Block) -> None:
    if here.contiguous and there.contiguous:
        backing.write(device.memory, here.start, image.pixels[there.start : there.start + there.size])
        return
    for target, source in zip(here.places(), there.places(), strict=True):
        backing.write(device.memory, target, image.pixels[source : source + here.line])


COMMANDS = {
    CtrlType.RESOURCE_CREATE_2D: Command(resource_create_2d),
    CtrlType.TRANSFER_TO_HOST_2D: Command(transfer_to_host_2d),
    CtrlType.RESOURCE_CREATE_3D: Command(resource_create_3d, feature=Feature.VIRGL),
    CtrlType.TRANSFER_TO_HOST_3D: Command(transfer_host_3d, feature=Feature.VIRGL),
    CtrlType.TRANSFER_FROM_HOST_3D: Command(transfer_host_3d, feature=Feature.VIRGL),
}
