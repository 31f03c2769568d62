"""CONTEXT_INIT and GET_CAPS (virtgpu_ioctl.c, virtgpu_vq.c)."""

from collections.abc import Sequence
from errno import EBUSY, EEXIST, EINVAL, ENOMEM, ENOSYS
from typing import TYPE_CHECKING

from vgpu_emu.guest.driver import Capset
from vgpu_emu.guest.waiting import Op, wait_for
from vgpu_wire.control import RING_COUNT
from vgpu_wire.device import Feature
from vgpu_wire.render import CONTEXT_INIT_CAPSET_ID_MASK, DEBUG_NAME_BYTES, GetCapset, RespCapset
from vgpu_wire.virtgpu_drm import ContextParam

if TYPE_CHECKING:
    from vgpu_emu.guest.driver import Driver
    from vgpu_emu.guest.open_file import OpenFile

#: capset ids are 1 to 63 (MAX_CAPSET_ID)
MAX_CAPSET_ID = 63
_MAX_PARAMS = 4
#: how long GET_CAPS waits for the device, in seconds
GET_CAPS_SECONDS = 5.0
#: bytes that kmalloc has in one piece (KMALLOC_MAX_SIZE on x86)
KMALLOC_MAX = 4 << 20
_HEADER = RespCapset.layout.size


def context_init(file: "OpenFile", params: Sequence[tuple[int, int | bytes]]) -> Op[None]:
    """DRM_IOCTL_VIRTGPU_CONTEXT_INIT: make the file's context as `params` say: (param, value); the value of DEBUG_NAME
    is the string at that address.

    Raises OSError: EINVAL, EEXIST if the file has a context. What the parameters before a wrong one have set stays set,
    so a second try with them is EINVAL.
    """
    file.require_device()
    if not file.driver.has(Feature.CONTEXT_INIT, Feature.VIRGL) or len(params) > _MAX_PARAMS:
        raise OSError(EINVAL, f"{len(params)} context parameters")
    if file.context_created:
        raise OSError(EEXIST, "the file has its context")
    for param, value in params:
        if param == ContextParam.DEBUG_NAME and isinstance(value, bytes):
            _set_debug_name(file, value)
        elif param in _SETTERS and isinstance(value, int):
            _SETTERS[param](file, value)
        else:
            raise OSError(EINVAL, f"context parameter {param}")
    if file.poll_rings_mask & ~((1 << file.num_rings) - 1):
        raise OSError(EINVAL, f"poll mask {file.poll_rings_mask:#x} of {file.num_rings} rings")
    yield from file.create_context()


def _set_capset(file: "OpenFile", value: int) -> None:
    if value > MAX_CAPSET_ID or not file.driver.capsets.mask >> value & 1:
        raise OSError(EINVAL, f"no capset {value}")
    if file.context_init_bits & CONTEXT_INIT_CAPSET_ID_MASK:
        raise OSError(EINVAL, "a second capset")
    file.context_init_bits |= value


def _set_num_rings(file: "OpenFile", value: int) -> None:
    if file.base_fence_context or value > RING_COUNT:
        raise OSError(EINVAL, f"{value} rings")
    file.base_fence_context = file.driver.fences.new_contexts(value)
    file.num_rings = value


def _set_poll_rings_mask(file: "OpenFile", value: int) -> None:
    if file.poll_rings_mask:
        raise OSError(EINVAL, "a second poll mask")
    file.poll_rings_mask = value


def _set_debug_name(file: "OpenFile", value: bytes) -> None:
    """Of a longer string the first 64 bytes."""
    if file.debug_name is not None:
        raise OSError(EINVAL, "a second name")
    file.debug_name = value.partition(b"\0")[0][:DEBUG_NAME_BYTES]


_SETTERS = {
    ContextParam.CAPSET_ID.value: _set_capset,
    ContextParam.NUM_RINGS.value: _set_num_rings,
    ContextParam.POLL_RINGS_MASK.value: _set_poll_rings_mask,
}


def get_caps(file: "OpenFile", cap_set_id: int, cap_set_ver: int, size: int) -> Op[bytes]:
    """DRM_IOCTL_VIRTGPU_GET_CAPS: at most `size` bytes of the capset. The device is asked once for each version.

    Raises OSError: ENOSYS without capsets, EINVAL for a size of 0, an unknown id or a higher version, ENOMEM if the
    answer is larger than KMALLOC_MAX, EBUSY after 5 seconds without one. An error of the device is not seen: the capset
    is all zeros then.
    """
    file.require_device()
    driver = file.driver
    if not driver.capsets.known:
        raise OSError(ENOSYS, "the device has no capsets")
    if not size:
        raise OSError(EINVAL, "no room for a capset")
    offered = [c for c in driver.capsets.known if c.id == cap_set_id and c.max_version >= cap_set_ver]
    if not offered:
        raise OSError(EINVAL, f"no capset {cap_set_id} of version {cap_set_ver}")
    key = (cap_set_id, cap_set_ver)
    if key not in driver.capsets.cache:
        yield from _request(driver, offered[0], key)
    if not (yield from wait_for(lambda: driver.capsets.cache[key] is not None, "a capset", GET_CAPS_SECONDS)):
        raise OSError(EBUSY, f"no answer to GET_CAPSET {cap_set_id}")
    return (driver.capsets.cache[key] or b"")[: min(size, offered[0].max_size)]


def _request(driver: "Driver", capset: Capset, key: tuple[int, int]) -> Op[None]:
    """virtio_gpu_cmd_get_capset"""
    capacity = _HEADER + capset.max_size
    if capacity > KMALLOC_MAX:
        raise OSError(ENOMEM, f"a capset of {capset.max_size} bytes")
    driver.capsets.cache[key] = None

    def answered(buffer: bytes) -> None:
        driver.capsets.cache[key] = buffer[_HEADER:]

    request = GetCapset(capset_id=key[0], capset_version=key[1])
    yield from driver.queue(request, answered, capacity)
