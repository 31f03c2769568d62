"""Screens as PNG files while a guest runs: when, and what of a guest that does strange things."""

import os
from pathlib import Path

import pytest
import trio.testing
from backend_kit import CONFIG, RAM, Guest, backend_with_guest
from msgspec.structs import replace

from vgpu_emu.peers import screenshots
from vgpu_wire.blob import BlobMem, ResourceCreateBlob
from vgpu_wire.display import Rect, ResourceFlush, SetScanout, SetScanoutBlob
from vgpu_wire.resource import Format, MemEntry, ResourceAttachBacking, ResourceCreate2D, TransferToHost2D

pytestmark = pytest.mark.usefixtures("nothing_left")
SCREEN = Rect(width=32, height=16)


async def show(guest: Guest, resource_id: int = 1) -> None:
    guest.start()
    pixel_format = Format.R8G8B8A8_UNORM.value
    await guest.say(
        ResourceCreate2D(resource_id=resource_id, format=pixel_format, width=SCREEN.width, height=SCREEN.height),
        ResourceAttachBacking(
            resource_id=resource_id, nr_entries=1, entries=[MemEntry(addr=0x10000, length=4 * 32 * 16)]
        ),
        SetScanout(scanout_id=0, resource_id=resource_id, r=SCREEN),
    )


def content(picture: Path) -> bytes:
    return picture.read_bytes() if picture.exists() else b""


async def flip(guest: Guest, colour: bytes) -> None:
    guest.memory.write(0x10000, colour * 4 * 32 * 16)
    await guest.say(TransferToHost2D(resource_id=1, r=SCREEN), ResourceFlush(resource_id=1, r=SCREEN))


async def test_picture_follows_the_screen(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    picture = tmp_path / "scanout-0.png"
    async with backend_with_guest(screenshots=tmp_path) as (_, guest):
        await show(guest)
        seen = [b""]
        for colour in (b"\x11", b"\x22", b"\x33"):
            await flip(guest, colour)
            # it is written in a thread, for which virtual time does not wait
            while content(picture) in seen:  # noqa: ASYNC110
                await trio.sleep(screenshots.PAUSE)
            seen.append(content(picture))
        os.unlink(picture)
        await trio.sleep(10)
        assert content(picture) == b""


async def test_last_picture_is_there_when_the_guest_is_gone(tmp_path: Path) -> None:
    async with backend_with_guest(screenshots=tmp_path) as (_, guest):
        await show(guest)
        await flip(guest, b"\x55")
    assert os.listdir(tmp_path) == ["scanout-0.png"]


async def test_guest_that_goes_while_one_picture_is_written_has_all_its_last_ones(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    config = replace(CONFIG, scanouts=((32, 16), (32, 16), (32, 16)))
    async with backend_with_guest(config, screenshots=tmp_path) as (_, guest):
        await show(guest)
        others = [SetScanout(scanout_id=number, resource_id=1, r=SCREEN) for number in (1, 2)]
        await guest.say(*others)
        await trio.sleep(1.5 * screenshots.PAUSE)
    assert sorted(os.listdir(tmp_path)) == ["scanout-0.png", "scanout-1.png", "scanout-2.png"]


async def test_screen_whose_memory_is_gone_has_no_picture(tmp_path: Path) -> None:
    async with backend_with_guest(screenshots=tmp_path) as (backend, guest):
        guest.start()
        blob = ResourceCreateBlob(
            resource_id=1,
            blob_mem=BlobMem.GUEST.value,
            size=4096,
            nr_entries=1,
            entries=[MemEntry(addr=0x10000, length=4096)],
        )
        scanout = SetScanoutBlob(
            scanout_id=0, resource_id=1, r=SCREEN, width=32, height=16, format=1, strides=(128, 0, 0, 0)
        )
        await guest.say(blob, scanout)
        backend.maps.remove(0, RAM)
        assert backend.device.displays.scanouts[0].shown is not None
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("pixels", "pictures"), [(32 * 16 - 1, 0), (32 * 16, 1)])
async def test_screen_that_is_too_large_has_no_picture(
    tmp_path: Path, pixels: int, pictures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screenshots, "MAX_PIXELS", pixels)
    async with backend_with_guest(screenshots=tmp_path) as (_, guest):
        await show(guest)
    assert len(os.listdir(tmp_path)) == pictures
