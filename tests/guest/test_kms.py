"""Mode setting: the order of the commands, what is left out, fences and damage (virtgpu_plane.c, virtgpu_display.c)."""

from errno import EBUSY, EINVAL, ENOENT, ENOSPC

import pytest
from guest_kit import BLOBS_2D, PLAIN, Guest, errno_of, of_type, refusal
from support import Call

from vgpu_emu.guest import kms
from vgpu_emu.guest.framebuffer import ARGB8888, Framebuffer, add_fb
from vgpu_emu.guest.outputs import Output
from vgpu_emu.guest.probe import probe
from vgpu_emu.ids import GemHandle
from vgpu_wire.device import Feature
from vgpu_wire.display import Rect, ResourceFlush, SetScanout, SetScanoutBlob
from vgpu_wire.resource import ResourceUnref, TransferToHost2D

WIDTH, HEIGHT = 64, 48
WHOLE = Rect(width=WIDTH, height=HEIGHT)


def _guest(features: frozenset[Feature] = PLAIN) -> tuple[Guest, Output]:
    guest = Guest(features)
    guest.run(probe(guest.driver))
    return guest, guest.driver.outputs[0]


def _dumb(guest: Guest, width: int = WIDTH, height: int = HEIGHT) -> Framebuffer:
    buffer = guest.run(guest.file.create_dumb(width, height))
    return add_fb(guest.file, buffer.handle, width, height, pitch=buffer.pitch)


def _shown(features: frozenset[Feature] = PLAIN) -> tuple[Guest, Output, Framebuffer]:
    """A framebuffer on a scanout, with nothing left to say about the mode."""
    guest, output = _guest(features)
    framebuffer = _dumb(guest)
    guest.run(kms.set_crtc(guest.driver, output, framebuffer))
    guest.run(kms.dirty(guest.driver, framebuffer))
    return guest, output, framebuffer


def test_new_mode_is_announced_then_pixels_then_scanout_then_flush() -> None:
    guest, output = _guest()
    Call(kms.set_crtc(guest.driver, output, _dumb(guest)))
    assert guest.sent() == [
        SetScanout(r=WHOLE),
        TransferToHost2D(r=WHOLE, resource_id=2),
        SetScanout(r=WHOLE, resource_id=2),
        ResourceFlush(r=WHOLE, resource_id=2),
    ]


def test_guest_blob_is_shown_by_set_scanout_blob_and_its_flush_has_a_fence() -> None:
    guest, output = _guest(BLOBS_2D)
    call = Call(kms.set_crtc(guest.driver, output, _dumb(guest)))
    assert guest.sent()[1:] == [
        TransferToHost2D(r=WHOLE, resource_id=2),
        SetScanoutBlob(r=WHOLE, resource_id=2, width=WIDTH, height=HEIGHT, format=2, strides=(WIDTH * 4, 0, 0, 0)),
        ResourceFlush(r=WHOLE, resource_id=2, flags=1, fence_id=1),
    ]
    assert call.wait is not None
    assert call.wait.timeout == 0.05


def test_flush_that_is_not_answered_is_waited_for_for_50_ms_and_then_life_goes_on() -> None:
    guest, output = _guest(BLOBS_2D)
    call = Call(kms.set_crtc(guest.driver, output, _dumb(guest)))
    call.time_out()
    assert not call.sleeps


def test_next_flush_waits_for_the_one_before_it() -> None:
    guest, output = _guest(BLOBS_2D)
    framebuffer = _dumb(guest)
    Call(kms.set_crtc(guest.driver, output, framebuffer)).time_out()
    again = Call(kms.dirty(guest.driver, framebuffer))
    assert again.wait is not None
    assert again.wait.timeout is None
    guest.answer_all()
    again.step()
    assert "RESOURCE_FLUSH" in guest.names()


def test_scanout_is_said_once_more_after_the_mode_and_then_only_when_something_changes() -> None:
    guest, output = _guest()
    framebuffer = _dumb(guest)
    guest.run(kms.set_crtc(guest.driver, output, framebuffer))
    for expected in (
        ["TRANSFER_TO_HOST_2D", "SET_SCANOUT", "RESOURCE_FLUSH"],
        ["TRANSFER_TO_HOST_2D", "RESOURCE_FLUSH"],
    ):
        Call(kms.dirty(guest.driver, framebuffer))
        assert guest.names() == expected


def test_same_mode_is_not_announced_again() -> None:
    guest, output, _framebuffer = _shown()
    Call(kms.set_crtc(guest.driver, output, _dumb(guest)))
    assert guest.names() == ["TRANSFER_TO_HOST_2D", "SET_SCANOUT", "RESOURCE_FLUSH"]


def test_other_part_of_the_framebuffer_is_another_scanout() -> None:
    guest, output = _guest()
    large = _dumb(guest, 2 * WIDTH, HEIGHT)
    guest.run(kms.set_crtc(guest.driver, output, large, mode=(WIDTH, HEIGHT)))
    guest.run(kms.dirty(guest.driver, large))
    Call(kms.set_crtc(guest.driver, output, large, x=WIDTH, mode=(WIDTH, HEIGHT)))
    right = Rect(x=WIDTH, width=WIDTH, height=HEIGHT)
    assert guest.sent() == [
        TransferToHost2D(r=right, offset=WIDTH * 4, resource_id=2),
        SetScanout(r=right, resource_id=2),
        ResourceFlush(r=right, resource_id=2),
    ]


def test_switching_off_is_said_without_a_size_and_with_one() -> None:
    guest, output, _framebuffer = _shown()
    Call(kms.set_crtc(guest.driver, output, None))
    assert guest.sent() == [SetScanout(), SetScanout(r=WHOLE)]
    Call(kms.set_crtc(guest.driver, output, None))
    assert guest.sent() == []


def test_other_mode_switches_the_old_one_off_first() -> None:
    guest, output, _framebuffer = _shown()
    small = _dumb(guest, 32, 32)
    Call(kms.set_crtc(guest.driver, output, small))
    scanouts = of_type(guest.sent(), SetScanout)
    assert [(s.r.width, s.resource_id) for s in scanouts] == [(0, 0), (32, 0), (32, 3)]


def test_damage_is_one_rectangle_around_all_clips_and_the_offset_is_where_it_starts() -> None:
    guest, _output, framebuffer = _shown()
    Call(kms.dirty(guest.driver, framebuffer, [(4, 5, 6, 7), (10, 1, 11, 2)]))
    rect = Rect(x=4, y=1, width=7, height=6)
    assert guest.sent() == [
        TransferToHost2D(r=rect, offset=WIDTH * 4 + 4 * 4, resource_id=2),
        ResourceFlush(r=rect, resource_id=2),
    ]


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        ((-5, -5, 1, 1), Rect(width=1, height=1)),
        ((WIDTH - 1, HEIGHT - 1, 999, 999), Rect(x=WIDTH - 1, y=HEIGHT - 1, width=1, height=1)),
        ((WIDTH, 0, WIDTH + 1, 1), None),
        ((3, 3, 3, 9), None),
    ],
)
def test_damage_is_cut_to_what_is_shown(clip: kms.Clip, expected: Rect | None) -> None:
    guest, _output, framebuffer = _shown()
    Call(kms.dirty(guest.driver, framebuffer, [clip]))
    assert [flush.r for flush in of_type(guest.sent(), ResourceFlush)] == ([expected] if expected else [])


def test_framebuffer_that_is_not_shown_has_no_damage() -> None:
    guest, _output, _framebuffer = _shown()
    Call(kms.dirty(guest.driver, _dumb(guest)))
    assert guest.sent() == []


def test_page_flip_transfers_all_and_is_an_event() -> None:
    guest, output, _framebuffer = _shown()
    Call(kms.page_flip(guest.driver, output, _dumb(guest), event=True))
    assert guest.names() == ["TRANSFER_TO_HOST_2D", "SET_SCANOUT", "RESOURCE_FLUSH"]
    assert guest.file.read_event() == kms.EVENT_FLIP_COMPLETE


def test_page_flip_needs_a_picture_room_and_the_same_format() -> None:
    guest, output = _guest()
    assert errno_of(kms.page_flip(guest.driver, output, _dumb(guest))) == EBUSY
    guest, output, _framebuffer = _shown()
    assert errno_of(kms.page_flip(guest.driver, output, _dumb(guest, 32, 32))) == ENOSPC
    buffer = guest.run(guest.file.create_dumb(WIDTH, HEIGHT))
    with_alpha = add_fb(guest.file, buffer.handle, WIDTH, HEIGHT, fourcc=ARGB8888)
    assert errno_of(kms.page_flip(guest.driver, output, with_alpha)) == EINVAL


def test_mode_is_not_larger_than_the_framebuffer() -> None:
    guest, output = _guest()
    framebuffer = _dumb(guest)
    assert errno_of(kms.set_crtc(guest.driver, output, framebuffer, x=1)) == ENOSPC
    assert errno_of(kms.set_crtc(guest.driver, output, framebuffer, x=1, mode=(WIDTH - 1, HEIGHT))) is None


def test_resource_is_not_transferred_by_itself_but_waited_for_before_it_is_shown() -> None:
    guest, output = _guest()
    call = Call(guest.file.resource_create(width=WIDTH, height=HEIGHT, size=WIDTH * HEIGHT * 4))
    handle = call.value
    guest.sent()
    shown = Call(kms.set_crtc(guest.driver, output, add_fb(guest.file, handle, WIDTH, HEIGHT)))
    assert shown.sleeps
    guest.answer()
    shown.step()
    assert guest.names() == ["SET_SCANOUT", "SET_SCANOUT", "RESOURCE_FLUSH"]


def test_removed_framebuffer_leaves_the_mode_on_and_the_scanout_without_picture() -> None:
    guest, output, framebuffer = _shown()
    Call(framebuffer.remove())
    assert guest.sent() == [SetScanout(r=WHOLE)]
    assert output.mode == (WIDTH, HEIGHT)


def test_object_lives_as_long_as_it_is_shown() -> None:
    guest, output, framebuffer = _shown()
    guest.run(guest.file.gem_close(GemHandle(1)))
    Call(kms.set_crtc(guest.driver, output, _dumb(guest)))
    assert of_type(guest.sent(), ResourceUnref) == []
    guest.answer_all()
    Call(framebuffer.remove())
    assert guest.sent() == [ResourceUnref(resource_id=2)]


@pytest.mark.parametrize(
    ("size", "options", "errno"),
    [
        ((32, 32), {}, None),
        ((31, 32), {}, EINVAL),
        ((32, 31), {}, EINVAL),
        ((8192, 32), {}, None),
        ((8193, 32), {}, EINVAL),
        ((32, 32), {"pitch": 127}, EINVAL),
        ((32, 32), {"pitch": 128}, None),
        ((32, 32), {"fourcc": ARGB8888}, None),
        ((32, 32), {"fourcc": 0x34324258}, ENOENT),
    ],
)
def test_framebuffer_has_limits(size: tuple[int, int], options: dict[str, int], errno: int | None) -> None:
    guest, _output = _guest()
    handle = guest.run(guest.file.create_dumb(32, 32)).handle
    assert refusal(lambda: add_fb(guest.file, handle, *size, **options)) == errno


def test_framebuffer_of_an_unknown_handle_is_einval() -> None:
    guest, _output = _guest()
    assert refusal(lambda: add_fb(guest.file, GemHandle(9), 32, 32)) == EINVAL
