"""3D pixels: boxes of levels, both ways, with strides, against a plain model."""

from random import Random

import pytest
from device_kit import BGRA, Rig
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pixels import noise

from vgpu_emu.assembly import Config
from vgpu_emu.drive.requests import PAGE, attach, guest_blob
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.render import Box, ResourceCreate3D, TransferHost3D
from vgpu_wire.resource import ResourceDetachBacking, ResourceUnref

MEMORY = 64 << 10
FILL = noise(MEMORY, seed=3)
OK, PARAMETER = CtrlType.RESP_OK_NODATA, CtrlType.RESP_ERR_INVALID_PARAMETER
#: Gallium's PIPE_FORMAT_R8_UNORM: a byte a pixel, what buffers are made of
R8 = 64
few = settings(max_examples=60, derandomize=True, database=None, deadline=None)
#: level, x, y, z
Place = tuple[int, int, int, int]


def filled_rig() -> Rig:
    rig = Rig(Config(guest_memory=MEMORY))
    rig.memory.write(0, FILL)
    return rig


class Plain:
    """A 3D image and a transfer, one pixel at a time. Slices are of depth or of an array."""

    def __init__(self, width: int, height: int, depth: int, array_size: int, levels: int, size: int = 4) -> None:
        self.shape, self.levels, self.size = (width, height, depth, array_size), levels, size
        self.pixels: dict[Place, bytes] = {}

    def extent(self, level: int) -> tuple[int, int, int]:
        width, height, depth, array_size = self.shape
        return max(width >> level, 1), max(height >> level, 1), max(depth >> level, 1) * max(array_size, 1)

    def create(self, resource_id: int = 1, pixel_format: int = BGRA) -> CtrlHdr:
        width, height, depth, array_size = self.shape
        return ResourceCreate3D(
            resource_id=resource_id,
            format=pixel_format,
            width=width,
            height=height,
            depth=depth,
            array_size=array_size,
            last_level=self.levels - 1,
        )

    def places(self, request: TransferHost3D) -> dict[Place, int]:
        """Where in the backing each pixel of the box is."""
        box, level = request.box, request.level
        width, height, _slices = self.extent(level)
        stride = request.stride or width * self.size
        layer_stride = request.layer_stride or stride * height
        return {
            (level, box.x + x, box.y + y, box.z + z): request.offset + z * layer_stride + y * stride + x * self.size
            for z in range(box.d)
            for y in range(box.h)
            for x in range(box.w)
        }

    def transfer(self, request: TransferHost3D, backing: bytearray) -> None:
        for pixel, place in self.places(request).items():
            if request.type == CtrlType.TRANSFER_TO_HOST_3D:
                self.pixels[pixel] = bytes(backing[place : place + self.size])
            else:
                backing[place : place + self.size] = self.pixels.get(pixel, bytes(self.size))


def to_host(box: Box, *, level: int = 0, offset: int = 0, stride: int = 0, layer_stride: int = 0) -> TransferHost3D:
    return TransferHost3D(
        ctx_id=1, resource_id=1, box=box, level=level, offset=offset, stride=stride, layer_stride=layer_stride
    )


def from_host(box: Box, *, level: int = 0, offset: int = 0, stride: int = 0, layer_stride: int = 0) -> TransferHost3D:
    request = to_host(box, level=level, offset=offset, stride=stride, layer_stride=layer_stride)
    return replace(request, type=CtrlType.TRANSFER_FROM_HOST_3D.value)


BOXES = {
    "all": Box(w=8, h=6, d=4),
    "a slice": Box(z=2, w=8, h=6, d=1),
    "a line": Box(x=0, y=5, z=3, w=8, h=1, d=1),
    "a column": Box(x=7, w=1, h=6, d=1),
    "inner": Box(x=2, y=1, z=1, w=3, h=4, d=2),
    "the last pixel": Box(x=7, y=5, z=3, w=1, h=1, d=1),
}
STRIDES = {"the level's": {}, "wide": {"stride": 40, "layer_stride": 400}, "odd": {"stride": 33, "offset": 5}}


@pytest.mark.parametrize("box", BOXES.values(), ids=list(BOXES))
@pytest.mark.parametrize("strides", STRIDES.values(), ids=list(STRIDES))
def test_box_goes_to_the_host_and_comes_back_where_it_was(box: Box, strides: dict[str, int]) -> None:
    plain = Plain(8, 6, 4, 1, levels=1)
    size = 4096
    backing = bytearray(FILL[:size])
    with filled_rig() as rig:
        rig.ok(plain.create(), attach(1, (0, size)), to_host(box, **strides))
        plain.transfer(to_host(box, **strides), backing)
        rig.memory.write(0, bytes(size))
        backing[:] = bytes(size)
        whole = from_host(Box(w=8, h=6, d=4), stride=36, layer_stride=512, offset=8)
        for back in (from_host(box, **strides), whole):
            rig.ok(back)
            plain.transfer(back, backing)
            assert rig.memory.read(0, size) == backing
        assert any(backing)


def test_stride_0_means_the_line_of_the_level_and_layer_stride_0_its_slice() -> None:
    """virglrenderer takes them so, and Linux always sends 0 for a resource that is no blob."""
    with filled_rig() as rig:
        rig.ok(Plain(8, 6, 2, 1, levels=2).create(), attach(1, (0, 4096)))
        rig.ok(to_host(Box(w=2, h=2, d=2)), from_host(Box(w=2, h=2, d=2), offset=1024, stride=8, layer_stride=16))
        pieces = [FILL[place : place + 8] for place in (0, 32, 192, 224)]
        assert rig.memory.read(1024, 32) == b"".join(pieces)
        rig.ok(to_host(Box(w=2, h=2, d=1), level=1), from_host(Box(w=2, h=2, d=1), level=1, offset=2048, stride=8))
        assert rig.memory.read(2048, 16) == FILL[0:8] + FILL[16:24]


def test_levels_do_not_touch_each_other() -> None:
    plain = Plain(8, 8, 1, 1, levels=4)
    with filled_rig() as rig:
        rig.ok(plain.create(), attach(1, (0, 4096)))
        for level in range(4):
            width, height, _ = plain.extent(level)
            rig.ok(to_host(Box(w=width, h=height, d=1), level=level, offset=level * 300))
        for level in range(4):
            width, height, _ = plain.extent(level)
            rig.ok(from_host(Box(w=width, h=height, d=1), level=level, offset=2048))
            size = width * height * 4
            assert rig.memory.read(2048, size) == FILL[level * 300 : level * 300 + size]


@pytest.mark.parametrize(("depth", "array_size"), [(1, 6), (6, 1)])
def test_slices_of_an_array_stay_and_those_of_a_volume_halve_with_each_level(depth: int, array_size: int) -> None:
    there = max(depth // 2, 1) * array_size
    with filled_rig() as rig:
        rig.ok(Plain(4, 4, depth, array_size, levels=2).create(), attach(1, (0, 4096)))
        assert rig.type_of(to_host(Box(w=2, h=2, d=there), level=1)) == OK
        assert rig.type_of(to_host(Box(w=2, h=2, d=there + 1), level=1)) == PARAMETER


def test_buffer_is_transferred_by_the_byte() -> None:
    with filled_rig() as rig:
        rig.ok(Plain(1000, 1, 1, 0, levels=1).create(pixel_format=R8), attach(1, (0, 300), (8192, 700)))
        rig.ok(to_host(Box(w=1000, h=1, d=1)), from_host(Box(x=3, w=994, h=1, d=1), offset=1))
        assert rig.memory.read(1, 299) + rig.memory.read(8192, 695) == (FILL[:300] + FILL[8192:8892])[3:997]
        assert rig.device.image_bytes == 1000


def test_empty_box_moves_nothing() -> None:
    with filled_rig() as rig:
        rig.ok(Plain(4, 4, 4, 1, levels=1).create(), attach(1, (0, 256)))
        for box in (Box(), Box(w=4, h=4), Box(w=4, d=4), Box(h=4, d=4), Box(x=4, y=4, z=4)):
            rig.ok(to_host(box), from_host(box))
        rig.ok(from_host(Box(w=4, h=4, d=4)))
        assert rig.memory.read(0, 256) == bytes(256)


def test_box_that_ends_with_the_backing_is_transferred_and_one_byte_later_not() -> None:
    with filled_rig() as rig:
        rig.ok(Plain(4, 4, 2, 1, levels=1).create(), attach(1, (0, 100)))
        box = Box(w=2, h=2, d=2)
        assert rig.type_of(to_host(box, stride=16, layer_stride=76)) == OK
        assert rig.type_of(to_host(box, stride=16, layer_stride=77)) == PARAMETER
        assert rig.type_of(from_host(box, stride=17, layer_stride=76)) == PARAMETER


def test_transfer_of_a_blob_is_no_error() -> None:
    """Its memory is the guest's, or is mapped."""
    with filled_rig() as rig:
        rig.ok(guest_blob(1, PAGE, (0, PAGE)), to_host(Box(w=4, h=4, d=1)), from_host(Box(w=4, h=4, d=1)))
        assert rig.memory.read(0, PAGE) == FILL[:PAGE]


def test_backing_goes_and_the_image_stays() -> None:
    with filled_rig() as rig:
        rig.ok(Plain(4, 4, 1, 1, levels=1).create(), attach(1, (0, 64)), to_host(Box(w=4, h=4, d=1)))
        rig.ok(ResourceDetachBacking(resource_id=1), attach(1, (4096, 64)), from_host(Box(w=4, h=4, d=1)))
        assert rig.memory.read(4096, 64) == FILL[:64]
        rig.ok(ResourceUnref(resource_id=1))
        assert rig.device.image_bytes == 0


@few
@given(seed=st.integers(0, 2**32))
def test_any_transfers_do_what_the_plain_model_does(seed: int) -> None:
    random = Random(seed)
    size = random.choice([1, 4])
    width, height, depth, array_size = (random.randint(1, 9) for _ in range(4))
    plain = Plain(width, height, depth, array_size % 4, levels=random.randint(1, 4), size=size)
    backing, length = bytearray(FILL), random.randint(1, 3000)
    with filled_rig() as rig:
        rig.ok(plain.create(pixel_format=BGRA if size == 4 else R8), attach(1, (0, length)))
        for _ in range(6):
            level = random.randrange(plain.levels)
            width, height, slices = plain.extent(level)
            x, y, z = random.randint(0, width), random.randint(0, height), random.randint(0, slices)
            box = Box(
                x, y, z, random.randint(0, width - x), random.randint(0, height - y), random.randint(0, slices - z)
            )
            strides = random.choice([{}, {"stride": box.w * size + random.randrange(9) + 1}])
            request = random.choice([to_host, from_host])(box, level=level, offset=random.randrange(99), **strides)
            ends = [place + size for place in plain.places(request).values()]
            if max(ends, default=request.offset) <= length:
                assert rig.type_of(request) == OK
                plain.transfer(request, backing)
            else:
                assert rig.type_of(request) == PARAMETER
            assert rig.memory.read(0, MEMORY) == backing
