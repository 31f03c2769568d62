"""RESOURCE_CREATE, the transfers, and dumb buffers (virtgpu_ioctl.c, virtgpu_gem.c)."""

from errno import EINVAL, ENOSYS
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from vgpu_emu.guest.fences import Fence
from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.shmem import ShmemObject
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import GemHandle
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.display import Rect
from vgpu_wire.render import Box, ResourceCreate3D, TransferHost3D
from vgpu_wire.resource import Format, ResourceCreate2D, TransferToHost2D

if TYPE_CHECKING:
    from vgpu_emu.guest.driver import Driver
    from vgpu_emu.guest.open_file import OpenFile

#: PIPE_TEXTURE_2D, the one target that a device without VIRGL has
_TEXTURE_2D = 2
_U32 = (1 << 32) - 1


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """drm_virtgpu_3d_transfer_to_host and _from_host, without the handle."""

    box: Box
    level: int = 0
    offset: int = 0
    stride: int = 0
    layer_stride: int = 0


class DumbBuffer(NamedTuple):
    """What CREATE_DUMB answers: pitch and size in bytes."""

    handle: GemHandle
    pitch: int
    size: int


def resource_create(
    file: "OpenFile",
    *,
    width: int,
    height: int,
    format: int = Format.B8G8R8A8_UNORM.value,
    target: int = _TEXTURE_2D,
    bind: int = 0,
    depth: int = 1,
    array_size: int = 1,
    last_level: int = 0,
    nr_samples: int = 0,
    flags: int = 0,
    size: int = 0,
) -> Op[GemHandle]:
    """DRM_IOCTL_VIRTGPU_RESOURCE_CREATE: an image, or with VIRGL any resource, and a backing of `size` bytes (0: one
    page). The command carries a fence.

    Raises OSError: EINVAL without VIRGL for anything but a plain image, ENOMEM.
    """
    file.require_device()
    creation: ResourceCreate2D | ResourceCreate3D
    if file.driver.has(Feature.VIRGL):
        yield from file.create_context()
        creation = ResourceCreate3D(
            target=target,
            format=format,
            bind=bind,
            width=width,
            height=height,
            depth=depth,
            array_size=array_size,
            last_level=last_level,
            nr_samples=nr_samples,
            resource_flags=flags,
        )
    else:
        if depth > 1 or nr_samples > 1 or last_level > 1 or target != _TEXTURE_2D or array_size > 1:
            raise OSError(EINVAL, "no such resource without VIRGL")
        creation = ResourceCreate2D(format=format, width=width, height=height)
    gem = yield from ShmemObject.create(file.driver, size or PAGE_SIZE, creation, fence=Fence())
    return (yield from file.handle_create(gem))


def create_dumb(file: "OpenFile", width: int, height: int, bpp: int = 32) -> Op[DumbBuffer]:
    """DRM_IOCTL_MODE_CREATE_DUMB: an image that programs draw into; a guest blob where there are blobs and no VIRGL.

    Raises OSError: EINVAL for a size of 0, one that does not fit into 32 bits, and other than 32 bits a pixel; ENOMEM.
    """
    file.require_device()
    pitch = width * 4
    size = -(-pitch * height // PAGE_SIZE) * PAGE_SIZE
    if not width or not height or pitch > _U32 or size > _U32 or bpp != 32:
        raise OSError(EINVAL, f"a dumb buffer of {width}x{height} pixels, {bpp} bits each")
    creation: ResourceCreate2D | ResourceCreateBlob
    if file.driver.has(Feature.RESOURCE_BLOB) and not file.driver.has(Feature.VIRGL):
        creation = ResourceCreateBlob(blob_mem=BlobMem.GUEST.value, blob_flags=BlobFlag.USE_SHAREABLE.value)
    else:
        creation = ResourceCreate2D(format=Format.B8G8R8X8_UNORM.value, width=width, height=height)
    gem = yield from ShmemObject.create(file.driver, size, creation, dumb=True)
    handle = yield from file.handle_create(gem)
    return DumbBuffer(handle, pitch, size)


def transfer_to_host(file: "OpenFile", handle: GemHandle, transfer: Transfer) -> Op[None]:
    """DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST: with VIRGL fenced and by the context, else a plain 2D transfer.

    Raises OSError: ENOENT; EINVAL for a guest blob, and with VIRGL for strides of what is no blob.
    """
    file.require_device()
    gem = file.object(handle)
    _require_host_side(gem)
    if file.driver.has(Feature.VIRGL):
        yield from file.create_context()
        yield from _transfer_3d(file, gem, CtrlType.TRANSFER_TO_HOST_3D, transfer)
        return
    box = transfer.box
    rect = Rect(x=box.x, y=box.y, width=box.w, height=box.h)
    yield from transfer_2d(file.driver, gem, rect, transfer.offset)


def transfer_from_host(file: "OpenFile", handle: GemHandle, transfer: Transfer) -> Op[None]:
    """DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST. Raises OSError: ENOSYS without VIRGL, and as `transfer_to_host` does."""
    file.require_device()
    if not file.driver.has(Feature.VIRGL):
        raise OSError(ENOSYS, "no transfer from the host without VIRGL")
    yield from file.create_context()
    gem = file.object(handle)
    _require_host_side(gem)
    yield from _transfer_3d(file, gem, CtrlType.TRANSFER_FROM_HOST_3D, transfer)


def _require_host_side(gem: GemObject) -> None:
    if gem.guest_blob and not gem.host3d_blob:
        raise OSError(EINVAL, f"resource {gem.resource_id} is in guest memory alone")


def _transfer_3d(file: "OpenFile", gem: GemObject, command: CtrlType, transfer: Transfer) -> Op[None]:
    if not gem.host3d_blob and (transfer.stride or transfer.layer_stride):
        raise OSError(EINVAL, "strides are for blobs")
    assert file.ctx_id is not None
    request = TransferHost3D(
        type=command.value,
        ctx_id=file.ctx_id,
        box=transfer.box,
        offset=transfer.offset,
        resource_id=gem.resource_id,
        level=transfer.level,
        stride=transfer.stride,
        layer_stride=transfer.layer_stride,
    )
    yield from file.driver.queue(request, fence=Fence(), objects=(gem,))


def transfer_2d(driver: "Driver", gem: GemObject, rect: Rect, offset: int, fence: Fence | None = None) -> Op[None]:
    """virtio_gpu_cmd_transfer_to_host_2d"""
    request = TransferToHost2D(r=rect, offset=offset, resource_id=gem.resource_id)
    yield from driver.queue(request, fence=fence, objects=(gem,))
