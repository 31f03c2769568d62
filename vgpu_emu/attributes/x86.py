"""x86-64 stage 1: the PAT, and page table entries that select from it.

Sources: Intel SDM vol 3, 11.12 "Page Attribute Table"; Linux 7.2 arch/x86/mm/pat/memtype.c, arch/x86/mm/init.c,
arch/x86/include/asm/pgtable_types.h. The encodings, the bit positions and the power-on value were compared with public
scans of the SDM (tables 11-10, 11-11, 11-12).
"""

from collections.abc import Sequence
from enum import Enum, IntFlag
from typing import NamedTuple

from vgpu_emu.vocabulary import Pgprot


class MemoryType(Enum):
    """Numbers of PAT entries, MTRRs and EPT entries. UC_MINUS exists in the PAT only: an MTRR may turn it into WC."""

    UC = 0
    WC = 1
    WT = 4
    WP = 5
    WB = 6
    UC_MINUS = 7

    @property
    def listed(self) -> str:
        """As /sys/kernel/debug/x86/pat_memtype_list prints it (cattr_name, memtype.c)."""
        return _LISTED[self]


_LISTED = {
    MemoryType.UC: "uncached",
    MemoryType.UC_MINUS: "uncached-minus",
    MemoryType.WC: "write-combining",
    MemoryType.WT: "write-through",
    MemoryType.WP: "write-protected",
    MemoryType.WB: "write-back",
}

#: IA32_PAT as Linux writes it (pat_bp_init): WB WC UC- UC WB WP UC- WT
PAT_LINUX = 0x0407050600070106
#: at power on, and what Linux assumes when PAT is off: WB WT UC- UC, twice
PAT_POWER_ON = 0x0007040600070406
#: on CPUs whose PAT bit has an erratum (Pentium 2, 3, 4, early Pentium M): WB WC UC- UC, twice
PAT_ERRATA = 0x0007010600070106


def pat_slots(msr: int) -> tuple[MemoryType, ...]:
    """The eight slots of an IA32_PAT value. Raises ValueError for a reserved type, where WRMSR would fault."""
    return tuple(MemoryType(msr >> 8 * slot & 0xFF) for slot in range(8))


def pat_msr(slots: Sequence[MemoryType]) -> int:
    """The IA32_PAT value of eight slots."""
    return sum(memory_type.value << 8 * slot for slot, memory_type in enumerate(slots))


def slot_of(memory_type: MemoryType, msr: int = PAT_LINUX) -> int:
    """The slot Linux selects for a type: the lowest that holds it; if none, that of UC- (__init_cache_modes)."""
    slots = pat_slots(msr)
    return slots.index(memory_type if memory_type in slots else MemoryType.UC_MINUS)


def type_from_pgprot(pgprot: Pgprot) -> MemoryType:
    """pgprot_writecombine (memtype.c) and pgprot_noncached (asm/pgtable.h), which asks for UC-, not UC."""
    match pgprot:
        case Pgprot.CACHED:
            return MemoryType.WB
        case Pgprot.WRITECOMBINE:
            return MemoryType.WC
        case Pgprot.NONCACHED:
            return MemoryType.UC_MINUS


class PteBit(IntFlag):
    """Bits of a leaf entry. Bit 7 is PAT in a 4 KiB entry; in a larger one it is PSE, a leaf, and PAT is bit 12."""

    PRESENT = 1 << 0
    RW = 1 << 1
    USER = 1 << 2
    PWT = 1 << 3
    PCD = 1 << 4
    ACCESSED = 1 << 5
    DIRTY = 1 << 6
    PAT_4K = 1 << 7
    PSE = 1 << 7
    GLOBAL = 1 << 8
    #: software bit: no struct page behind it (pte_mkspecial)
    SPECIAL = 1 << 9
    PAT_LARGE = 1 << 12
    NX = 1 << 63


#: PAGE_SHARED and pte_mkspecial: a user's read-write mapping made by remap_pfn_range
USER_MAPPING = PteBit.PRESENT | PteBit.RW | PteBit.USER | PteBit.ACCESSED | PteBit.SPECIAL | PteBit.NX

PAGE_4K, PAGE_2M, PAGE_1G = 1 << 12, 1 << 21, 1 << 30
#: physical addresses have at most 52 bits
PHYSICAL_LIMIT = 1 << 52


class Pte(NamedTuple):
    """A leaf entry taken apart. slot: the PAT slot; type: what the PAT holds there."""

    physical: int
    slot: int
    type: MemoryType
    bits: PteBit
    size: int


def _pat_bit(size: int) -> PteBit:
    return PteBit.PAT_4K if size == PAGE_4K else PteBit.PAT_LARGE


def encode_pte(physical: int, slot: int, size: int = PAGE_4K, bits: PteBit = USER_MAPPING) -> int:
    """The leaf entry for a page of `size` bytes at `physical` that selects PAT slot `slot`.

    Raises ValueError for another page size, an address that is not a multiple of it or has more than 52 bits, or a slot
    outside 0..7.
    """
    if size not in (PAGE_4K, PAGE_2M, PAGE_1G):
        raise ValueError(f"x86-64 has no pages of {size} bytes")
    if physical % size or not 0 <= physical < PHYSICAL_LIMIT:
        raise ValueError(f"{physical:#x} is no address of a {size} byte page")
    if not 0 <= slot < 8:
        raise ValueError(f"the PAT has slots 0 to 7, not {slot}")
    entry = physical | bits
    for place, bit in enumerate((PteBit.PWT, PteBit.PCD, _pat_bit(size))):
        if slot >> place & 1:
            entry |= bit
    return int(entry if size == PAGE_4K else entry | PteBit.PSE)


def decode_pte(entry: int, size: int = PAGE_4K, msr: int = PAT_LINUX) -> Pte:
    """What a leaf entry says. size: bytes of the page, known from the level the entry was found at."""
    pat = _pat_bit(size)
    slot = sum(bool(entry & bit) << place for place, bit in enumerate((PteBit.PWT, PteBit.PCD, pat)))
    attributes = PteBit.PWT | PteBit.PCD | pat
    flags = entry & (0xFFF | PteBit.NX) & ~int(attributes)
    return Pte(entry & (PHYSICAL_LIMIT - 1) & ~(size - 1), slot, pat_slots(msr)[slot], PteBit(flags), size)
