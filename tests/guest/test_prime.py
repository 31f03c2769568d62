"""dma-bufs out and in, UUIDs, and the fenced DETACH_BACKING of what is another driver's (virtgpu_prime.c)."""

from errno import EINVAL, EIO, ENODEV, ENOENT

import pytest
from guest_kit import BLOBS_2D, EVERYTHING, PAGE, PLAIN, UNSPEC, Guest, errno_of, refusal
from support import Call

from vgpu_emu.guest import kms
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.framebuffer import add_fb
from vgpu_emu.guest.gem import State
from vgpu_emu.guest.imported import ForeignDmaBuf
from vgpu_emu.guest.prime import DmaBuf
from vgpu_emu.guest.probe import probe
from vgpu_emu.ids import GemHandle
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.resource import MemEntry, ResourceAttachBacking, ResourceDetachBacking, ResourceUnref

CROSS_DEVICE = BlobFlag.USE_CROSS_DEVICE.value
PLACE = [(0x100000, 0x103000), (0x200000, 0x201000)]
ELSEWHERE = [(0x300000, 0x304000)]
ENTRIES = [MemEntry(addr=0x100000, length=0x3000), MemEntry(addr=0x200000, length=0x1000)]


def _plain(guest: Guest) -> GemHandle:
    return guest.run(guest.file.resource_create(width=4, height=4))


# -- export and UUIDs


def test_export_asks_for_a_uuid_once_and_does_not_wait() -> None:
    guest = Guest(BLOBS_2D)
    handle = _plain(guest)
    first = Call(guest.file.prime_handle_to_fd(handle)).value
    second = Call(guest.file.prime_handle_to_fd(handle)).value
    assert first is second
    assert guest.names() == ["RESOURCE_ASSIGN_UUID"]
    uuid = Call(first.get_uuid())
    assert uuid.sleeps
    guest.answer_all()
    uuid.step()
    assert uuid.value == bytes(range(16))


def test_uuid_that_the_device_refuses_is_enodev() -> None:
    guest = Guest(BLOBS_2D)
    exported = Call(guest.file.prime_handle_to_fd(_plain(guest))).value
    guest.answer(UNSPEC)
    assert errno_of(exported.get_uuid()) == ENODEV


@pytest.mark.parametrize("features", [PLAIN, EVERYTHING - {Feature.RESOURCE_UUID}])
def test_without_the_feature_there_is_no_uuid_and_no_question(features: frozenset[Feature]) -> None:
    guest = Guest(features)
    exported = Call(guest.file.prime_handle_to_fd(_plain(guest))).value
    assert guest.names() == []
    assert errno_of(exported.get_uuid()) == ENODEV


@pytest.mark.parametrize(("blob_flags", "errno"), [(CROSS_DEVICE, None), (BlobFlag.USE_SHAREABLE, ENODEV)])
def test_blob_has_a_uuid_only_if_it_was_made_for_other_devices(blob_flags: int, errno: int | None) -> None:
    guest = Guest()
    handle = guest.run(guest.file.resource_create_blob(size=PAGE, blob_id=1, blob_flags=blob_flags))
    exported = Call(guest.file.prime_handle_to_fd(handle)).value
    assert guest.names() == []
    assert errno_of(exported.get_uuid()) == errno


def test_second_export_after_the_first_is_gone_costs_the_uuid() -> None:
    guest = Guest(BLOBS_2D)
    handle = _plain(guest)
    first = guest.run(guest.file.prime_handle_to_fd(handle))
    guest.run(first.close())
    second = guest.run(guest.file.prime_handle_to_fd(handle))
    assert second is not first
    assert guest.file.object(handle).uuid_state is State.ERR
    assert errno_of(second.get_uuid()) == ENODEV


def test_export_of_an_unknown_handle_is_enoent() -> None:
    guest = Guest()
    assert errno_of(guest.file.prime_handle_to_fd(GemHandle(9))) == ENOENT


def test_dma_buf_keeps_the_object_alive() -> None:
    guest = Guest(PLAIN)
    handle = _plain(guest)
    exported = guest.run(guest.file.prime_handle_to_fd(handle))
    Call(guest.file.close())
    assert guest.names() == []
    Call(exported.close())
    assert guest.sent() == [ResourceUnref(resource_id=2)]


def test_own_dma_buf_comes_back_as_the_object_and_to_the_same_file_as_the_same_handle() -> None:
    guest = Guest()
    handle = guest.run(guest.file.resource_create_blob(size=PAGE, blob_id=1))
    exported = Call(guest.file.prime_handle_to_fd(handle)).value
    assert Call(guest.file.prime_fd_to_handle(exported)).value == handle
    other = DrmFile(guest.driver)
    guest.run(other.execbuffer(b""))
    imported = Call(other.prime_fd_to_handle(exported)).value
    assert guest.names() == ["CTX_ATTACH_RESOURCE"]
    assert other.object(imported) is guest.file.object(handle)
    guest.run(guest.file.gem_close(handle))
    assert other.object(imported).refs == 2


def test_memory_is_mapped_by_its_address_and_what_has_none_only_by_uuid() -> None:
    guest = Guest()
    handles = [
        guest.run(guest.file.resource_create_blob(size=PAGE, blob_mem=BlobMem.GUEST)),
        guest.run(guest.file.resource_create_blob(size=PAGE, blob_id=1)),
        guest.run(guest.file.resource_create_blob(size=PAGE, blob_id=2, blob_flags=CROSS_DEVICE)),
    ]
    pages, host, hidden = [Call(guest.file.prime_handle_to_fd(handle)).value for handle in handles]
    assert pages.map() == [MemEntry(addr=1 << 20, length=PAGE)]
    assert host.map() == [MemEntry(addr=0, length=PAGE)]
    assert hidden.map(virtio=True) == []
    assert refusal(hidden.map) == EIO
    without = DmaBuf(guest.file.object(handles[2]))
    guest.driver.features -= {Feature.RESOURCE_UUID}
    assert refusal(lambda: without.map(virtio=True)) == EIO


# -- import


def test_foreign_dma_buf_becomes_a_guest_blob_of_its_pages() -> None:
    guest = Guest(BLOBS_2D)
    foreign = ForeignDmaBuf(PLACE)
    handle = Call(guest.file.prime_fd_to_handle(foreign)).value
    assert guest.sent() == [
        ResourceCreateBlob(resource_id=2, blob_mem=1, blob_flags=2, size=4 * PAGE, nr_entries=2, entries=ENTRIES)
    ]
    assert Call(guest.file.prime_fd_to_handle(foreign)).value == handle
    assert guest.sent() == []
    assert refusal(lambda: guest.file.map(handle)) == EINVAL
    assert errno_of(guest.file.prime_handle_to_fd(handle)) == EINVAL


@pytest.mark.parametrize("features", [PLAIN, EVERYTHING])
def test_foreign_dma_buf_needs_blobs_and_no_virgl(features: frozenset[Feature]) -> None:
    guest = Guest(features)
    assert errno_of(guest.file.prime_fd_to_handle(ForeignDmaBuf(PLACE))) == ENODEV
    assert guest.sent() == []


def test_dma_buf_of_another_device_of_the_same_driver_is_foreign() -> None:
    other = Guest(PLAIN)
    dma_buf = other.run(other.file.prime_handle_to_fd(_plain(other)))
    assert errno_of(Guest(PLAIN).file.prime_fd_to_handle(dma_buf)) == ENODEV


def test_imported_pages_are_given_back_when_the_device_says_so_before_the_resource_goes() -> None:
    guest = Guest(BLOBS_2D)
    handle = guest.run(guest.file.prime_fd_to_handle(ForeignDmaBuf(PLACE)))
    call = Call(guest.file.gem_close(handle))
    assert guest.sent() == [ResourceDetachBacking(flags=1, fence_id=1, resource_id=2)]
    assert call.sleeps
    guest.answer()
    call.step()
    assert guest.sent() == [ResourceUnref(resource_id=2)]


def test_detach_that_is_never_answered_hangs_the_free() -> None:
    guest = Guest(BLOBS_2D)
    handle = guest.run(guest.file.prime_fd_to_handle(ForeignDmaBuf(PLACE)))
    call = Call(guest.file.gem_close(handle))
    assert call.wait is not None
    assert call.wait.timeout is None


def test_buffer_that_moves_is_detached_and_attached_where_it_is_shown_next() -> None:
    guest = Guest(BLOBS_2D)
    guest.run(probe(guest.driver))
    foreign = ForeignDmaBuf([(0x100000, 0x100000 + 64 * 64 * 4)])
    handle = guest.run(guest.file.prime_fd_to_handle(foreign))
    moved = Call(foreign.move(ELSEWHERE))
    assert guest.names() == ["RESOURCE_DETACH_BACKING"]
    assert moved.sleeps
    guest.answer()
    moved.step()
    assert not Call(foreign.move(ELSEWHERE)).sleeps
    assert guest.names() == []
    framebuffer = add_fb(guest.file, handle, 64, 64)
    shown = Call(kms.set_crtc(guest.driver, guest.driver.outputs[0], framebuffer))
    requests = guest.sent()
    assert requests[0] == ResourceAttachBacking(
        resource_id=2, nr_entries=1, entries=[MemEntry(addr=0x300000, length=0x4000)]
    )
    assert [request.type for request in requests[1:]] == [
        CtrlType.SET_SCANOUT,
        CtrlType.SET_SCANOUT_BLOB,
        CtrlType.RESOURCE_FLUSH,
    ]
    assert requests[-1].flags == 1
    assert shown.sleeps


def test_buffer_on_a_scanout_is_pinned_and_does_not_move() -> None:
    guest = Guest(BLOBS_2D)
    guest.run(probe(guest.driver))
    foreign = ForeignDmaBuf([(0x100000, 0x100000 + 64 * 64 * 4)])
    handle = guest.run(guest.file.prime_fd_to_handle(foreign))
    framebuffer = add_fb(guest.file, handle, 64, 64)
    guest.run(kms.set_crtc(guest.driver, guest.driver.outputs[0], framebuffer))
    assert errno_of(foreign.move(ELSEWHERE)) == EINVAL
    guest.run(kms.set_crtc(guest.driver, guest.driver.outputs[0], None))
    assert foreign.pins == 0
    guest.run(guest.file.close())
    assert foreign.importers == []
