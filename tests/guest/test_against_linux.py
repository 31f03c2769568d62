"""The model sends what a real Linux 7.2 sent when the same programs ran: every request of four captures, in order."""

from errno import ENOSYS
from typing import Any

from linux_kit import AgainstLinux, Program

from vgpu_emu.guest import kms
from vgpu_emu.guest.driver import Driver
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.framebuffer import ARGB8888, add_fb
from vgpu_emu.guest.ioctls_resource import Transfer
from vgpu_emu.guest.probe import probe
from vgpu_wire.blob import BlobFlag, BlobMem
from vgpu_wire.device import Feature
from vgpu_wire.render import Box
from vgpu_wire.virtgpu_drm import ContextParam, ExecbufFlag

WIDTH, HEIGHT = 1024, 768
VENUS = 4
MAPPABLE, SHAREABLE = BlobFlag.USE_MAPPABLE.value, BlobFlag.USE_SHAREABLE.value


def boot(linux: AgainstLinux) -> Program:
    """insmod: the driver finds its device, and its console comes up."""
    yield probe(linux.driver)
    yield linux.console.start()


def kms_program(driver: Driver) -> Program:
    """A program that sets a mode, moves a cursor, flips pages, and tries the 3D ioctls."""
    file = DrmFile(driver, "kms")
    output = driver.outputs[0]
    first = yield from _framebuffer(file, WIDTH, HEIGHT)
    yield kms.set_crtc(driver, output, first)
    yield kms.dirty(driver, first)
    image = yield from _framebuffer(file, 64, 64, ARGB8888)
    yield kms.set_cursor(driver, output, image, x=100, y=50, hot_x=3, hot_y=4)
    for x, y in [(120, 60), *((120 + i, 60 + i) for i in range(1, 5))]:
        yield kms.move_cursor(driver, output, x, y)
    second = yield from _framebuffer(file, WIDTH, HEIGHT)
    for _ in range(15):
        yield kms.page_flip(driver, output, second)
        yield kms.page_flip(driver, output, first)
    yield kms.set_cursor(driver, output, None)
    dma_buf = yield from _three_d(file)
    yield kms.set_crtc(driver, output, None)
    yield file.close()
    yield dma_buf.close()


def _framebuffer(file: DrmFile, width: int, height: int, fourcc: int | None = None) -> Program:
    buffer = yield file.create_dumb(width, height)
    options = {} if fourcc is None else {"fourcc": fourcc}
    return add_fb(file, buffer.handle, width, height, pitch=buffer.pitch, **options)


def _three_d(file: DrmFile) -> Program:
    """A resource, its transfers, a command stream; and a dma-buf of it that outlives the file."""
    has_virgl = file.driver.has(Feature.VIRGL)
    handle = yield file.resource_create(width=64, height=32, format=1, bind=10, size=64 * 32 * 4)
    yield file.transfer_to_host(handle, Transfer(box=Box(x=1, y=2, w=30, h=20, d=1), offset=512))
    refused = yield file.transfer_from_host(handle, Transfer(box=Box(w=64, h=32, d=1)))
    assert has_virgl or refused.errno == ENOSYS
    stream = bytes.fromhex("0100030007000000080000000900000000000000000000000000000000000000")
    refused = yield file.execbuffer(stream, bo_handles=[handle])
    assert has_virgl or refused.errno == ENOSYS
    yield file.wait(handle)
    return (yield file.prime_handle_to_fd(handle))


def blob_program(driver: Driver) -> Program:
    """A program that makes blobs of every kind, maps them, and submits to a ring."""
    file = DrmFile(driver, "blob")
    params = [(ContextParam.CAPSET_ID, VENUS), (ContextParam.NUM_RINGS, 2), (ContextParam.POLL_RINGS_MASK, 2)]
    yield file.context_init(params)
    assert len((yield file.get_caps(VENUS, 0, 160))) == 160
    for number in range(4):
        cmd = bytes.fromhex(f"{number:02x}001111020000000300000004000000")
        size = 65536 << number
        handle = yield file.resource_create_blob(
            size=size, blob_id=0x100 + number, blob_flags=MAPPABLE | SHAREABLE, cmd=cmd
        )
        yield from _map_and_close(file, handle, size)
    yield file.resource_create_blob(size=16384, blob_mem=BlobMem.GUEST, blob_flags=MAPPABLE | SHAREABLE)
    yield file.resource_create_blob(size=8192, blob_id=0x777, blob_mem=BlobMem.HOST3D_GUEST, blob_flags=7)
    stream = b"".join((0xC0DE0000 + word).to_bytes(4, "little") for word in range(16))
    yield file.execbuffer(stream, flags=ExecbufFlag.RING_IDX, ring_idx=1)
    for _ in range(500):
        yield file.execbuffer(stream, flags=ExecbufFlag.FENCE_FD_OUT)
    for _ in range(200):
        handle = yield file.resource_create_blob(size=4096, blob_id=515)
        yield from _map_and_close(file, handle, 4096)
    yield file.close()


def _map_and_close(file: DrmFile, handle: Any, size: int) -> Program:
    vma = yield file.mmap(file.map(handle), size)
    yield vma.munmap()
    yield file.gem_close(handle)


def boot_and_kms(linux: AgainstLinux) -> Program:
    yield from boot(linux)
    yield from kms_program(linux.driver)


def boot_blob_and_kms(linux: AgainstLinux) -> Program:
    yield from boot(linux)
    yield from blob_program(linux.driver)
    yield from kms_program(linux.driver)


def test_plain_2d() -> None:
    linux = AgainstLinux("2d", {Feature.EDID}, boot_and_kms)
    linux.run()
    assert linux.compared == 149


def test_guest_blobs_without_virgl() -> None:
    features = {Feature.EDID, Feature.RESOURCE_UUID, Feature.RESOURCE_BLOB}
    linux = AgainstLinux("blob2d", features, boot_and_kms)
    linux.run()
    assert linux.compared == 144


def test_classic_virgl() -> None:
    linux = AgainstLinux("virgl_classic", {Feature.VIRGL, Feature.EDID}, boot_and_kms, num_capsets=3)
    linux.run()
    assert linux.compared == 167


def test_contexts_and_blobs_of_every_kind() -> None:
    features = set(Feature) - {Feature.BLOB_ALIGNMENT}
    linux = AgainstLinux("virgl64", features, boot_blob_and_kms, num_capsets=3)
    linux.run()
    assert linux.compared == 1946
    assert {note.values["map_info"] for note in linux.driver.log.notes("pgprot")} == {0, 1, 2, 3}
