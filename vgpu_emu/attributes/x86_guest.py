"""A Linux guest on x86-64: from the page protection its driver asks for to what the CPU does."""

from dataclasses import dataclass, replace

from vgpu_emu.attributes.derivation import Backing, Derivation, Effective, Layer
from vgpu_emu.attributes.kvm_amd import AmdKvm
from vgpu_emu.attributes.kvm_intel import IntelKvm
from vgpu_emu.attributes.mtrr import MTRR_OF_BAR, Bar, Firmware, effective_type, reserve
from vgpu_emu.attributes.x86 import (
    PAGE_4K,
    PAT_LINUX,
    PAT_POWER_ON,
    decode_pte,
    encode_pte,
    slot_of,
    type_from_pgprot,
)
from vgpu_emu.vocabulary import HostAttribute, Pgprot

#: the exporter's own CPU mapping, and its GPU's access
_HOST_VIEWS: dict[HostAttribute, tuple[Effective, Effective]] = {
    HostAttribute.WC: (Effective.WC, Effective.DMA),
    HostAttribute.CACHED: (Effective.WB, Effective.DMA_SNOOPED),
    HostAttribute.INCOHERENT: (Effective.WB, Effective.DMA),
}
_GPA = {Bar.ABOVE_4G: 0x800000000, Bar.BELOW_4G: 0xC0000000}


@dataclass(frozen=True)
class X86Guest:
    """One VM: its hypervisor, its firmware, where the host visible region lies, and the guest's PAT.

    pat: an IA32_PAT value. Anything but PAT_POWER_ON means that the guest kernel has PAT enabled and keeps its list of
    memory types; with PAT off (`nopat`) it neither lists nor lowers (memtype_reserve returns early).
    """

    kvm: IntelKvm | AmdKvm
    firmware: Firmware = Firmware.SEABIOS
    bar: Bar = Bar.ABOVE_4G
    pat: int = PAT_LINUX

    family = "x86"
    page_sizes = (PAGE_4K,)

    def placed(self, firmware: Firmware | None, bar: Bar | None) -> "X86Guest":
        """The same VM with another firmware or another place of the region; None leaves it as it is."""
        return replace(self, firmware=firmware or self.firmware, bar=bar or self.bar)

    @property
    def self_snoop(self) -> bool:
        return self.kvm.self_snoop

    def host_views(self, attribute: HostAttribute) -> tuple[Effective, Effective] | None:
        """The effective types of the exporter's CPU mapping and of its GPU's access; None: not known."""
        return _HOST_VIEWS.get(attribute)

    def derive(
        self, pgprot: Pgprot, gpa: int | None = None, backing: Backing = Backing.RAM, page: int = PAGE_4K
    ) -> Derivation:
        """What `pgprot` becomes for the page at guest physical address `gpa` (None: the start of the region)."""
        mtrr = MTRR_OF_BAR[self.firmware, self.bar]
        wanted = type_from_pgprot(pgprot)
        tracked = self.pat != PAT_POWER_ON
        chosen = reserve(wanted, mtrr) if tracked else wanted
        pte = encode_pte(_GPA[self.bar] if gpa is None else gpa, slot_of(chosen, self.pat), page)
        selected = decode_pte(pte, page, self.pat)
        combined, stage2 = self.kvm.combine(selected.type, backing)
        layers = (
            Layer("guest pgprot", f"{pgprot.value}: {wanted.name}", "drivers/gpu/drm/virtio/virtgpu_vram.c"),
            Layer(
                "guest MTRR", f"{self.firmware.value}, BAR {self.bar.value}: {mtrr.name}", "firmware; mtrr.MTRR_OF_BAR"
            ),
            Layer("guest memtype", chosen.listed if tracked else "not tracked", "arch/x86/mm/pat/memtype.c"),
            Layer("guest PTE", f"{pte:#018x}: PAT slot {selected.slot}, {selected.type.name}", "SDM vol 3, 11.12.3"),
            stage2,
            Layer("effective", combined.name, "SDM vol 3, 11.5.2.2"),
        )
        memtype = chosen.listed if tracked else None
        return Derivation(pgprot, pte, memtype, effective_type(combined), layers)
