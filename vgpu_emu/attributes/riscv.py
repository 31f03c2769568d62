"""riscv: Svpbmt, the variant of T-Head's cores, and machines with neither.

Sources: RISC-V privileged specification, chapter Svpbmt; Linux 7.2 arch/riscv/include/asm/pgtable-64.h, pgtable-bits.h,
mm/ptdump.c. The bits were compared with public copies of those headers. Two stages: a non-zero PBMT of the G-stage
overrides the PMA, then a non-zero PBMT of the VS-stage overrides that; compared with a published summary of the
hypervisor chapter, not with the chapter.
"""

from dataclasses import dataclass
from enum import Enum, IntFlag
from typing import NamedTuple

from vgpu_emu.attributes.derivation import Backing, Derivation, Effective, Layer
from vgpu_emu.vocabulary import HostAttribute, Pgprot

PAGE = 1 << 12
#: PPN, bits 53:10: 56 bits of address
PHYSICAL_LIMIT = 1 << 56


class Pbmt(Enum):
    """Page-based memory types. PMA: the entry adds nothing to the physical memory attributes."""

    PMA = 0
    NC = 1
    IO = 2


class Encoding(Enum):
    """How a core spells a memory type in an entry."""

    SVPBMT = "Svpbmt"
    THEAD = "T-Head"
    NONE = "none"


def _bits(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


#: the bits of each type, and the mask they are read under
TYPE_BITS = {
    Encoding.SVPBMT: {Pbmt.PMA: 0, Pbmt.NC: _bits(61), Pbmt.IO: _bits(62)},
    #: SO 63, C 62, B 61, SH 60
    Encoding.THEAD: {Pbmt.PMA: _bits(62, 61, 60), Pbmt.NC: _bits(61, 60), Pbmt.IO: _bits(63, 60)},
    Encoding.NONE: {Pbmt.PMA: 0, Pbmt.NC: 0, Pbmt.IO: 0},
}
TYPE_MASK = {Encoding.SVPBMT: _bits(61, 62), Encoding.THEAD: _bits(59, 60, 61, 62, 63), Encoding.NONE: 0}


def type_from_pgprot(pgprot: Pgprot) -> Pbmt:
    """pgprot_writecombine and pgprot_noncached (asm/pgtable.h)."""
    match pgprot:
        case Pgprot.CACHED:
            return Pbmt.PMA
        case Pgprot.WRITECOMBINE:
            return Pbmt.NC
        case Pgprot.NONCACHED:
            return Pbmt.IO


class PteBit(IntFlag):
    """Bits of a leaf (asm/pgtable-bits.h). SPECIAL is the first of two software bits."""

    VALID = 1 << 0
    READ = 1 << 1
    WRITE = 1 << 2
    EXEC = 1 << 3
    USER = 1 << 4
    GLOBAL = 1 << 5
    ACCESSED = 1 << 6
    DIRTY = 1 << 7
    SPECIAL = 1 << 8


#: PAGE_SHARED and pte_mkspecial: a user's read-write mapping made by remap_pfn_range
USER_MAPPING = PteBit.VALID | PteBit.READ | PteBit.WRITE | PteBit.USER | PteBit.ACCESSED | PteBit.SPECIAL


class Pte(NamedTuple):
    """A leaf taken apart."""

    physical: int
    type: Pbmt
    bits: PteBit


def encode_pte(physical: int, pbmt: Pbmt, encoding: Encoding, bits: PteBit = USER_MAPPING) -> int:
    """The leaf of one 4 KiB page. Raises ValueError for an unaligned address or one of more than 56 bits."""
    if physical % PAGE or not 0 <= physical < PHYSICAL_LIMIT:
        raise ValueError(f"{physical:#x} is no address of a {PAGE} byte page")
    return int(physical >> 2 | bits | TYPE_BITS[encoding][pbmt])


def decode_pte(entry: int, encoding: Encoding) -> Pte:
    """What a leaf says. Raises ValueError for a reserved type, where the hardware would fault."""
    number = entry & TYPE_MASK[encoding]
    found = next((pbmt for pbmt, bits in TYPE_BITS[encoding].items() if bits == number), None)
    if found is None:
        raise ValueError(f"{entry:#x} has a reserved memory type")
    return Pte((entry & (1 << 54) - (1 << 10)) << 2, found, PteBit(entry & 0x3FF))


def combine(guest: Pbmt, g_stage: Pbmt) -> Effective:
    """The effective type of both stages; IO over RAM is ordered like a device."""
    return Effective((guest if guest is not Pbmt.PMA else g_stage).name)


#: KVM maps RAM with PBMT 0 and device memory with PAGE_KERNEL_IO (arch/riscv/kvm/mmu.c)
G_STAGE = {Backing.RAM: Pbmt.PMA, Backing.DEVICE: Pbmt.IO, Backing.VGA: Pbmt.IO}


@dataclass(frozen=True)
class RiscvGuest:
    """A riscv host and one VM on it; guest and host spell memory types alike (henvcfg.PBMTE)."""

    encoding: Encoding = Encoding.SVPBMT

    family = "riscv"
    page_sizes = (PAGE,)
    self_snoop = False
    #: the high PCIe window of QEMU's virt machine
    region = 0x400000000

    def host_views(self, attribute: HostAttribute) -> tuple[Effective, Effective] | None:
        """The effective types of the exporter's CPU mapping and of its GPU's access; None: not known."""
        if attribute is HostAttribute.UNKNOWN:
            return None
        wanted = Pbmt.NC if attribute is HostAttribute.WC else Pbmt.PMA
        seen = decode_pte(encode_pte(0, wanted, self.encoding), self.encoding).type
        return Effective(seen.name), Effective.DMA_SNOOPED if attribute is HostAttribute.CACHED else Effective.DMA

    def derive(
        self, pgprot: Pgprot, gpa: int | None = None, backing: Backing = Backing.RAM, page: int = PAGE
    ) -> Derivation:
        """What `pgprot` becomes for the page at guest physical address `gpa` (None: the start of the region)."""
        wanted = type_from_pgprot(pgprot)
        pte = encode_pte(self.region if gpa is None else gpa, wanted, self.encoding)
        seen = decode_pte(pte, self.encoding).type
        g_stage = G_STAGE[backing] if self.encoding is not Encoding.NONE else Pbmt.PMA
        effective = combine(seen, g_stage)
        layers = (
            Layer("guest pgprot", f"{pgprot.value}: {wanted.name}", "drivers/gpu/drm/virtio/virtgpu_vram.c"),
            Layer("guest PTE", f"{pte:#018x}: {seen.name} ({self.encoding.value})", "asm/pgtable-64.h"),
            Layer("KVM, G-stage", f"PBMT {g_stage.name}", "arch/riscv/kvm/mmu.c"),
            Layer("effective", effective.value, "privileged specification, Svpbmt and hypervisor chapters"),
        )
        return Derivation(pgprot, pte, seen.name, effective, layers)
