"""The ioctls of Linux's drm/virtio driver (drm/virtgpu_drm.h, as of Linux 7.2): what a guest program passes to it.

A pointer of user space is a number here. Request numbers depend on the size of the structure, so a kernel that knows a
longer one takes the shorter one, too, and the other way round (drm_ioctl): what is missing is zero.
"""

from enum import IntEnum, IntFlag

from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.terms import native32, native64, native_s32

_WRITE, _READ = 1, 2
_DRM_IOCTL_BASE, _DRM_COMMAND_BASE = ord("d"), 0x40


class Ioctl(IntEnum):
    """DRM_VIRTGPU_*: numbers relative to DRM_COMMAND_BASE."""

    MAP = 0x01
    EXECBUFFER = 0x02
    GETPARAM = 0x03
    RESOURCE_CREATE = 0x04
    RESOURCE_INFO = 0x05
    TRANSFER_FROM_HOST = 0x06
    TRANSFER_TO_HOST = 0x07
    WAIT = 0x08
    GET_CAPS = 0x09
    RESOURCE_CREATE_BLOB = 0x0A
    CONTEXT_INIT = 0x0B


class ExecbufFlag(IntFlag):
    """VIRTGPU_EXECBUF_*"""

    FENCE_FD_IN = 1 << 0
    FENCE_FD_OUT = 1 << 1
    RING_IDX = 1 << 2


#: VIRTGPU_EXECBUF_FLAGS
EXECBUF_FLAGS = sum(ExecbufFlag)
#: VIRTGPU_EXECBUF_SYNCOBJ_RESET, and VIRTGPU_EXECBUF_SYNCOBJ_FLAGS
EXECBUF_SYNCOBJ_RESET = 1
EXECBUF_SYNCOBJ_FLAGS = EXECBUF_SYNCOBJ_RESET


class Param(IntEnum):
    """VIRTGPU_PARAM_*; FEATURES_3D is VIRTGPU_PARAM_3D_FEATURES."""

    FEATURES_3D = 1
    CAPSET_QUERY_FIX = 2
    RESOURCE_BLOB = 3
    HOST_VISIBLE = 4
    CROSS_DEVICE = 5
    CONTEXT_INIT = 6
    SUPPORTED_CAPSET_IDS = 7
    EXPLICIT_DEBUG_NAME = 8
    BLOB_ALIGNMENT = 9


class ContextParam(IntEnum):
    """VIRTGPU_CONTEXT_PARAM_*"""

    CAPSET_ID = 1
    NUM_RINGS = 2
    POLL_RINGS_MASK = 3
    DEBUG_NAME = 4


#: VIRTGPU_WAIT_NOWAIT
WAIT_NOWAIT = 1
#: DRM_VIRTGPU_BLOB_FLAG_HINT_DEFER_MAPPING
BLOB_FLAG_HINT_DEFER_MAPPING = 1
#: VIRTGPU_EVENT_FENCE_SIGNALED
EVENT_FENCE_SIGNALED = 0x90000000


@wire("drm_virtgpu_map", 16)
class DrmMap(Record, frozen=True):
    """drm_virtgpu_map: offset: the answer, for mmap."""

    offset: native64 = 0
    handle: native32 = 0
    pad: native32 = 0


@wire("drm_virtgpu_execbuffer_syncobj", 16)
class DrmExecbufferSyncobj(Record, frozen=True):
    """drm_virtgpu_execbuffer_syncobj: point: of a timeline, 0 of a binary one."""

    handle: native32 = 0
    flags: native32 = 0
    point: native64 = 0


@wire("drm_virtgpu_execbuffer", 64)
class DrmExecbuffer(Record, frozen=True):
    """drm_virtgpu_execbuffer: size: bytes at `command`. fence_fd: in, out, or both."""

    flags: native32 = 0
    size: native32 = 0
    command: native64 = 0
    bo_handles: native64 = 0
    num_bo_handles: native32 = 0
    fence_fd: native_s32 = 0
    ring_idx: native32 = 0
    syncobj_stride: native32 = 0
    num_in_syncobjs: native32 = 0
    num_out_syncobjs: native32 = 0
    in_syncobjs: native64 = 0
    out_syncobjs: native64 = 0


@wire("drm_virtgpu_getparam", 16)
class DrmGetparam(Record, frozen=True):
    """drm_virtgpu_getparam: value: a pointer to the int that is the answer."""

    param: native64 = 0
    value: native64 = 0


@wire("drm_virtgpu_resource_create", 56)
class DrmResourceCreate(Record, frozen=True):
    """drm_virtgpu_resource_create: size: bytes of backing, 0: one page. bo_handle, res_handle: the answer."""

    target: native32 = 0
    format: native32 = 0
    bind: native32 = 0
    width: native32 = 0
    height: native32 = 0
    depth: native32 = 0
    array_size: native32 = 0
    last_level: native32 = 0
    nr_samples: native32 = 0
    flags: native32 = 0
    bo_handle: native32 = 0
    res_handle: native32 = 0
    size: native32 = 0
    stride: native32 = 0


@wire("drm_virtgpu_resource_info", 16)
class DrmResourceInfo(Record, frozen=True):
    """drm_virtgpu_resource_info"""

    bo_handle: native32 = 0
    res_handle: native32 = 0
    size: native32 = 0
    blob_mem: native32 = 0


@wire("drm_virtgpu_3d_box", 24)
class DrmBox(Record, frozen=True):
    """drm_virtgpu_3d_box"""

    x: native32 = 0
    y: native32 = 0
    z: native32 = 0
    w: native32 = 0
    h: native32 = 0
    d: native32 = 0


@wire("drm_virtgpu_3d_transfer_to_host", 44)
class DrmTransferToHost(Record, frozen=True):
    """drm_virtgpu_3d_transfer_to_host: offset, strides: bytes."""

    bo_handle: native32 = 0
    box: DrmBox = DrmBox()
    level: native32 = 0
    offset: native32 = 0
    stride: native32 = 0
    layer_stride: native32 = 0


@wire("drm_virtgpu_3d_transfer_from_host", 44)
class DrmTransferFromHost(Record, frozen=True):
    """drm_virtgpu_3d_transfer_from_host"""

    bo_handle: native32 = 0
    box: DrmBox = DrmBox()
    level: native32 = 0
    offset: native32 = 0
    stride: native32 = 0
    layer_stride: native32 = 0


@wire("drm_virtgpu_3d_wait", 8)
class DrmWait(Record, frozen=True):
    """drm_virtgpu_3d_wait"""

    handle: native32 = 0
    flags: native32 = 0


@wire("drm_virtgpu_get_caps", 24)
class DrmGetCaps(Record, frozen=True):
    """drm_virtgpu_get_caps: size: bytes that there is room for at `addr`."""

    cap_set_id: native32 = 0
    cap_set_ver: native32 = 0
    addr: native64 = 0
    size: native32 = 0
    pad: native32 = 0


@wire("drm_virtgpu_resource_create_blob", 56)
class DrmResourceCreateBlob(Record, frozen=True):
    """drm_virtgpu_resource_create_blob: cmd_size: bytes of a context stream at `cmd`. blob_hints: since Linux 7.2."""

    blob_mem: native32 = 0
    blob_flags: native32 = 0
    bo_handle: native32 = 0
    res_handle: native32 = 0
    size: native64 = 0
    pad: native32 = 0
    cmd_size: native32 = 0
    cmd: native64 = 0
    blob_id: native64 = 0
    blob_hints: native32 = 0
    pad2: native32 = 0


@wire("drm_virtgpu_context_set_param", 16)
class DrmContextSetParam(Record, frozen=True):
    """drm_virtgpu_context_set_param: param: ContextParam."""

    param: native64 = 0
    value: native64 = 0


@wire("drm_virtgpu_context_init", 16)
class DrmContextInit(Record, frozen=True):
    """drm_virtgpu_context_init"""

    num_params: native32 = 0
    pad: native32 = 0
    ctx_set_params: native64 = 0


#: ioctl -> its structure
ARGUMENTS: dict[Ioctl, type[Record]] = {
    Ioctl.MAP: DrmMap,
    Ioctl.EXECBUFFER: DrmExecbuffer,
    Ioctl.GETPARAM: DrmGetparam,
    Ioctl.RESOURCE_CREATE: DrmResourceCreate,
    Ioctl.RESOURCE_INFO: DrmResourceInfo,
    Ioctl.TRANSFER_FROM_HOST: DrmTransferFromHost,
    Ioctl.TRANSFER_TO_HOST: DrmTransferToHost,
    Ioctl.WAIT: DrmWait,
    Ioctl.GET_CAPS: DrmGetCaps,
    Ioctl.RESOURCE_CREATE_BLOB: DrmResourceCreateBlob,
    Ioctl.CONTEXT_INIT: DrmContextInit,
}

#: ioctl -> DRM_IOCTL_VIRTGPU_*, the whole request number
REQUESTS = {
    ioctl: (_READ | _WRITE) << 30 | record.layout.size << 16 | _DRM_IOCTL_BASE << 8 | _DRM_COMMAND_BASE + ioctl
    for ioctl, record in ARGUMENTS.items()
}
