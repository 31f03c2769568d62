"""2D pixels: transfers with offsets, strides and sub-rectangles out of scattered pages, against a plain model."""

from random import Random

import pytest
from device_kit import Rig
from hypothesis import given, settings
from hypothesis import strategies as st
from pixels import Guest, Host, noise

from vgpu_emu.assembly import Config
from vgpu_emu.drive.requests import PAGE, attach
from vgpu_emu.ids import ResourceId
from vgpu_emu.vmm.state import Image
from vgpu_wire.control import CtrlType
from vgpu_wire.display import Rect
from vgpu_wire.resource import Format, ResourceCreate2D, ResourceDetachBacking, TransferToHost2D

MEMORY = 64 << 10
FILL = noise(MEMORY)
WIDTH, HEIGHT = 7, 5
SIZE = WIDTH * HEIGHT * 4
few = settings(max_examples=60, derandomize=True, database=None, deadline=None)


def filled_rig() -> Rig:
    rig = Rig(Config(guest_memory=MEMORY))
    rig.memory.write(0, FILL)
    return rig


def create(resource_id: int = 1, width: int = WIDTH, height: int = HEIGHT) -> ResourceCreate2D:
    return ResourceCreate2D(resource_id=resource_id, format=Format.R8G8B8A8_UNORM.value, width=width, height=height)


def transfer(x: int, y: int, width: int, height: int, offset: int) -> TransferToHost2D:
    return TransferToHost2D(r=Rect(x=x, y=y, width=width, height=height), offset=offset, resource_id=1)


def pixels(rig: Rig, resource_id: int = 1) -> bytes:
    image = rig.device.resources[ResourceId(resource_id)]
    assert isinstance(image, Image)
    return bytes(image.pixels)


def test_a_new_image_is_black() -> None:
    with filled_rig() as rig:
        rig.ok(create())
        assert pixels(rig) == bytes(SIZE)


def test_attaching_backing_moves_nothing() -> None:
    with filled_rig() as rig:
        rig.ok(create(), attach(1, (0, SIZE)))
        assert pixels(rig) == bytes(SIZE)


@pytest.mark.parametrize("rect", [(0, 0, 7, 5), (0, 0, 7, 1), (0, 4, 7, 1), (3, 2, 2, 2), (6, 0, 1, 5), (1, 1, 1, 1)])
@pytest.mark.parametrize("offset", [0, 4, 1, 64])
def test_a_rectangle_is_read_from_its_offset_in_lines_of_the_image(
    rect: tuple[int, int, int, int], offset: int
) -> None:
    entries = [(1000, SIZE + 64)]
    with filled_rig() as rig:
        rig.ok(create(), attach(1, *entries), transfer(*rect, offset))
        host = Host(WIDTH, HEIGHT)
        host.transfer(Guest(FILL, entries), rect, offset)
        assert pixels(rig) == host.bytes


def test_linux_offset_of_a_damaged_rectangle_is_its_place_in_the_framebuffer() -> None:
    """offset = (y * width + x) * 4, as drm/virtio's plane update has it: then the image is the framebuffer."""
    x, y, width, height = 2, 1, 3, 3
    with filled_rig() as rig:
        rig.ok(create(), attach(1, (0, SIZE)), transfer(x, y, width, height, (y * WIDTH + x) * 4))
        for row in range(HEIGHT):
            for column in range(WIDTH):
                place = (row * WIDTH + column) * 4
                inside = x <= column < x + width and y <= row < y + height
                assert pixels(rig)[place : place + 4] == (FILL[place : place + 4] if inside else bytes(4))


def test_a_rectangle_without_pixels_moves_nothing() -> None:
    with filled_rig() as rig:
        rig.ok(create(), attach(1, (0, SIZE)))
        rig.ok(transfer(0, 0, 0, 5, 0), transfer(7, 0, 0, 5, 0), transfer(0, 5, 7, 0, SIZE), transfer(0, 0, 0, 0, 0))
        assert pixels(rig) == bytes(SIZE)


def test_pages_are_taken_in_the_order_of_the_entries_not_of_their_addresses() -> None:
    entries = [(3 * PAGE, 64), (PAGE, 44), (0, 0), (2 * PAGE + 5, 3), (9, 29)]
    assert sum(length for _, length in entries) == SIZE
    with filled_rig() as rig:
        rig.ok(create(), attach(1, *entries), transfer(0, 0, WIDTH, HEIGHT, 0))
        assert pixels(rig) == bytes(Guest(FILL, entries).bytes)


def test_a_page_may_be_given_twice() -> None:
    with filled_rig() as rig:
        rig.ok(create(), attach(1, *[(100, SIZE // 5)] * 5), transfer(0, 0, WIDTH, HEIGHT, 0))
        assert pixels(rig) == FILL[100 : 100 + SIZE // 5] * 5


def test_what_the_guest_writes_later_is_seen_by_the_next_transfer_only() -> None:
    with filled_rig() as rig:
        rig.ok(create(), attach(1, (0, SIZE)), transfer(0, 0, WIDTH, HEIGHT, 0))
        rig.memory.write(0, b"\xff" * SIZE)
        assert pixels(rig) == FILL[:SIZE]
        rig.ok(transfer(0, 0, WIDTH, 1, 0))
        assert pixels(rig) == b"\xff" * WIDTH * 4 + FILL[WIDTH * 4 : SIZE]


def test_pixels_stay_when_the_backing_is_detached_and_another_one_is_used_then() -> None:
    with filled_rig() as rig:
        rig.ok(create(), attach(1, (0, SIZE)), transfer(0, 0, WIDTH, HEIGHT, 0), ResourceDetachBacking(resource_id=1))
        assert pixels(rig) == FILL[:SIZE]
        assert rig.type_of(transfer(0, 0, 1, 1, 0)) == CtrlType.RESP_ERR_UNSPEC
        rig.ok(attach(1, (PAGE, SIZE)), transfer(0, 0, WIDTH, HEIGHT, 0))
        assert pixels(rig) == FILL[PAGE : PAGE + SIZE]


def test_the_last_pixel_that_the_backing_has_can_be_transferred_and_not_one_more() -> None:
    """The last line of a rectangle needs no more than its own pixels."""
    with filled_rig() as rig:
        rig.ok(create(), attach(1, (0, WIDTH * 4 + 8)))
        rig.ok(transfer(0, 0, 2, 2, 0))
        assert rig.type_of(transfer(0, 0, 3, 2, 0)) == CtrlType.RESP_ERR_INVALID_PARAMETER
        assert rig.type_of(transfer(0, 0, 2, 2, 1)) == CtrlType.RESP_ERR_INVALID_PARAMETER


@few
@given(seed=st.integers(0, 2**32))
def test_any_transfers_through_any_entries_do_what_the_plain_model_does(seed: int) -> None:
    random = Random(seed)
    width, height = random.randint(1, 12), random.randint(1, 12)
    entries = [(random.randrange(MEMORY - 200), random.randrange(200)) for _ in range(random.randint(1, 9))]
    guest, host = Guest(FILL, entries), Host(width, height)
    with filled_rig() as rig:
        rig.ok(create(1, width, height), attach(1, *entries))
        for _ in range(6):
            x, y = random.randint(0, width), random.randint(0, height)
            rect = x, y, random.randint(0, width - x), random.randint(0, height - y)
            offset = random.randrange(300)
            last = offset + ((rect[3] - 1) * width + rect[2]) * 4 if rect[2] and rect[3] else offset
            answer = rig.type_of(transfer(*rect, offset))
            if last > len(guest.bytes):
                assert answer == CtrlType.RESP_ERR_INVALID_PARAMETER
            else:
                assert answer == CtrlType.RESP_OK_NODATA
                host.transfer(guest, rect, offset)
            assert pixels(rig) == host.bytes
