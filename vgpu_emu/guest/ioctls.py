"""Ioctls that send nothing: MAP, GETPARAM, RESOURCE_INFO, WAIT (virtgpu_ioctl.c)."""

from errno import EBUSY, EINVAL, ENOENT
from typing import TYPE_CHECKING

import msgspec

from vgpu_emu.guest.fences import wait_for_fences
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import GemHandle, ResourceId
from vgpu_wire.device import Feature
from vgpu_wire.virtgpu_drm import WAIT_NOWAIT, Param

if TYPE_CHECKING:
    from vgpu_emu.guest.driver import Driver
    from vgpu_emu.guest.open_file import OpenFile

#: how long WAIT waits, in seconds
WAIT_SECONDS = 15.0


class ResourceInfo(msgspec.Struct, frozen=True):
    """drm_virtgpu_resource_info: what comes back. size: bytes, 32 bits of them. blob_mem: 0 of what is no blob, and of
    a guest blob that the blob ioctl did not make."""

    res_handle: ResourceId
    size: int
    blob_mem: int


def map_ioctl(file: "OpenFile", handle: GemHandle) -> int:
    """DRM_IOCTL_VIRTGPU_MAP: the offset at which mmap of this file finds the object. Sends nothing.

    Raises OSError: ENOENT, EINVAL for an imported dma-buf.
    """
    file.require_device()
    offset = file.object(handle).mmap_offset
    if offset is None:
        raise OSError(EINVAL, f"handle {handle} is an imported dma-buf")
    return offset


def getparam(file: "OpenFile", param: int) -> int:
    """DRM_IOCTL_VIRTGPU_GETPARAM: a C int. Raises OSError: EINVAL for one that it does not know, ENOENT for
    BLOB_ALIGNMENT without the feature."""
    file.require_device()
    driver = file.driver
    if param in _FEATURE_PARAMS:
        return int(driver.has(_FEATURE_PARAMS[param]))
    if param == Param.CAPSET_QUERY_FIX:
        return 1
    if param == Param.HOST_VISIBLE:
        return int(driver.region is not None)
    if param == Param.SUPPORTED_CAPSET_IDS:
        return as_int(driver.capsets.mask)
    if param == Param.BLOB_ALIGNMENT:
        return as_int(_blob_alignment(driver))
    raise OSError(EINVAL, f"parameter {param}")


def _blob_alignment(driver: "Driver") -> int:
    if not driver.has(Feature.BLOB_ALIGNMENT):
        raise OSError(ENOENT, "F_BLOB_ALIGNMENT was not negotiated")
    return driver.config.read().blob_alignment


def as_int(value: int) -> int:
    """What is left of a number in a C int."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


_FEATURE_PARAMS: dict[int, Feature] = {
    Param.FEATURES_3D: Feature.VIRGL,
    Param.RESOURCE_BLOB: Feature.RESOURCE_BLOB,
    Param.CROSS_DEVICE: Feature.RESOURCE_UUID,
    Param.CONTEXT_INIT: Feature.CONTEXT_INIT,
    Param.EXPLICIT_DEBUG_NAME: Feature.CONTEXT_INIT,
}


def resource_info(file: "OpenFile", handle: GemHandle) -> ResourceInfo:
    """DRM_IOCTL_VIRTGPU_RESOURCE_INFO. Raises OSError: ENOENT."""
    file.require_device()
    gem = file.object(handle)
    return ResourceInfo(gem.resource_id, gem.size & 0xFFFFFFFF, gem.blob_mem)


def wait(file: "OpenFile", handle: GemHandle, flags: int = 0) -> Op[None]:
    """DRM_IOCTL_VIRTGPU_WAIT: until every fence of the object is signalled, at most 15 seconds; not at all with NOWAIT.

    Raises OSError: ENOENT, EBUSY.
    """
    file.require_device()
    gem = file.object(handle)
    timeout = 0.0 if flags & WAIT_NOWAIT else WAIT_SECONDS
    if timeout:
        done = yield from wait_for_fences(gem.fences, f"fences of resource {gem.resource_id}", timeout)
    else:
        done = all(fence.signaled for fence in gem.fences)
    if not done:
        raise OSError(EBUSY, f"resource {gem.resource_id} is busy")
