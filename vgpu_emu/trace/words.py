"""Numbers in the words of the spec: which enumeration the value of a member is from, for everything that is shown."""

from collections.abc import Callable, Mapping
from enum import Enum, IntFlag

from vgpu_wire.blob import MAP_CACHE_MASK, BlobFlag, BlobMem, MapCache
from vgpu_wire.context_stream import ExporterKind, StreamOp
from vgpu_wire.control import CtrlFlag
from vgpu_wire.device import ConfigEvent
from vgpu_wire.dmabuf import (
    DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
    DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
    DMA_BUF_IOCTL_INFO,
    DMA_BUF_IOCTL_SYNC,
    DMA_BUF_SET_NAME_A,
    DMA_BUF_SET_NAME_B,
)
from vgpu_wire.messages import type_name
from vgpu_wire.render import CONTEXT_INIT_CAPSET_ID_MASK, CapsetId, ResourceFlag
from vgpu_wire.renderer_link import Op
from vgpu_wire.resource import Format

Words = Callable[[int], str]

_IOCTLS = {
    DMA_BUF_IOCTL_SYNC: "DMA_BUF_IOCTL_SYNC",
    DMA_BUF_SET_NAME_A: "DMA_BUF_SET_NAME_A",
    DMA_BUF_SET_NAME_B: "DMA_BUF_SET_NAME_B",
    DMA_BUF_IOCTL_EXPORT_SYNC_FILE: "DMA_BUF_IOCTL_EXPORT_SYNC_FILE",
    DMA_BUF_IOCTL_IMPORT_SYNC_FILE: "DMA_BUF_IOCTL_IMPORT_SYNC_FILE",
    DMA_BUF_IOCTL_INFO: "DMA_BUF_IOCTL_INFO",
}


def _one_of(members: type[Enum]) -> Words:
    names = {member.value: member.name for member in members}
    return lambda value: names.get(value, "unknown")


def _bits_of(flags: type[IntFlag]) -> Words:
    def words(value: int) -> str:
        known = [flag for flag in flags if value & flag]
        rest = value & ~sum(known)
        return "|".join([str(flag.name) for flag in known] + ([f"{rest:#x}"] if rest else [])) or "none"

    return words


def map_info_words(value: int) -> str:
    """``WC`` for 3; bits beyond the cache mask are shown beside it: ``WC + 0x30``."""
    cache, rest = value & MAP_CACHE_MASK, value & ~MAP_CACHE_MASK
    name = _one_of(MapCache)(cache)
    return f"{name} + {rest:#x}" if rest else name


def _context_init_words(value: int) -> str:
    capset = value & CONTEXT_INIT_CAPSET_ID_MASK
    return _one_of(CapsetId)(capset) if capset else "default"


_FLAGS = _bits_of(CtrlFlag)
#: (C structure, member) -> the words for its value
WORDS: Mapping[tuple[str, str], Words] = {
    ("virtio_gpu_ctrl_hdr", "type"): type_name,
    ("virtio_gpu_ctrl_hdr", "flags"): _FLAGS,
    ("virtio_gpu_config", "events_read"): _bits_of(ConfigEvent),
    ("virtio_gpu_config", "events_clear"): _bits_of(ConfigEvent),
    ("virtio_gpu_resource_create_2d", "format"): _one_of(Format),
    ("virtio_gpu_set_scanout_blob", "format"): _one_of(Format),
    ("virtio_gpu_resource_create_3d", "flags"): _bits_of(ResourceFlag),
    ("virtio_gpu_resource_create_blob", "blob_mem"): _one_of(BlobMem),
    ("virtio_gpu_resource_create_blob", "blob_flags"): _bits_of(BlobFlag),
    ("virtio_gpu_resp_map_info", "map_info"): map_info_words,
    ("virtio_gpu_resp_capset_info", "capset_id"): _one_of(CapsetId),
    ("virtio_gpu_get_capset", "capset_id"): _one_of(CapsetId),
    ("virtio_gpu_ctx_create", "context_init"): _context_init_words,
    ("vgpu_emu_stream_hdr", "opcode"): _one_of(StreamOp),
    ("vgpu_emu_stream_alloc", "exporter"): _one_of(ExporterKind),
    ("vgpu_emu_question", "op"): _one_of(Op),
    ("vgpu_emu_question_ioctl", "request"): lambda value: _IOCTLS.get(value, "unknown"),
}
