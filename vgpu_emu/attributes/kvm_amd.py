"""KVM on AMD: the nested page table says write-back, and the guest's PAT always counts.

Sources: Linux 7.2 arch/x86/kvm/svm/svm.c (no get_mt_mask: the leaf selects host PAT slot 0), AMD APM vol 2, 15.25.8
"Combining Memory Types, MTRRs": guest PAT with host PAT, then with the host's MTRR. General knowledge, not compared
with the APM: that both steps follow the same table as Intel's. Another hypervisor's notes confirm the one row KVM uses,
host PAT WB: a guest's WC may become "WC+", which combines writes too but looks into the caches. It is called WC here.
"""

from dataclasses import dataclass

from vgpu_emu.attributes.derivation import Backing, Layer
from vgpu_emu.attributes.mtrr import EFFECTIVE
from vgpu_emu.attributes.x86 import PAT_LINUX, MemoryType, encode_pte, pat_slots

#: what the host's MTRRs say of the frame: no EPT type stands in their place
HOST_MTRR = {Backing.RAM: MemoryType.WB, Backing.DEVICE: MemoryType.UC, Backing.VGA: MemoryType.UC}
#: the slot a nested leaf with PAT, PCD and PWT clear selects
NPT_SLOT = 0


@dataclass(frozen=True)
class AmdKvm:
    """An AMD host and one VM on it. No AMD CPU reports self-snoop (general knowledge)."""

    self_snoop: bool = False

    def leaf(self, physical: int) -> int:
        """The nested leaf KVM writes, in the format of x86.encode_pte."""
        return encode_pte(physical, NPT_SLOT)

    def combine(self, guest: MemoryType, backing: Backing) -> tuple[MemoryType, Layer]:
        """The effective type of a guest PAT type over this host's page, and the layer that says why."""
        host = pat_slots(PAT_LINUX)[NPT_SLOT]
        mtrr = HOST_MTRR[backing]
        nested = EFFECTIVE[host, guest]
        says = f"host PAT {host.name}, host MTRR {mtrr.name}: the guest's PAT counts"
        layer = Layer("KVM, NPT leaf", says, "arch/x86/kvm/svm/svm.c; AMD APM vol 2, 15.25.8")
        return EFFECTIVE[mtrr, nested], layer
