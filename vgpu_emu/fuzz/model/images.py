"""Images and their transfers (virtio 1.4, 5.7.6.8 and 5.7.6.9): what must come of each request."""

from collections.abc import Iterator
from functools import partial

from vgpu_emu.fuzz.model.expectation import Expected, Verdict, leave_open, may, must, refuse
from vgpu_emu.fuzz.model.world import BYTES_PER_PIXEL, MODEST_BYTES, MODEST_SIDE, Resource, World
from vgpu_wire.control import CtrlType
from vgpu_wire.render import ResourceCreate3D, TransferHost3D
from vgpu_wire.resource import Format, ResourceCreate2D, TransferToHost2D

_FORMATS = frozenset(fmt.value for fmt in Format)
#: Gallium formats of fewer bytes a pixel (mesa, gallium/include/pipe/p_format.h)
_SMALL = {64: 1, 65: 2, 66: 3}


def new_id(world: World, resource_id: int) -> None:
    refuse(not resource_id, "resource_id 0")
    refuse(resource_id in world.resources, "the resource exists", "I8")


def create_2d(world: World, request: ResourceCreate2D) -> Expected:
    new_id(world, request.resource_id)
    refuse(request.format not in _FORMATS, "no such format")
    size = request.width * request.height * BYTES_PER_PIXEL
    _room(world, size, request.height)
    image = Resource(request.resource_id, "2D", request.format, request.width, request.height)
    return _created(world, image, size)


def _room(world: World, size: int, lines: int) -> None:
    setup = world.setup
    refuse(len(world.resources) >= setup.resources, "no room for a resource more")
    refuse(world.image_bytes + size > setup.host_memory, "no room for so many bytes", "I15")
    refuse(lines > setup.image_lines, "no room for so many lines", "I15")


def _created(world: World, image: Resource, size: int) -> Expected:
    def success(_answer: object) -> None:
        image.pixels = bytearray(size)
        world.add(image)

    if not size:
        return may("an image without pixels", success)
    return must(success, large=size > MODEST_BYTES or max(image.width, image.height) > MODEST_SIDE)


def create_3d(world: World, request: ResourceCreate3D) -> Expected:
    new_id(world, request.resource_id)
    image = Resource(
        request.resource_id,
        "3D",
        request.format,
        request.width,
        request.height,
        depth=request.depth,
        layers=max(request.array_size, 1),
        # a side has 32 bits, and so many levels
        last_level=min(request.last_level, 31),
    )
    leave_open(not (image.width and image.height and image.depth), "an image without pixels")
    sizes = [level_size(image, level) for level in range(image.last_level + 1)]
    lines = sum(height * slices for _width, height, slices in sizes)
    size = sum(width * height * slices for width, height, slices in sizes) * pixel_bytes(image)
    _room(world, size, lines)
    return _created(world, image, size)


def pixel_bytes(image: Resource) -> int:
    return _SMALL.get(image.format, BYTES_PER_PIXEL) if image.kind == "3D" else BYTES_PER_PIXEL


def level_size(image: Resource, level: int) -> tuple[int, int, int]:
    """(width, height, slices) of a level."""
    slices = max(image.depth >> level, 1) * image.layers
    return max(image.width >> level, 1), max(image.height >> level, 1), slices


# -- transfers


def known(world: World, resource_id: int) -> Resource:
    refuse(resource_id not in world.resources, "no such resource")
    return world.resources[resource_id]


def transfer_2d(world: World, request: TransferToHost2D) -> Expected:
    image, r = known(world, request.resource_id), request.r
    if image.kind == "blob":
        return must()
    refuse(image.kind != "2D", "a 2D transfer of a 3D resource")
    refuse(image.stretches is None, "no backing", "I16")
    refuse(r.x + r.width > image.width or r.y + r.height > image.height, "outside of the resource", "I16")
    leave_open(not (r.width and r.height), "an empty rectangle")
    stride, line = image.width * BYTES_PER_PIXEL, r.width * BYTES_PER_PIXEL
    refuse(
        request.offset + (r.height - 1) * stride + line > backing_bytes(image), "behind the end of the backing", "I16"
    )
    places = [(request.offset + y * stride, (r.y + y) * stride + r.x * BYTES_PER_PIXEL) for y in range(r.height)]
    return must(partial(_copy, world, image, places, line, True))


def transfer_3d(world: World, request: TransferHost3D) -> Expected:
    image, box = known(world, request.resource_id), request.box
    if image.kind == "blob":
        return must()
    refuse(image.kind != "3D", "a 3D transfer of a 2D resource")
    refuse(image.stretches is None, "no backing", "I16")
    refuse(request.level > image.last_level, "no such level")
    width, height, slices = level_size(image, request.level)
    refuse(box.x + box.w > width or box.y + box.h > height or box.z + box.d > slices, "outside of the resource", "I16")
    leave_open(not (box.w and box.h and box.d), "an empty box")
    size = pixel_bytes(image)
    line, stride = box.w * size, request.stride or width * size
    layer = request.layer_stride or stride * height
    end = request.offset + (box.d - 1) * layer + (box.h - 1) * stride + line
    refuse(end > backing_bytes(image), "behind the end of the backing", "I16")
    places = list(_places(image, request, stride, layer))
    to_host = request.type == CtrlType.TRANSFER_TO_HOST_3D
    # lines that lie on each other come out as the device's order has it
    overlaps = stride < line or layer < (box.h - 1) * stride + line
    verdict = Verdict.OPEN if overlaps else Verdict.MUST
    return Expected(verdict, "lines overlap", "I16", partial(_copy, world, image, places, line, to_host))


def _places(image: Resource, request: TransferHost3D, stride: int, layer: int) -> Iterator[tuple[int, int]]:
    """(in the backing, in the pixels): where each line of the box starts."""
    box, size = request.box, pixel_bytes(image)
    below = [level_size(image, level) for level in range(request.level)]
    start = sum(width * height * slices for width, height, slices in below) * size
    width, height, _slices = level_size(image, request.level)
    for z in range(box.d):
        for y in range(box.h):
            there = start + (((box.z + z) * height + box.y + y) * width + box.x) * size
            yield request.offset + z * layer + y * stride, there


def backing_bytes(resource: Resource) -> int:
    return sum(length for _address, length in resource.stretches or ())


def _copy(
    world: World, image: Resource, places: list[tuple[int, int]], line: int, to_host: bool, _answer: object
) -> None:
    for here, there in places:
        if to_host:
            image.pixels[there : there + line] = world.gather(image, here, line)
        else:
            world.scatter(image, here, image.pixels[there : there + line])
