"""The configuration space, its events, displays that come and go, and the cursor on them."""

import struct
from functools import partial

import pytest
from device_kit import BGRA, Rig

from vgpu_emu.assembly import CAPSETS, Config
from vgpu_emu.ids import ResourceId
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.displays import Cursor, Displays
from vgpu_emu.vmm.profiles import Profile
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.device import ConfigEvent, Feature
from vgpu_wire.display import CursorPos, DisplayOne, Rect, RespDisplayInfo, SetScanout, UpdateCursor
from vgpu_wire.resource import ResourceCreate2D, ResourceUnref

DISPLAY = ConfigEvent.DISPLAY.value
TWO = Config(scanouts=((1024, 768), (800, 600)), guest_memory=1 << 20, blob_alignment=16384)


def modes(rig: Rig) -> list[DisplayOne]:
    answer = rig.ok(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value))
    assert isinstance(answer, RespDisplayInfo)
    return list(answer.pmodes)


def test_config_space_is_five_words() -> None:
    with Rig(TWO) as rig:
        assert rig.device.config.build() == struct.pack("<5I", 0, 0, 2, len(CAPSETS), 16384)


@pytest.mark.parametrize(
    ("offered", "words"),
    [
        (set(), (0, 0, 2, 0, 0)),
        ({Feature.VIRGL}, (0, 0, 2, len(CAPSETS), 0)),
        ({Feature.RESOURCE_BLOB, Feature.BLOB_ALIGNMENT}, (0, 0, 2, 0, 16384)),
    ],
)
def test_words_of_features_that_are_not_offered_are_0(offered: set[Feature], words: tuple[int, ...]) -> None:
    profile = Profile(name="some", models="nothing", offers=frozenset(offered))
    with Rig(Config(profile=profile, scanouts=TWO.scanouts, blob_alignment=TWO.blob_alignment)) as rig:
        assert rig.device.config.build() == struct.pack("<5I", *words)


def test_plugging_and_unplugging_set_the_display_event_until_it_is_cleared() -> None:
    with Rig(TWO) as rig:
        displays = rig.device.displays
        changes = [
            partial(displays.unplug, 1),
            partial(displays.plug, 1, 640, 480),
            partial(displays.plug, 0, 320, 200),
        ]
        for change in changes:
            assert rig.device.config.events_read == 0
            change()
            assert rig.device.config.events_read == DISPLAY
            displays.clear_events(~DISPLAY)
            assert rig.device.config.events_read == DISPLAY
            displays.clear_events(DISPLAY)


def test_two_changes_are_one_event() -> None:
    with Rig(TWO) as rig:
        rig.device.displays.unplug(0)
        rig.device.displays.unplug(1)
        rig.device.displays.clear_events(DISPLAY)
        assert rig.device.config.events_read == 0


def test_display_info_says_16_times_what_the_user_has_plugged_in() -> None:
    with Rig(TWO) as rig:
        off = DisplayOne()
        wide, small = (DisplayOne(r=Rect(width=w, height=h), enabled=1) for w, h in TWO.scanouts)
        assert modes(rig) == [wide, small, *[off] * 14]
        rig.device.displays.unplug(0)
        assert modes(rig) == [off, small, *[off] * 14]
        rig.device.displays.plug(0, 3840, 2160)
        assert modes(rig) == [DisplayOne(r=Rect(width=3840, height=2160), enabled=1), small, *[off] * 14]


def test_displays_may_be_arranged_side_by_side() -> None:
    with Rig(TWO) as rig:
        rig.device.displays.scanouts[1].x = 1024
        assert modes(rig)[1].r == Rect(x=1024, width=800, height=600)


def test_the_user_can_only_plug_into_scanouts_that_there_are() -> None:
    displays = Displays([(8, 8)])
    with pytest.raises(IndexError):
        displays.plug(1, 8, 8)
    with pytest.raises(IndexError):
        displays.unplug(1)
    assert displays.events == 0


@pytest.mark.parametrize("size", [(0, 8), (8, 0), (-1, 8), (8, 1 << 32)])
def test_a_display_has_pixels_that_32_bits_count(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="pixels"):
        Displays([size])
    displays = Displays([(8, 8)])
    with pytest.raises(ValueError, match="pixels"):
        displays.plug(0, *size)
    assert (displays.scanouts[0].width, displays.events) == (8, 0)


def test_an_unplugged_scanout_can_still_be_set_up() -> None:
    """Linux sets a mode as it likes; the user does not see it."""
    with Rig(TWO) as rig:
        rig.device.displays.unplug(0)
        rig.image(1, 16, 16)
        rig.ok(SetScanout(r=Rect(width=16, height=16), resource_id=1))
        assert modes(rig)[0] == DisplayOne()


# -- the cursor


def update(resource_id: int, *, x: int = 0, y: int = 0, on: int = 0, hot: tuple[int, int] = (0, 0)) -> UpdateCursor:
    return UpdateCursor(pos=CursorPos(scanout_id=on, x=x, y=y), resource_id=resource_id, hot_x=hot[0], hot_y=hot[1])


def move(x: int, y: int, on: int = 0) -> UpdateCursor:
    return UpdateCursor(
        type=CtrlType.MOVE_CURSOR.value, pos=CursorPos(scanout_id=on, x=x, y=y), resource_id=99, hot_x=99, hot_y=99
    )


def test_update_cursor_sets_image_hot_spot_and_place_and_move_cursor_its_place_alone() -> None:
    with Rig(TWO) as rig:
        rig.image(5, 64, 64)
        rig.ok(update(5, x=10, y=20, on=1, hot=(3, 4)))
        scanouts = rig.device.displays.scanouts
        assert scanouts[1].cursor == Cursor(10, 20, 3, 4, ResourceId(5))
        rig.ok(move(11, 2**32 - 1, on=1))
        assert scanouts[1].cursor == Cursor(11, 2**32 - 1, 3, 4, ResourceId(5))
        assert scanouts[0].cursor == Cursor()


def test_resource_0_hides_the_cursor() -> None:
    with Rig(TWO) as rig:
        rig.image(5, 64, 64)
        rig.ok(update(5, x=1), update(0, x=2))
        assert rig.device.displays.scanouts[0].cursor == Cursor(x=2)


@pytest.mark.parametrize(("width", "height"), [(64, 63), (63, 64), (65, 64), (128, 128), (1, 1)])
def test_a_cursor_image_is_64_by_64(width: int, height: int) -> None:
    with Rig(TWO) as rig:
        rig.image(5, width, height)
        assert rig.type_of(update(5)) == CtrlType.RESP_ERR_INVALID_PARAMETER


def test_a_cursor_whose_image_is_gone_is_hidden_where_it_was() -> None:
    with Rig(TWO) as rig:
        rig.ok(ResourceCreate2D(resource_id=5, format=BGRA, width=64, height=64), update(5, x=7, y=8))
        rig.ok(ResourceUnref(resource_id=5))
        assert rig.device.displays.scanouts[0].cursor == Cursor(x=7, y=8)


def test_cursor_requests_of_a_vmm_that_answers_none_of_them_are_used_with_length_0() -> None:
    with Rig(Config(profile=PROFILES["qemu-2d"], features=frozenset())) as rig:
        used = rig.raw(move(1, 2).build(), queue=1)
        assert used is not None
        assert used.written == b""
        assert rig.device.displays.scanouts[0].cursor.x == 1
