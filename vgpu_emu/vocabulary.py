"""The words for a cache attribute, and every arrow between them.

Five parties describe one thing with clashing numbers: WC is 0 to the first posting of the dma-buf series, 1 to the
third, 3 to virtio-gpu. So each vocabulary is a type of its own, none of them an int, and this module holds the only
ways from one to another. A number that passes through unchanged does not type-check.

    exporter --(ioctl)--> VmProt | DmaBufMapInfo --> MapCache --(RESP_OK_MAP_INFO)--> Pgprot
"""

from enum import Enum

from vgpu_wire.blob import MapCache
from vgpu_wire.dmabuf import DmaBufMapInfo, VmProt


class HostAttribute(Enum):
    """How the exporter itself maps the buffer on the CPU: what is true, whatever anybody says."""

    WC = "wc"
    CACHED = "cached"
    #: cached, and the device does not snoop: user space must do cache maintenance
    INCOHERENT = "incoherent"
    #: an exporter that does not tell
    UNKNOWN = "unknown"


class Pgprot(Enum):
    """What the guest kernel maps with (drivers/gpu/drm/virtio/virtgpu_vram.c): the vma's page protection."""

    CACHED = "cached"
    WRITECOMBINE = "writecombine"
    NONCACHED = "noncached"


class Dialect(Enum):
    """Which posting of the series a kernel carries and a VMM was built against."""

    #: first posting, 2022-07-29: DMA_BUF_INFO_VM_PROT, VmProt
    RFC1 = "rfc1"
    #: third posting, 2022-08-15: DMA_BUF_INFO_MAP_INFO, enum dma_buf_map_info
    RFC3 = "rfc3"


def map_cache_from_vm_prot(prot: VmProt) -> MapCache:
    """First posting -> virtio-gpu."""
    match prot:
        case VmProt.WC:
            return MapCache.WC
        case VmProt.CACHED:
            return MapCache.CACHED


def map_cache_from_map_info(info: DmaBufMapInfo) -> MapCache | None:
    """Third posting -> virtio-gpu. None: INCOHERENT, which must not be mapped into a guest."""
    match info:
        case DmaBufMapInfo.INCOHERENT:
            return None
        case DmaBufMapInfo.COHERENT_WC:
            return MapCache.WC
        case DmaBufMapInfo.COHERENT_CACHED:
            return MapCache.CACHED


_FROM_IOCTL: dict[Dialect, dict[int, MapCache | None]] = {
    Dialect.RFC1: {prot.value: map_cache_from_vm_prot(prot) for prot in VmProt},
    Dialect.RFC3: {info.value: map_cache_from_map_info(info) for info in DmaBufMapInfo},
}


def map_cache_from_ioctl(dialect: Dialect, value: int) -> MapCache | None:
    """dma_buf_info.value -> virtio-gpu. None: not mappable, or no word of the dialect, such as a negative errno that a
    generic op returned as the value."""
    return _FROM_IOCTL[dialect].get(value)


def vm_prot_from_host(attribute: HostAttribute) -> VmProt | None:
    """What a driver's mmap_info of the first posting says of its buffer. None: it has no such op.

    The vocabulary has no word for INCOHERENT. msm answered CACHED for everything that was not write-combined.
    """
    match attribute:
        case HostAttribute.WC:
            return VmProt.WC
        case HostAttribute.CACHED | HostAttribute.INCOHERENT:
            return VmProt.CACHED
        case HostAttribute.UNKNOWN:
            return None


def map_info_from_host(attribute: HostAttribute) -> DmaBufMapInfo:
    """What an exporter of the third posting stores in its dma-buf. One that says nothing has said INCOHERENT."""
    match attribute:
        case HostAttribute.WC:
            return DmaBufMapInfo.COHERENT_WC
        case HostAttribute.CACHED:
            return DmaBufMapInfo.COHERENT_CACHED
        case HostAttribute.INCOHERENT | HostAttribute.UNKNOWN:
            return DmaBufMapInfo.INCOHERENT


def pgprot_from_map_info(map_info: int) -> Pgprot:
    """resp_map_info.map_info -> the guest's page protection, as Linux 7.2 has it (virtio_gpu_vram_mmap).

    The raw number is compared, not its low four bits: 0x13 is cached, and so is everything Linux has no word for.
    """
    if map_info == MapCache.WC.value:
        return Pgprot.WRITECOMBINE
    if map_info == MapCache.UNCACHED.value:
        return Pgprot.NONCACHED
    return Pgprot.CACHED


def conflicts(host: HostAttribute, guest: Pgprot) -> bool:
    """Whether the guest's mapping contradicts the exporter's own. Nothing contradicts an attribute that is unknown.

    A cached mapping of an INCOHERENT buffer looks alike and still breaks: nobody flushes the guest's cache.
    """
    match host:
        case HostAttribute.WC:
            return guest is not Pgprot.WRITECOMBINE
        case HostAttribute.CACHED:
            return guest is not Pgprot.CACHED
        case HostAttribute.INCOHERENT:
            return True
        case HostAttribute.UNKNOWN:
            return False
