"""What vgpu_wire calls things, under the names of C, and what a kernel's headers may lack or have beyond that."""

from collections.abc import Iterable, Iterator
from enum import Enum

from vgpu_wire import blob, control, device, dmabuf, render, resource, vring


def _named(prefix: str, members: Iterable[Enum]) -> dict[str, int]:
    return {prefix + member.name: member.value for member in members}


def _ctrl_types() -> Iterator[tuple[str, int]]:
    for member in control.CtrlType:
        request = 0 < member < control.FIRST_RESPONSE
        yield f"VIRTIO_GPU_{'CMD_' if request else ''}{member.name}", member.value


#: group -> C name -> our number
CONSTANTS: dict[str, dict[str, int]] = {
    "CtrlType": dict(_ctrl_types()),
    "CtrlFlag": _named("VIRTIO_GPU_FLAG_", control.CtrlFlag),
    "Feature": _named("VIRTIO_GPU_F_", device.Feature),
    "ShmId": _named("VIRTIO_GPU_SHM_ID_", device.ShmId),
    "ConfigEvent": _named("VIRTIO_GPU_EVENT_", device.ConfigEvent),
    "Format": _named("VIRTIO_GPU_FORMAT_", resource.Format),
    "ResourceFlag": _named("VIRTIO_GPU_RESOURCE_FLAG_", render.ResourceFlag),
    "CapsetId": _named("VIRTIO_GPU_CAPSET_", render.CapsetId),
    "BlobMem": _named("VIRTIO_GPU_BLOB_MEM_", blob.BlobMem),
    "BlobFlag": _named("VIRTIO_GPU_BLOB_FLAG_", blob.BlobFlag),
    "MapCache": _named("VIRTIO_GPU_MAP_CACHE_", blob.MapCache),
    "limits": {
        "VIRTIO_ID_GPU": device.DEVICE_ID,
        "VIRTIO_GPU_MAX_SCANOUTS": device.MAX_SCANOUTS,
        "VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK": render.CONTEXT_INIT_CAPSET_ID_MASK,
        "VIRTIO_GPU_MAP_CACHE_MASK": blob.MAP_CACHE_MASK,
        "DMA_BUF_NAME_LEN": dmabuf.DMA_BUF_NAME_LEN,
        "DMA_BUF_BASE": dmabuf.DMA_BUF_BASE,
    },
    "DmaBufSyncFlag": {
        **{f"DMA_BUF_SYNC_{name}": int(flag) for name, flag in dmabuf.DmaBufSyncFlag.__members__.items()},
        "DMA_BUF_SYNC_VALID_FLAGS_MASK": dmabuf.DMA_BUF_SYNC_VALID_FLAGS,
    },
    "ioctls": {
        "DMA_BUF_IOCTL_SYNC": dmabuf.DMA_BUF_IOCTL_SYNC,
        "DMA_BUF_SET_NAME_A": dmabuf.DMA_BUF_SET_NAME_A,
        "DMA_BUF_SET_NAME_B": dmabuf.DMA_BUF_SET_NAME_B,
        "DMA_BUF_IOCTL_EXPORT_SYNC_FILE": dmabuf.DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
        "DMA_BUF_IOCTL_IMPORT_SYNC_FILE": dmabuf.DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
    },
    "RingFeature": _named("VIRTIO_RING_F_", vring.RingFeature),
    "DescFlag": _named("VRING_DESC_F_", vring.DescFlag),
    "AvailFlag": _named("VRING_AVAIL_F_", vring.AvailFlag),
    "UsedFlag": _named("VRING_USED_F_", vring.UsedFlag),
    "alignment": {
        "VRING_DESC_ALIGN_SIZE": vring.DESC_ALIGN,
        "VRING_AVAIL_ALIGN_SIZE": vring.AVAIL_ALIGN,
        "VRING_USED_ALIGN_SIZE": vring.USED_ALIGN,
    },
    "proposed, never merged": {
        "DMA_BUF_IOCTL_INFO": dmabuf.DMA_BUF_IOCTL_INFO,
        "DMA_BUF_INFO_VM_PROT": dmabuf.DMA_BUF_INFO_VM_PROT,
        "DMA_BUF_INFO_MAP_INFO": dmabuf.DMA_BUF_INFO_MAP_INFO,
        **_named("DMA_BUF_VM_PROT_", dmabuf.VmProt),
        "DMA_BUF_MAP_INCOHERENT": dmabuf.DmaBufMapInfo.INCOHERENT.value,
        "DMA_BUF_COHERENT_WC": dmabuf.DmaBufMapInfo.COHERENT_WC.value,
        "DMA_BUF_COHERENT_CACHED": dmabuf.DmaBufMapInfo.COHERENT_CACHED.value,
    },
}
ALL_CONSTANTS = {name: number for group in CONSTANTS.values() for name, number in group.items()}

#: What a header may lack -> the Linux from which on it must not (the oldest whose header was seen to have it).
NEWER = {
    "DMA_BUF_IOCTL_EXPORT_SYNC_FILE": (6, 0),
    "DMA_BUF_IOCTL_IMPORT_SYNC_FILE": (6, 0),
    "dma_buf_export_sync_file": (6, 0),
    "dma_buf_import_sync_file": (6, 0),
    "VIRTIO_GPU_CAPSET_VENUS": (6, 12),
    "VIRTIO_GPU_CAPSET_DRM": (6, 12),
    "VIRTIO_GPU_CAPSET_GFXSTREAM_VULKAN": (7, 2),
    "VIRTIO_GPU_CAPSET_CROSS_DOMAIN": (7, 2),
    "VIRTIO_GPU_F_BLOB_ALIGNMENT": (7, 2),
    "virtio_gpu_config.blob_alignment": (7, 2),
}

#: What was proposed in 2022 and merged by no Linux, written down for the compiler where the header lacks it -> the
#: names that it defines. First posting: 20220729170744.1301044; the third, with MAP_INFO and the enumeration:
#: 20220815211516.3169470.
PROPOSED = {
    "struct dma_buf_info { __u32 param; __u32 pad; __u64 value; };": ("dma_buf_info",),
    "#define DMA_BUF_IOCTL_INFO _IOWR(DMA_BUF_BASE, 2, struct dma_buf_info)": ("DMA_BUF_IOCTL_INFO",),
    "#define DMA_BUF_INFO_VM_PROT 1": ("DMA_BUF_INFO_VM_PROT",),
    "#define DMA_BUF_VM_PROT_WC 0": ("DMA_BUF_VM_PROT_WC",),
    "#define DMA_BUF_VM_PROT_CACHED 1": ("DMA_BUF_VM_PROT_CACHED",),
    "#define DMA_BUF_INFO_MAP_INFO 1": ("DMA_BUF_INFO_MAP_INFO",),
    "enum dma_buf_map_info { DMA_BUF_MAP_INCOHERENT, DMA_BUF_COHERENT_WC, DMA_BUF_COHERENT_CACHED };": (
        "DMA_BUF_MAP_INCOHERENT",
        "DMA_BUF_COHERENT_WC",
        "DMA_BUF_COHERENT_CACHED",
    ),
}
ALL_PROPOSED = {name for names in PROPOSED.values() for name in names}

#: The other format of a virtqueue.
PACKED = {
    "VRING_PACKED_DESC_F_AVAIL",
    "VRING_PACKED_DESC_F_USED",
    "VRING_PACKED_EVENT_FLAG_ENABLE",
    "VRING_PACKED_EVENT_FLAG_DISABLE",
    "VRING_PACKED_EVENT_FLAG_DESC",
    "VRING_PACKED_EVENT_F_WRAP_CTR",
    "vring_packed_desc_event",
    "vring_packed_desc",
}
#: What the headers have and vgpu_wire does not -> why.
NOT_OURS = {
    "VIRTIO_GPU_HW_H": "the include guard",
    "DMA_BUF_SET_NAME": "its number depends on the size of a pointer: SET_NAME_A or SET_NAME_B",
    **dict.fromkeys(PACKED, "packed virtqueues"),
}

#: Parts that the spec has and C does not: they follow the structure.
BEHIND = {
    "virtio_gpu_resource_attach_backing.entries",
    "virtio_gpu_resource_create_blob.entries",
    "virtio_gpu_cmd_submit.commands",
}
