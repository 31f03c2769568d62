"""Calls of a guest that opens the driver's node and makes objects there, and that gives them up."""

from errno import ENOMEM, ENOSPC
from typing import Any, TypeVar

from vgpu_emu.fuzz.actions import one_of
from vgpu_emu.fuzz.guest import Guest
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.promising import Detached, Promise
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.waiting import Op
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.blob import BlobMem
from vgpu_wire.context_stream import StreamAlloc
from vgpu_wire.control import CtrlFlag, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.virtgpu_drm import BLOB_FLAG_HINT_DEFER_MAPPING

T = TypeVar("T")
#: what a blob is for
BLOB_FLAGS = (1, 1, 1, 3, 7, 0)


def open(guest: Guest) -> None:
    if len(guest.files) < 3:
        guest.files.append(DrmFile(guest.bench.driver, "fuzz"))


def close_file(guest: Guest, file: int) -> Op[None]:
    closed = guest.file(file)
    guest.files.remove(closed)
    guest.syncs = [sync for sync in guest.syncs if sync.file is not closed]
    guest.polled = [(owner, fence) for owner, fence in guest.polled if owner is not closed]
    guest.objects = [(owner, handle) for owner, handle in guest.objects if owner is not closed]
    guest.promises.append(Detached(closed, sorted(closed.handles)))
    yield from closed.close()


def close_handle(guest: Guest, bo: int) -> Op[None]:
    owner, handle = one_of(guest.objects, bo)
    guest.objects.remove((owner, handle))
    guest.promises.append(Detached(owner, [handle]))
    yield from owner.gem_close(handle)


def unit(guest: Guest, pages: int) -> int:
    """Bytes that a blob's size is a multiple of: mostly such as the device wants it."""
    world = guest.bench.world
    aligned = world.has(Feature.BLOB_ALIGNMENT) and pages < 48
    return max(world.setup.blob_alignment, PAGE_SIZE) if aligned else PAGE_SIZE


def fitting(guest: Guest, size: int, op: Op[T]) -> Op[T]:
    """A call that needs so many bytes of guest memory or of the region, and is refused for that only if there are not
    so many. Raises Finding."""
    room = _room(guest)
    try:
        return (yield from op)
    except OSError as refused:
        # what became free while the call was under way may have come too late for it
        pages, hole = map(min, room, _room(guest))
        if refused.errno == ENOMEM and size <= pages:
            raise Finding("I10", f"no memory for {size:#x} bytes, and {pages:#x} are free") from None
        if refused.errno == ENOSPC and 0 < size <= hole:
            raise Finding(
                "I14", f"no place for {size:#x} bytes in the region, and {hole:#x} in one piece are free"
            ) from None
        raise


def _room(guest: Guest) -> tuple[int, int]:
    """Bytes of guest memory, and of the largest hole in the region, that nobody has."""
    driver = guest.bench.driver
    hole = end = 0
    for start, size in sorted(driver.mm.nodes.items()):
        hole, end = max(hole, start - end), start + size
    whole = 0 if driver.region is None else guest.bench.world.setup.host_visible
    return driver.pages.free_bytes, max(hole, whole - end)


def blob(guest: Guest, file: int, pages: int, exporter: int, flags: int, hints: int, size: int) -> Op[None]:
    """A blob on the host, made with its memory: what a Vulkan driver does for an allocation."""
    guest.blob_id += 1
    length = (1 + pages % 4) * unit(guest, pages)
    cmd = StreamAlloc(exporter=1 + exporter % 5, blob_id=guest.blob_id, size=length - (size % 2) * 100).build()
    owner = guest.file(file)
    blob_flags = BLOB_FLAGS[flags % 6]
    members = {"blob_id": guest.blob_id, "size": length, "blob_flags": blob_flags, "ctx_id": owner.ctx_id}
    guest.promises.append(Promise(CtrlType.RESOURCE_CREATE_BLOB, blob_mem=BlobMem.HOST3D.value, **members))
    op = owner.resource_create_blob(
        size=length,
        blob_id=guest.blob_id,
        blob_flags=blob_flags,
        cmd=cmd,
        blob_hints=BLOB_FLAG_HINT_DEFER_MAPPING if hints % 4 == 1 else 0,
    )
    guest.objects.append((owner, (yield from fitting(guest, length, op))))


def guest_blob(guest: Guest, file: int, pages: int) -> Op[None]:
    owner = guest.file(file)
    size = (1 + pages % 3) * unit(guest, pages)
    op = owner.resource_create_blob(size=size, blob_mem=BlobMem.GUEST.value)
    guest.objects.append((owner, (yield from fitting(guest, size, op))))


def dumb(guest: Guest, file: int, width: int, height: int) -> Op[None]:
    owner = guest.file(file)
    width, height = 16 + width % 17, 16 + height % 17
    created: Any = yield from fitting(guest, width * height * 4, owner.create_dumb(width, height, 32))
    guest.objects.append((owner, created.handle))
    if created.pitch < width * 4 or created.size < created.pitch * height:
        raise Finding("I6", f"{width}x{height} pixels are {created.size} bytes, {created.pitch} a line")


def image(guest: Guest, file: int, width: int, height: int) -> Op[None]:
    """A resource of a driver for 3D, with pages that hold its pixels."""
    owner = guest.file(file)
    size = {"width": 1 + width % 32, "height": 1 + height % 32}
    if owner.driver.has(Feature.VIRGL):
        guest.promises.append(Promise(CtrlType.RESOURCE_CREATE_3D, flags=CtrlFlag.FENCE.value, bind=2, **size))
    op = owner.resource_create(**size, bind=2, size=PAGE_SIZE)
    guest.objects.append((owner, (yield from fitting(guest, PAGE_SIZE, op))))
