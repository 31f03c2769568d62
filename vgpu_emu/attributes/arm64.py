"""arm64 stage 1: MAIR_EL1, and page table entries that select from it.

Sources: Linux 7.2 arch/arm64/include/asm/memory.h (MT_*), asm/sysreg.h and mm/proc.S (MAIR_EL1_SET),
asm/pgtable-prot.h, asm/pgtable-hwdef.h, mm/ptdump.c. The indices, the stage 2 numbers and the ptdump names were
compared with public copies of those headers. Older kernels number the indices differently (general knowledge).
"""

from enum import Enum, IntFlag
from typing import NamedTuple

from vgpu_emu.attributes.derivation import Effective
from vgpu_emu.vocabulary import Pgprot


class MairIndex(Enum):
    """MT_*: which byte of MAIR_EL1 an entry's AttrIndx selects."""

    NORMAL = 0
    NORMAL_TAGGED = 1
    NORMAL_NC = 2
    DEVICE_NGNRNE = 3
    DEVICE_NGNRE = 4

    @property
    def listed(self) -> str:
        """As /sys/kernel/debug/kernel_page_tables prints it (mm/ptdump.c)."""
        return _LISTED[self]


_LISTED = {
    MairIndex.NORMAL: "MEM/NORMAL",
    MairIndex.NORMAL_TAGGED: "MEM/NORMAL-TAGGED",
    MairIndex.NORMAL_NC: "MEM/NORMAL-NC",
    MairIndex.DEVICE_NGNRNE: "DEVICE/nGnRnE",
    MairIndex.DEVICE_NGNRE: "DEVICE/nGnRE",
}

#: MAIR attribute bytes (Arm ARM, MAIR_EL1)
ATTRIBUTE = {
    0x00: Effective.DEVICE_NGNRNE,
    0x04: Effective.DEVICE_NGNRE,
    0x08: Effective.DEVICE_NGRE,
    0x0C: Effective.DEVICE_GRE,
    0x44: Effective.NORMAL_NC,
    0xBB: Effective.NORMAL_WT,
    0xFF: Effective.NORMAL_WB,
    #: tagged, for MTE: cached like NORMAL
    0xF0: Effective.NORMAL_WB,
}

#: MAIR_EL1_SET: the tagged index is plain Normal until MTE is found
MAIR_LINUX = 0x000000040044FFFF


def mair_attribute(index: MairIndex, mair: int = MAIR_LINUX) -> Effective:
    """What MAIR_EL1 says at an index."""
    return ATTRIBUTE[mair >> 8 * index.value & 0xFF]


def index_from_pgprot(pgprot: Pgprot) -> MairIndex:
    """pgprot_writecombine and pgprot_noncached (asm/pgtable.h).

    The latter is for registers: an unaligned access faults, and so does the DC ZVA of a memset.
    """
    match pgprot:
        case Pgprot.CACHED:
            return MairIndex.NORMAL
        case Pgprot.WRITECOMBINE:
            return MairIndex.NORMAL_NC
        case Pgprot.NONCACHED:
            return MairIndex.DEVICE_NGNRNE


class PteBit(IntFlag):
    """Bits of a level 3 descriptor (asm/pgtable-hwdef.h, asm/pgtable-prot.h)."""

    VALID = 1 << 0
    PAGE = 1 << 1
    USER = 1 << 6
    RDONLY = 1 << 7
    INNER_SHAREABLE = 3 << 8
    AF = 1 << 10
    NG = 1 << 11
    #: PTE_WRITE: with RDONLY set, a clean writable page
    DBM = 1 << 51
    PXN = 1 << 53
    UXN = 1 << 54
    SPECIAL = 1 << 56


#: PAGE_SHARED and pte_mkspecial: a user's read-write mapping made by remap_pfn_range
USER_MAPPING = (
    PteBit.VALID
    | PteBit.PAGE
    | PteBit.USER
    | PteBit.RDONLY
    | PteBit.INNER_SHAREABLE
    | PteBit.AF
    | PteBit.NG
    | PteBit.DBM
    | PteBit.PXN
    | PteBit.UXN
    | PteBit.SPECIAL
)
_ATTR_SHIFT = 2
_ATTR_MASK = 7 << _ATTR_SHIFT

#: translation granules
GRANULES = (1 << 12, 1 << 14, 1 << 16)
#: bits 47:12 hold the address; the 52-bit formats are left out
PHYSICAL_LIMIT = 1 << 48


class Pte(NamedTuple):
    """A level 3 descriptor taken apart."""

    physical: int
    attr_index: MairIndex
    bits: PteBit
    granule: int


def check_page(physical: int, granule: int) -> None:
    """Raises ValueError for a granule arm64 has not, or an address that is no multiple of it or has over 48 bits."""
    if granule not in GRANULES:
        raise ValueError(f"arm64 has no granule of {granule} bytes")
    if physical % granule or not 0 <= physical < PHYSICAL_LIMIT:
        raise ValueError(f"{physical:#x} is no address of a {granule} byte page")


def encode_pte(physical: int, index: MairIndex, granule: int = GRANULES[0], bits: PteBit = USER_MAPPING) -> int:
    """The level 3 descriptor of one page. Raises ValueError as check_page does."""
    check_page(physical, granule)
    return int(physical | bits | index.value << _ATTR_SHIFT)


def decode_pte(entry: int, granule: int = GRANULES[0]) -> Pte:
    """What a level 3 descriptor says. Raises ValueError for an index Linux leaves unused."""
    address = (PHYSICAL_LIMIT - 1) & ~(granule - 1)
    flags = entry & ~address & ~_ATTR_MASK
    return Pte(entry & address, MairIndex((entry & _ATTR_MASK) >> _ATTR_SHIFT), PteBit(flags), granule)
