"""What a scanout shows, compared with a picture computed pixel by pixel and read back from its PNG."""

import pytest
from device_kit import BGRA, Rig
from pixels import channels, colour, noise, read_png

from vgpu_emu.assembly import Config
from vgpu_emu.drive.requests import PAGE, attach, guest_blob, work
from vgpu_emu.vmm.picture import Picture, scanout_picture
from vgpu_wire.blob import ResourceMapBlob
from vgpu_wire.control import CtrlHdr
from vgpu_wire.display import Rect, ResourceFlush, SetScanout, SetScanoutBlob
from vgpu_wire.resource import Format, ResourceCreate2D, ResourceDetachBacking, ResourceUnref, TransferToHost2D

MEMORY = 64 << 10
FILL = noise(MEMORY, seed=2)
WIDTH, HEIGHT = 20, 17
LINE = WIDTH * 4
every_format = pytest.mark.parametrize("pixel_format", Format, ids=lambda value: value.name)


def two_heads() -> Rig:
    rig = Rig(Config(guest_memory=MEMORY, scanouts=((64, 48), (64, 48))))
    rig.memory.write(0, FILL)
    return rig


def framebuffer(rig: Rig, pixel_format: int = BGRA, *, resource_id: int = 1, at: int = 0) -> None:
    """An image of the guest's memory from `at` on."""
    rig.ok(
        ResourceCreate2D(resource_id=resource_id, format=pixel_format, width=WIDTH, height=HEIGHT),
        attach(resource_id, (at, LINE * HEIGHT)),
        TransferToHost2D(r=Rect(width=WIDTH, height=HEIGHT), resource_id=resource_id),
    )


def show(rect: tuple[int, int, int, int] = (0, 0, WIDTH, HEIGHT), *, on: int = 0, resource_id: int = 1) -> CtrlHdr:
    x, y, width, height = rect
    return SetScanout(r=Rect(x=x, y=y, width=width, height=height), scanout_id=on, resource_id=resource_id)


def show_blob(
    rect: tuple[int, int, int, int],
    pixel_format: int = BGRA,
    *,
    stride: int = LINE,
    offset: int = 0,
    height: int = HEIGHT,
) -> CtrlHdr:
    x, y, *size = rect
    return SetScanoutBlob(
        r=Rect(x=x, y=y, width=size[0], height=size[1]),
        resource_id=1,
        width=WIDTH,
        height=height,
        format=pixel_format,
        strides=(stride, 0, 0, 0),
        offsets=(offset, 0, 0, 0),
    )


def picture(rig: Rig, scanout_id: int = 0) -> Picture:
    shown = scanout_picture(rig.device, scanout_id)
    assert shown is not None
    return shown


def assert_shows(
    rig: Rig,
    data: bytes,
    name: str,
    rect: tuple[int, int, int, int],
    *,
    stride: int = LINE,
    start: int = 0,
    on: int = 0,
) -> None:
    """The scanout's PNG has at each place the colour of the four bytes that belong there."""
    x, y, width, height = rect
    png_width, png_height, lines = read_png(picture(rig, on).png())
    assert (png_width, png_height) == (width, height)
    for row in range(height):
        for column in range(width):
            place = start + (y + row) * stride + (x + column) * 4
            assert lines[row][column] == colour(data[place : place + 4], name)


@every_format
def test_image_of_every_format_is_shown_in_its_colours(pixel_format: Format) -> None:
    with two_heads() as rig:
        framebuffer(rig, pixel_format.value)
        rig.ok(show())
        assert_shows(rig, FILL, pixel_format.name, (0, 0, WIDTH, HEIGHT))


@every_format
def test_blob_of_every_format_is_shown_in_its_colours(pixel_format: Format) -> None:
    with two_heads() as rig:
        rig.ok(guest_blob(1, PAGE, (0, PAGE)), show_blob((0, 0, WIDTH, HEIGHT), pixel_format.value))
        assert_shows(rig, FILL, pixel_format.name, (0, 0, WIDTH, HEIGHT))


def test_the_eight_formats_put_four_channels_in_every_order_that_they_name() -> None:
    assert len(Format) == 8
    assert all(sorted(channels(f.name)) in (["A", "B", "G", "R"], ["B", "G", "R", "X"]) for f in Format)


def test_a_scanout_shows_the_rectangle_of_the_image_that_it_was_given() -> None:
    rect = (3, 1, 16, 16)
    with two_heads() as rig:
        framebuffer(rig)
        rig.ok(show(rect))
        assert_shows(rig, FILL, "B8G8R8A8_UNORM", rect)


@pytest.mark.parametrize(("stride", "offset"), [(LINE, 0), (LINE + 12, 0), (LINE, 100), (128, 4), (LINE + 1, 3)])
def test_a_blob_is_shown_with_its_stride_and_offset(stride: int, offset: int) -> None:
    rect = (2, 1, 16, 16)
    with two_heads() as rig:
        rig.ok(guest_blob(1, PAGE, (0, 1000), (9000, PAGE - 1000)), show_blob(rect, stride=stride, offset=offset))
        scattered = FILL[:1000] + FILL[9000 : 9000 + PAGE - 1000]
        assert_shows(rig, scattered, "B8G8R8A8_UNORM", rect, stride=stride, start=offset)


def test_a_host_blob_is_shown_as_the_guest_has_drawn_it_through_its_mapping() -> None:
    with two_heads() as rig:
        rig.blob(1)
        rig.ok(ResourceMapBlob(resource_id=1), show_blob((0, 0, WIDTH, HEIGHT)))
        rig.parts.region.write(0, FILL[:PAGE])
        assert_shows(rig, FILL, "B8G8R8A8_UNORM", (0, 0, WIDTH, HEIGHT))


def test_a_guest_blob_needs_no_transfer_and_an_image_does() -> None:
    with two_heads() as rig:
        framebuffer(rig, resource_id=2, at=PAGE)
        rig.ok(guest_blob(1, PAGE, (PAGE, PAGE)), show_blob((0, 0, WIDTH, HEIGHT)), show(on=1, resource_id=2))
        rig.memory.write(PAGE, b"\x10\x20\x30\x40")
        assert picture(rig, 0).rgba[:4] == b"\x30\x20\x10\x40"
        assert picture(rig, 1).rgba[:4] == bytes(colour(FILL[PAGE : PAGE + 4], "B8G8R8A8_UNORM"))


def test_several_scanouts_may_show_one_image_overlapping_or_apart() -> None:
    with two_heads() as rig:
        framebuffer(rig)
        for left, right in [((0, 0, 16, 16), (0, 0, 16, 16)), ((0, 0, 16, 16), (4, 1, 16, 16))]:
            rig.ok(show(left, on=0), show(right, on=1))
            assert_shows(rig, FILL, "B8G8R8A8_UNORM", left, on=0)
            assert_shows(rig, FILL, "B8G8R8A8_UNORM", right, on=1)


def test_resource_0_disables_a_scanout_and_leaves_the_other() -> None:
    with two_heads() as rig:
        framebuffer(rig)
        rig.ok(show(on=0), show(on=1), SetScanout(scanout_id=0, resource_id=0))
        assert scanout_picture(rig.device, 0) is None
        assert_shows(rig, FILL, "B8G8R8A8_UNORM", (0, 0, WIDTH, HEIGHT), on=1)
        rig.ok(SetScanoutBlob(scanout_id=1, resource_id=0))
        assert scanout_picture(rig.device, 1) is None


def test_a_page_flip_shows_the_other_framebuffer() -> None:
    with two_heads() as rig:
        framebuffer(rig, resource_id=1, at=0)
        framebuffer(rig, resource_id=2, at=8192)
        for resource_id, start in ((1, 0), (2, 8192), (1, 0)):
            rig.ok(show(resource_id=resource_id), ResourceFlush(r=Rect(width=WIDTH, height=1), resource_id=resource_id))
            assert_shows(rig, FILL[start:], "B8G8R8A8_UNORM", (0, 0, WIDTH, HEIGHT))


def test_a_flush_updates_the_scanouts_that_show_the_rectangle_and_no_other() -> None:
    with two_heads() as rig:
        framebuffer(rig)
        rig.ok(show((0, 0, 16, 16), on=0), show((4, 1, 16, 16), on=1))
        scanouts = rig.device.displays.scanouts
        for rect, updated in [
            (Rect(width=WIDTH, height=HEIGHT), [1, 1]),
            (Rect(width=4, height=1), [2, 1]),
            (Rect(x=19, y=16, width=1, height=1), [2, 2]),
            (Rect(x=4, y=1, width=0, height=0), [2, 2]),
        ]:
            rig.ok(ResourceFlush(r=rect, resource_id=1))
            assert [scanout.updates for scanout in scanouts] == updated
        framebuffer(rig, resource_id=2)
        rig.ok(ResourceFlush(r=Rect(width=WIDTH, height=HEIGHT), resource_id=2))
        assert [scanout.updates for scanout in scanouts] == [2, 2]


def test_an_unreferenced_resource_is_shown_nowhere_and_its_id_shows_nothing_when_used_again() -> None:
    with two_heads() as rig:
        framebuffer(rig)
        rig.ok(show(on=0), show(on=1), ResourceUnref(resource_id=1))
        assert [scanout_picture(rig.device, n) for n in (0, 1)] == [None, None]
        framebuffer(rig)
        assert scanout_picture(rig.device, 0) is None


def test_a_blob_that_lost_its_backing_is_shown_black() -> None:
    with two_heads() as rig:
        rig.ok(guest_blob(1, PAGE, (0, PAGE)), show_blob((0, 0, WIDTH, HEIGHT)), ResourceDetachBacking(resource_id=1))
        assert picture(rig).rgba == bytes(WIDTH * HEIGHT * 4)


def test_a_picture_is_taken_of_a_scanout_that_there_is() -> None:
    with two_heads() as rig:
        assert scanout_picture(rig.device, 1) is None
        with pytest.raises(IndexError):
            scanout_picture(rig.device, 2)


def test_a_png_of_one_pixel_and_one_of_a_line_can_be_read() -> None:
    assert read_png(Picture(1, 1, bytes([1, 2, 3, 4])).png()) == (1, 1, [[(1, 2, 3, 4)]])
    wide = Picture(1000, 1, noise(4000))
    assert read_png(wide.png())[2][0][999] == tuple(wide.rgba[-4:])


def test_busy_gpus_do_not_hold_up_a_picture() -> None:
    with two_heads() as rig:
        rig.blob(5)
        rig.ok(work(1, 1000))
        framebuffer(rig)
        rig.ok(show())
        assert_shows(rig, FILL, "B8G8R8A8_UNORM", (0, 0, WIDTH, HEIGHT))
