"""The words in which every architecture answers: an effective type, and the layers that led to it."""

from enum import Enum
from typing import NamedTuple

from vgpu_emu.vocabulary import Pgprot


class Kind(Enum):
    """What a memory type means for a cache, whatever the architecture calls it."""

    #: reads and writes may stay in a CPU's cache
    CACHED = "cached"
    #: no cache, but writes gather in a buffer before they leave
    COMBINING = "combining"
    #: every access goes to memory, in order
    UNCACHED = "uncached"
    #: a device that looks into the CPUs' caches
    SNOOPING = "snooping"
    #: a device that does not
    BYPASSING = "bypassing"


class Effective(Enum):
    """What the hardware finally does with an access, all stages combined."""

    WB = "WB"
    WT = "WT"
    WP = "WP"
    WC = "WC"
    UC = "UC"
    NORMAL_WB = "Normal-WB"
    NORMAL_WT = "Normal-WT"
    NORMAL_NC = "Normal-NC"
    DEVICE_GRE = "Device-GRE"
    DEVICE_NGRE = "Device-nGRE"
    DEVICE_NGNRE = "Device-nGnRE"
    DEVICE_NGNRNE = "Device-nGnRnE"
    #: RISC-V: what the platform's physical memory attributes say; for RAM, cacheable
    PMA = "PMA"
    NC = "NC"
    IO = "IO"
    #: no page table entry: a GPU's own access, with and without a look into the CPUs' caches
    DMA_SNOOPED = "DMA-snooped"
    DMA = "DMA"

    @property
    def kind(self) -> Kind:
        return _KIND[self]


_MEMBERS: dict[Kind, str] = {
    Kind.CACHED: "WB WT WP Normal-WB Normal-WT PMA",
    Kind.COMBINING: "WC Normal-NC NC",
    Kind.UNCACHED: "UC Device-GRE Device-nGRE Device-nGnRE Device-nGnRnE IO",
    Kind.SNOOPING: "DMA-snooped",
    Kind.BYPASSING: "DMA",
}
_KIND = {Effective(name): kind for kind, names in _MEMBERS.items() for name in names.split()}


class Backing(Enum):
    """What the guest physical page is made of on the host."""

    #: pages of system memory: shmem, a dma-buf heap, GTT
    RAM = "ram"
    #: a PCI BAR of the GPU: VRAM
    DEVICE = "device"
    #: 0xa0000-0xbffff of the host, mapped through /dev/mem
    VGA = "vga"


class Layer(NamedTuple):
    """One stage on the way: who decides, what it says, and where that is written."""

    name: str
    says: str
    source: str


class Derivation(NamedTuple):
    """What one page protection becomes in one guest.

    pte: the guest's leaf page table entry. memtype: what the guest kernel lists; None where it keeps no list.
    effective: what the hardware does. layers: from the kernel's wish to the hardware's act.
    """

    pgprot: Pgprot
    pte: int
    memtype: str | None
    effective: Effective
    layers: tuple[Layer, ...]
