"""RESOURCE_CREATE_BLOB (virtgpu_ioctl.c: verify_blob, virtio_gpu_resource_create_blob_ioctl)."""

from errno import EINVAL
from typing import TYPE_CHECKING

from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.prime import assign_uuid
from vgpu_emu.guest.shmem import ShmemObject
from vgpu_emu.guest.vram import VramObject
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import BlobId, GemHandle
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob
from vgpu_wire.device import Feature
from vgpu_wire.render import CmdSubmit
from vgpu_wire.virtgpu_drm import BLOB_FLAG_HINT_DEFER_MAPPING

if TYPE_CHECKING:
    from vgpu_emu.guest.open_file import OpenFile

HINT_DEFER_MAPPING = BLOB_FLAG_HINT_DEFER_MAPPING
_FLAGS = sum(BlobFlag)
_CROSS_DEVICE = BlobFlag.USE_CROSS_DEVICE.value


def resource_create_blob(
    file: "OpenFile",
    *,
    size: int,
    blob_id: int = 0,
    blob_mem: int = BlobMem.HOST3D.value,
    blob_flags: int = BlobFlag.USE_MAPPABLE.value,
    cmd: bytes = b"",
    blob_hints: int = 0,
) -> Op[GemHandle]:
    """DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB. The device's answer is not waited for: a refusal is not seen here.

    Raises OSError: EINVAL for what verify_blob refuses and without a region, ENOSPC for a size of 0 and if the region
    is full, ENOMEM if guest memory is.
    """
    file.require_device()
    _verify_blob(file, size, blob_id, blob_mem, blob_flags, cmd)
    if file.driver.has(Feature.VIRGL):
        yield from file.create_context()
    if cmd:
        yield from file.driver.queue(CmdSubmit(ctx_id=file.ctx_id or 0, size=len(cmd), commands=cmd))
    gem: GemObject
    if blob_mem == BlobMem.HOST3D:
        assert file.ctx_id is not None
        defer = bool(blob_hints & HINT_DEFER_MAPPING)
        gem = yield from VramObject.create(file.driver, file.ctx_id, BlobId(blob_id), blob_flags, size, defer=defer)
    else:
        # the context is told of what it has a part in
        ctx_id = file.ctx_id or 0 if blob_mem == BlobMem.HOST3D_GUEST else 0
        creation = ResourceCreateBlob(ctx_id=ctx_id, blob_mem=blob_mem, blob_flags=blob_flags, blob_id=blob_id)
        gem = yield from ShmemObject.create(file.driver, size, creation)
    gem.blob_mem, gem.blob_flags = blob_mem, blob_flags
    if blob_flags & _CROSS_DEVICE:
        yield from assign_uuid(gem)
    return (yield from file.handle_create(gem))


def _verify_blob(file: "OpenFile", size: int, blob_id: int, blob_mem: int, blob_flags: int, cmd: bytes) -> None:
    """verify_blob. Unknown hints and a size of 0 pass."""
    driver = file.driver
    if not driver.has(Feature.RESOURCE_BLOB):
        raise OSError(EINVAL, "F_RESOURCE_BLOB was not negotiated")
    if blob_flags & ~_FLAGS or (blob_flags & _CROSS_DEVICE and not driver.has(Feature.RESOURCE_UUID)):
        raise OSError(EINVAL, f"blob_flags {blob_flags:#x}")
    if blob_mem not in list(BlobMem) or (blob_mem != BlobMem.GUEST and not driver.has(Feature.VIRGL)):
        raise OSError(EINVAL, f"blob_mem {blob_mem}")
    if blob_mem == BlobMem.GUEST and (blob_id or cmd):
        raise OSError(EINVAL, "a guest blob has no object of a context in it")
    if len(cmd) % 4:
        raise OSError(EINVAL, f"a command stream of {len(cmd)} bytes")
    if driver.has(Feature.BLOB_ALIGNMENT) and not _is_aligned(size, driver.config.read().blob_alignment):
        raise OSError(EINVAL, f"a blob of {size:#x} bytes")


def _is_aligned(size: int, alignment: int) -> bool:
    """IS_ALIGNED of the kernel, which takes the alignment's word for it that it is a power of two."""
    return not size & (alignment - 1) & ((1 << 64) - 1)
