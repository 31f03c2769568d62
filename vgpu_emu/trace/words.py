"""Numbers in the words of the spec: which enumeration the value of a member is from, for everything that is shown."""

from collections.abc import Callable, Mapping
from enum import Enum, IntFlag
from typing import NamedTuple

from vgpu_wire.blob import MAP_CACHE_MASK, BlobFlag, BlobMem, MapCache
from vgpu_wire.context_stream import ExporterKind, StreamOp
from vgpu_wire.control import CtrlFlag, CtrlType
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


class OneOf(NamedTuple):
    """The words for one of several numbers. mask: the bits that they are in; others are shown beside: ``WC + 0x30``.

    other: of a number that has no name.
    """

    names: Mapping[int, str]
    mask: int = (1 << 64) - 1
    other: Words = lambda _value: "unknown"

    def __call__(self, value: int) -> str:
        part, rest = value & self.mask, value & ~self.mask
        name = self.names.get(part) or self.other(part)
        return f"{name} + {rest:#x}" if rest else name


class BitsOf(NamedTuple):
    """The words for the bits of a number."""

    flags: type[IntFlag]

    def __call__(self, value: int) -> str:
        known = [flag for flag in self.flags if value & flag]
        rest = value & ~sum(known)
        return "|".join([str(flag.name) for flag in known] + ([f"{rest:#x}"] if rest else [])) or "none"


def names_of(members: type[Enum]) -> dict[int, str]:
    return {member.value: member.name for member in members}


def _one_of(members: type[Enum]) -> OneOf:
    return OneOf(names_of(members))


#: of map_info: bits beyond the cache mask are shown beside it
map_info_words = OneOf(names_of(MapCache), MAP_CACHE_MASK)
#: (C structure, member) -> the words for its value
WORDS: Mapping[tuple[str, str], OneOf | BitsOf] = {
    ("virtio_gpu_ctrl_hdr", "type"): OneOf(names_of(CtrlType), other=type_name),
    ("virtio_gpu_ctrl_hdr", "flags"): BitsOf(CtrlFlag),
    ("virtio_gpu_config", "events_read"): BitsOf(ConfigEvent),
    ("virtio_gpu_config", "events_clear"): BitsOf(ConfigEvent),
    ("virtio_gpu_resource_create_2d", "format"): _one_of(Format),
    ("virtio_gpu_set_scanout_blob", "format"): _one_of(Format),
    ("virtio_gpu_resource_create_3d", "flags"): BitsOf(ResourceFlag),
    ("virtio_gpu_resource_create_blob", "blob_mem"): _one_of(BlobMem),
    ("virtio_gpu_resource_create_blob", "blob_flags"): BitsOf(BlobFlag),
    ("virtio_gpu_resp_map_info", "map_info"): map_info_words,
    ("virtio_gpu_resp_capset_info", "capset_id"): _one_of(CapsetId),
    ("virtio_gpu_get_capset", "capset_id"): _one_of(CapsetId),
    ("virtio_gpu_ctx_create", "context_init"): OneOf({0: "default"} | names_of(CapsetId), CONTEXT_INIT_CAPSET_ID_MASK),
    ("vgpu_emu_stream_hdr", "opcode"): _one_of(StreamOp),
    ("vgpu_emu_stream_alloc", "exporter"): _one_of(ExporterKind),
    ("vgpu_emu_question", "op"): _one_of(Op),
    ("vgpu_emu_question_ioctl", "request"): OneOf(_IOCTLS),
}
