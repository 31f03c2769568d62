"""Calls of a guest that opens the driver's node and makes objects there, and that gives them up."""

from typing import Any

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

#: what a blob is for
BLOB_FLAGS = (1, 1, 1, 3, 7, 0)


def open(guest: Guest) -> None:
    if len(guest.files) < 3:
        guest.files.append(DrmFile(guest.bench.driver, "fuzz"))


def close_file(guest: Guest, file: int) -> Op[None]:
    closed = guest.file(file)
    guest.files.remove(closed)
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
    guest.objects.append((owner, (yield from op)))


def guest_blob(guest: Guest, file: int, pages: int) -> Op[None]:
    owner = guest.file(file)
    op = owner.resource_create_blob(size=(1 + pages % 3) * unit(guest, pages), blob_mem=BlobMem.GUEST.value)
    guest.objects.append((owner, (yield from op)))


def dumb(guest: Guest, file: int, width: int, height: int) -> Op[None]:
    owner = guest.file(file)
    width, height = 16 + width % 17, 16 + height % 17
    created: Any = yield from owner.create_dumb(width, height, 32)
    guest.objects.append((owner, created.handle))
    if created.pitch < width * 4 or created.size < created.pitch * height:
        raise Finding("I6", f"{width}x{height} pixels are {created.size} bytes, {created.pitch} a line")


def image(guest: Guest, file: int, width: int, height: int) -> Op[None]:
    """A resource of a driver for 3D, with pages that hold its pixels."""
    owner = guest.file(file)
    size = {"width": 1 + width % 32, "height": 1 + height % 32}
    if owner.driver.has(Feature.VIRGL):
        guest.promises.append(Promise(CtrlType.RESOURCE_CREATE_3D, flags=CtrlFlag.FENCE.value, bind=2, **size))
    guest.objects.append((owner, (yield from owner.resource_create(**size, bind=2, size=PAGE_SIZE))))
