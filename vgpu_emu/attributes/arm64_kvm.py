"""KVM on arm64: stage 2 descriptors, how they combine with stage 1, and the memory KVM refuses.

Sources: Linux 7.2 arch/arm64/include/asm/memory.h (MT_S2_*, which cites the architecture's rules R_HMNDG, R_TNHFM,
R_GQFSF for FWB=0 and R_VRJSW, R_RHWZM for FWB=1), arch/arm64/kvm/mmu.c (user_mem_abort,
kvm_arch_prepare_memory_region). The numbers were compared with public copies of that header; FWB=1 with Normal-NC also
with the table in the commit that introduced it.
"""

import errno
import os
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from vgpu_emu.attributes.arm64 import (
    GRANULES,
    MAIR_LINUX,
    PHYSICAL_LIMIT,
    check_page,
    encode_pte,
    index_from_pgprot,
    mair_attribute,
)
from vgpu_emu.attributes.derivation import Backing, Derivation, Effective, Kind, Layer
from vgpu_emu.vocabulary import HostAttribute, Pgprot


class Stage2(Enum):
    """What KVM asks of stage 2."""

    NORMAL = "Normal"
    NORMAL_NC = "Normal-NC"
    DEVICE_NGNRE = "Device-nGnRE"
    AS_S1 = "as stage 1"


#: MemAttr, descriptor bits 5:2: HCR_EL2.FWB -> Stage2 -> number
MEM_ATTR = {
    False: {Stage2.NORMAL: 0xF, Stage2.NORMAL_NC: 0x5, Stage2.DEVICE_NGNRE: 0x1, Stage2.AS_S1: 0xF},
    True: {Stage2.NORMAL: 6, Stage2.NORMAL_NC: 5, Stage2.DEVICE_NGNRE: 1, Stage2.AS_S1: 7},
}
_MEM_ATTR_SHIFT = 2
#: a page, read-write (S2AP), inner shareable, AF
_PAGE_RW = 3 | 3 << 6 | 3 << 8 | 1 << 10


def encode_stage2(physical: int, stage2: Stage2, fwb: bool, granule: int = GRANULES[0]) -> int:
    """The level 3 stage 2 descriptor of one page. Raises ValueError as arm64.check_page does."""
    check_page(physical, granule)
    return physical | _PAGE_RW | MEM_ATTR[fwb][stage2] << _MEM_ATTR_SHIFT


def decode_stage2(entry: int, fwb: bool, granule: int = GRANULES[0]) -> tuple[int, Stage2]:
    """Address and attribute of a stage 2 descriptor; of two names for one number, the first."""
    number = entry >> _MEM_ATTR_SHIFT & 0xF
    stage2 = next(name for name, value in MEM_ATTR[fwb].items() if value == number)
    return entry & (PHYSICAL_LIMIT - 1) & ~(granule - 1), stage2


#: FWB=0: the weaker of the two stages wins; Device before Normal, and from left to right
_WEAKEST_FIRST = (
    Effective.DEVICE_NGNRNE,
    Effective.DEVICE_NGNRE,
    Effective.DEVICE_NGRE,
    Effective.DEVICE_GRE,
    Effective.NORMAL_NC,
    Effective.NORMAL_WT,
    Effective.NORMAL_WB,
)
_AS_TYPE = {
    Stage2.NORMAL: Effective.NORMAL_WB,
    Stage2.NORMAL_NC: Effective.NORMAL_NC,
    Stage2.DEVICE_NGNRE: Effective.DEVICE_NGNRE,
}


def combine(stage1: Effective, stage2: Stage2, fwb: bool) -> Effective:
    """The effective type of both stages."""
    if stage2 is Stage2.AS_S1:
        return stage1
    if not fwb:
        return min(stage1, _AS_TYPE[stage2], key=_WEAKEST_FIRST.index)
    if stage2 is Stage2.NORMAL_NC and stage1.kind is Kind.UNCACHED:
        return stage1
    return _AS_TYPE[stage2]


class HostVma(NamedTuple):
    """What the VMM mapped.

    map_memory: pfn_is_map_memory(), RAM of the linear map. pfnmap: VM_PFNMAP. cacheable: its page protection.
    any_uncached: VM_ALLOW_ANY_UNCACHED (vfio sets it).
    """

    map_memory: bool = True
    pfnmap: bool = False
    cacheable: bool = True
    any_uncached: bool = False


#: a memfd; a drm driver's VRAM. What mmap of a drm shmem, msm, udmabuf or CMA heap buffer gives is pfnmap RAM.
VMA_OF_BACKING = {
    Backing.RAM: HostVma(),
    Backing.DEVICE: HostVma(map_memory=False, pfnmap=True, cacheable=False),
    Backing.VGA: HostVma(map_memory=False, pfnmap=True, cacheable=False),
}

#: the exporter's own CPU mapping, and its GPU's access
_HOST_VIEWS: dict[HostAttribute, tuple[Effective, Effective]] = {
    HostAttribute.WC: (Effective.NORMAL_NC, Effective.DMA),
    HostAttribute.CACHED: (Effective.NORMAL_WB, Effective.DMA_SNOOPED),
    HostAttribute.INCOHERENT: (Effective.NORMAL_WB, Effective.DMA),
}


@dataclass(frozen=True)
class Arm64Guest:
    """An arm64 host and one VM on it. fwb: HCR_EL2.FWB (Armv8.4); cache_dic: CTR_EL0.DIC."""

    fwb: bool = False
    cache_dic: bool = True
    mair: int = MAIR_LINUX

    family = "arm64"
    page_sizes = GRANULES
    self_snoop = False
    #: the high PCIe window of QEMU's virt machine
    region = 0x8000000000

    @property
    def cacheable_pfnmap(self) -> bool:
        """kvm_supports_cacheable_pfnmap(): KVM need not do cache maintenance on memory it has no linear map of."""
        return self.fwb and self.cache_dic

    def check_memslot(self, vma: HostVma) -> None:
        """KVM_SET_USER_MEMORY_REGION. Raises OSError(EINVAL) for a cacheable VM_PFNMAP vma, RAM or not, without FWB and
        DIC: a memslot for each blob fails there, and only a memfd or a MAP_FIXED into a slot that exists is cached."""
        if vma.pfnmap and vma.cacheable and not self.cacheable_pfnmap:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def stage2(self, vma: HostVma) -> Stage2:
        """What KVM writes at the first access. Raises OSError(EFAULT) for cacheable memory it cannot maintain."""
        if vma.map_memory or not vma.pfnmap:
            return Stage2.NORMAL
        if vma.cacheable:
            if self.cacheable_pfnmap:
                return Stage2.NORMAL
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        return Stage2.NORMAL_NC if vma.any_uncached else Stage2.DEVICE_NGNRE

    def host_views(self, attribute: HostAttribute) -> tuple[Effective, Effective] | None:
        """The effective types of the exporter's CPU mapping and of its GPU's access; None: not known."""
        return _HOST_VIEWS.get(attribute)

    def derive(
        self, pgprot: Pgprot, gpa: int | None = None, backing: Backing = Backing.RAM, page: int = GRANULES[0]
    ) -> Derivation:
        """What `pgprot` becomes for the page at guest physical address `gpa` (None: the start of the region)."""
        index = index_from_pgprot(pgprot)
        stage1 = mair_attribute(index, self.mair)
        pte = encode_pte(self.region if gpa is None else gpa, index, page)
        stage2 = self.stage2(VMA_OF_BACKING[backing])
        effective = combine(stage1, stage2, self.fwb)
        number = MEM_ATTR[self.fwb][stage2]
        rule = "forces its own type" if self.fwb else "the weaker stage wins"
        layers = (
            Layer("guest pgprot", f"{pgprot.value}: {index.listed}", "drivers/gpu/drm/virtio/virtgpu_vram.c"),
            Layer("guest PTE", f"{pte:#018x}: AttrIndx {index.value}", "arch/arm64/include/asm/pgtable-prot.h"),
            Layer("guest MAIR", f"byte {index.value}: {stage1.value}", "arch/arm64/mm/proc.S MAIR_EL1_SET"),
            Layer(
                "KVM, stage 2",
                f"MemAttr {number:#x} ({stage2.value}), FWB={int(self.fwb)}: {rule}",
                "arch/arm64/include/asm/memory.h MT_S2_*",
            ),
            Layer("effective", effective.value, "Arm ARM, combining stage 1 and stage 2 memory type attributes"),
        )
        return Derivation(pgprot, pte, index.listed, effective, layers)
