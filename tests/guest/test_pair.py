"""The driver and the device together: what a program draws is on the scanout, and time passes where it waits."""

import io
import struct
import zlib
from errno import EBUSY

import pytest
import trio
import trio.testing

from vgpu_emu.assembly import Config
from vgpu_emu.guest import kms
from vgpu_emu.guest.console import Console
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.framebuffer import Framebuffer, add_fb
from vgpu_emu.guest.prime import DmaBuf
from vgpu_emu.guest.probe import probe
from vgpu_emu.guest.waiting import Op
from vgpu_emu.lockstep import Lockstep, WouldHangError
from vgpu_emu.machine import open_machine
from vgpu_emu.vmm.picture import scanout_picture
from vgpu_wire.blob import BlobMem
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.device import Feature
from vgpu_wire.virtgpu_drm import EVENT_FENCE_SIGNALED, ContextParam, ExecbufFlag, Param

WIDTH, HEIGHT = 40, 33
FEATURES = {
    "2d": frozenset({Feature.EDID}),
    "guest blobs": frozenset({Feature.EDID, Feature.RESOURCE_UUID, Feature.RESOURCE_BLOB}),
    "virgl": frozenset({Feature.VIRGL, Feature.EDID}),
    "all": frozenset(Feature),
}
every_feature_set = pytest.mark.parametrize("features", FEATURES.values(), ids=FEATURES)
SMALL = ((320, 200),)


def machine_of(features: frozenset[Feature]) -> Lockstep:
    return Lockstep(Config(features=features, scanouts=SMALL, guest_memory=4 << 20))


def colour(x: int, y: int) -> tuple[int, int, int]:
    return 6 * x, 7 * y, x ^ y


def drawn() -> bytes:
    """The picture as a program draws it: blue, green, red and nothing."""
    return b"".join(bytes((*reversed(colour(x, y)), 0)) for y in range(HEIGHT) for x in range(WIDTH))


def rows_of_png(png: bytes) -> list[bytes]:
    """The lines of an RGBA picture, read by what ISO/IEC 15948 says, without its filters."""
    stream, chunks = io.BytesIO(png), {}
    assert stream.read(8) == b"\x89PNG\r\n\x1a\n"
    while header := stream.read(8):
        length, kind = struct.unpack(">I4s", header)
        chunks[kind] = stream.read(length)
        assert zlib.crc32(kind + chunks[kind]) == int.from_bytes(stream.read(4), "big")
    assert struct.unpack(">IIBB", chunks[b"IHDR"][:10]) == (WIDTH, HEIGHT, 8, 6)
    pixels, line = zlib.decompress(chunks[b"IDAT"]), WIDTH * 4 + 1
    assert not any(pixels[::line])
    return [pixels[start + 1 : start + line] for start in range(0, len(pixels), line)]


@every_feature_set
def test_dumb_buffer_is_seen_on_the_scanout(features: frozenset[Feature]) -> None:
    with machine_of(features) as machine:
        machine.run(probe(machine.driver))
        file, output = DrmFile(machine.driver), machine.driver.outputs[0]
        buffer = machine.run(file.create_dumb(WIDTH, HEIGHT))
        vma = machine.run(file.mmap(file.map(buffer.handle), buffer.size))
        vma.write(0, drawn())
        framebuffer = add_fb(file, buffer.handle, WIDTH, HEIGHT, pitch=buffer.pitch)
        machine.run(kms.set_crtc(machine.driver, output, framebuffer))
        picture = scanout_picture(machine.parts.device, 0)
        assert picture is not None
        expected = [b"".join(bytes((*colour(x, y), 255)) for x in range(WIDTH)) for y in range(HEIGHT)]
        assert rows_of_png(picture.png()) == expected
        assert list(machine.log.notes("error_response")) == []


def test_damage_alone_reaches_an_image_on_the_host() -> None:
    with machine_of(FEATURES["2d"]) as machine:
        machine.run(probe(machine.driver))
        file, output = DrmFile(machine.driver), machine.driver.outputs[0]
        buffer = machine.run(file.create_dumb(WIDTH, HEIGHT))
        framebuffer = add_fb(file, buffer.handle, WIDTH, HEIGHT, pitch=buffer.pitch)
        machine.run(kms.set_crtc(machine.driver, output, framebuffer))
        machine.run(file.mmap(file.map(buffer.handle), buffer.size)).write(0, b"\xff" * buffer.pitch * HEIGHT)
        machine.run(kms.dirty(machine.driver, framebuffer, [(3, 4, 5, 6)]))
        picture = scanout_picture(machine.parts.device, 0)
        assert picture is not None
        white = {at // 4 for at in range(0, len(picture.rgba), 4) if picture.rgba[at] == 255}
        assert white == {y * WIDTH + x for y in (4, 5) for x in (3, 4)}


@every_feature_set
def test_whole_life_of_a_guest_gets_no_error_and_leaves_nothing(features: frozenset[Feature]) -> None:
    with machine_of(features) as machine:
        driver, device = machine.driver, machine.parts.device
        machine.run(probe(driver))
        free = driver.pages.free_bytes
        console = Console(driver)
        machine.run(console.start())
        file = DrmFile(driver, "program")
        first, second = [machine.run(_framebuffer(file)) for _ in range(2)]
        machine.run(kms.set_crtc(driver, driver.outputs[0], first))
        machine.run(kms.page_flip(driver, driver.outputs[0], second))
        machine.run(kms.set_cursor(driver, driver.outputs[0], first, x=9, y=8))
        machine.run(kms.move_cursor(driver, driver.outputs[0], 10, 11))
        handle = machine.run(file.resource_create(width=8, height=8))
        exported: DmaBuf = machine.run(file.prime_handle_to_fd(handle))
        machine.run(file.close())
        machine.run(exported.close())
        machine.run(driver.settle())
        assert list(machine.log.notes("error_response")) == []
        assert len(device.resources) == 1
        assert console.framebuffer is not None
        assert driver.pages.free_bytes == free - console.framebuffer.gem.size
        assert device.contexts.keys() <= {1}


def _framebuffer(file: DrmFile) -> Op[Framebuffer]:
    buffer = yield from file.create_dumb(64, 64)
    return add_fb(file, buffer.handle, 64, 64, pitch=buffer.pitch)


def test_probe_finds_capsets_edid_and_size_of_the_device() -> None:
    with machine_of(FEATURES["all"]) as machine:
        machine.run(probe(machine.driver))
        driver = machine.driver
        assert [capset.id for capset in driver.capsets.known] == [1, 2, 4, 6]
        assert DrmFile(driver).getparam(Param.SUPPORTED_CAPSET_IDS) == 0b1010110
        assert DrmFile(driver).getparam(Param.BLOB_ALIGNMENT) == 4096
        assert driver.outputs[0].size == SMALL[0]
        assert driver.outputs[0].edid is not None
        assert len(machine.run(DrmFile(driver).get_caps(2, 2, 5000))) == 1376


def test_hot_plug_reaches_the_driver() -> None:
    with machine_of(FEATURES["2d"]) as machine:
        machine.run(probe(machine.driver))
        machine.parts.device.displays.plug(0, 640, 480)
        machine.config_interrupt()
        assert machine.driver.outputs[0].size == (640, 480)
        assert machine.parts.device.config.events_read == 0
        machine.parts.device.displays.unplug(0)
        machine.config_interrupt()
        assert not machine.driver.outputs[0].is_connected


def _with_ring(machine: Lockstep) -> DrmFile:
    machine.run(probe(machine.driver))
    file = DrmFile(machine.driver)
    params = [(ContextParam.CAPSET_ID, 4), (ContextParam.NUM_RINGS, 2), (ContextParam.POLL_RINGS_MASK, 2)]
    machine.run(file.context_init(params))
    return file


def test_wait_lets_the_time_pass_that_the_renderer_needs() -> None:
    with machine_of(FEATURES["all"]) as machine:
        file = _with_ring(machine)
        handle = machine.run(file.resource_create_blob(size=4096, blob_mem=BlobMem.GUEST))
        work = StreamWork(microseconds=2_000_000).build()
        machine.run(file.execbuffer(work, bo_handles=[handle], flags=ExecbufFlag.RING_IDX, ring_idx=1))
        machine.run(file.wait(handle))
        assert machine.now == pytest.approx(2.0)
        assert file.read_event() == EVENT_FENCE_SIGNALED


def test_wait_gives_up_at_15_seconds_of_the_guest() -> None:
    with machine_of(FEATURES["all"]) as machine:
        file = _with_ring(machine)
        handle = machine.run(file.resource_create_blob(size=4096, blob_mem=BlobMem.GUEST))
        work = StreamWork(microseconds=20_000_000).build()
        machine.run(file.execbuffer(work, bo_handles=[handle], flags=ExecbufFlag.RING_IDX, ring_idx=1))
        with pytest.raises(OSError, match="is busy") as refused:
            machine.run(file.wait(handle))
        assert refused.value.errno == EBUSY
        assert machine.now == pytest.approx(15.0)


def test_dead_device_is_given_up_by_the_probe_and_hangs_what_has_no_limit() -> None:
    with machine_of(FEATURES["2d"]) as machine:
        machine.parts.device.dead = "for this test"
        machine.run(probe(machine.driver))
        assert machine.now == pytest.approx(5.0)
        with pytest.raises(WouldHangError, match="every answer"):
            machine.run(machine.driver.settle())


def test_bound_again_the_driver_finds_the_device_as_new() -> None:
    with machine_of(FEATURES["all"]) as machine:
        file = _with_ring(machine)
        machine.run(file.create_dumb(64, 64))
        machine.rebind()
        assert machine.parts.device.resources == {}
        machine.run(probe(machine.driver))
        assert [capset.id for capset in machine.driver.capsets.known] == [1, 2, 4, 6]
        again = DrmFile(machine.driver)
        machine.run(again.create_dumb(64, 64))
        assert list(machine.parts.device.resources) == [3]
        machine.run(file.close())
        assert list(machine.log.notes("error_response")) == []


async def _in_machine(config: Config) -> None:
    async with open_machine(config) as machine:
        await machine.run(probe(machine.driver))
        file = DrmFile(machine.driver)
        handle = await machine.run(file.resource_create_blob(size=4096, blob_mem=BlobMem.GUEST))
        work = StreamWork(microseconds=20_000_000).build()
        await machine.run(file.execbuffer(work, bo_handles=[handle]))
        with pytest.raises(OSError, match="is busy"):
            await machine.run(file.wait(handle))
        assert trio.current_time() == pytest.approx(15.0)
        await machine.run(file.wait(handle))
        assert trio.current_time() == pytest.approx(20.0)
        machine.parts.device.displays.plug(0, 640, 480)
        machine.config_interrupt()
        await machine.run(file.close())
        await machine.settle()
        assert machine.driver.outputs[0].size == (640, 480)
        assert machine.parts.device.resources == {}


def test_trio_machine_keeps_time_too() -> None:
    config = Config(features=FEATURES["all"], scanouts=SMALL)
    trio.run(_in_machine, config, clock=trio.testing.MockClock(autojump_threshold=0))
