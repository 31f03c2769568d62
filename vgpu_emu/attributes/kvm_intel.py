"""KVM on Intel: the EPT's memory type, and whether the guest's PAT counts at all.

Sources: Linux 7.2 arch/x86/kvm/vmx/vmx.c (vmx_get_mt_mask, vmx_ignore_guest_pat), arch/x86/kvm/mmu/spte.c
(__kvm_is_mmio_pfn), Documentation/virt/kvm/api.rst (KVM_X86_QUIRK_IGNORE_GUEST_PAT); SDM vol 3, 30.3.7 "EPT and Memory
Typing". The rule was compared with the patches that introduced the quirk (6.16, backported to 6.12.78).
"""

import errno
import os
from dataclasses import dataclass, replace
from typing import NamedTuple

from vgpu_emu.attributes.derivation import Backing, Layer
from vgpu_emu.attributes.mtrr import EFFECTIVE
from vgpu_emu.attributes.x86 import MemoryType

_RWX = 0b111
_TYPE_SHIFT = 3
_IPAT = 1 << 6
_ADDRESS = (1 << 52) - (1 << 12)


class Ept(NamedTuple):
    """An EPT leaf taken apart. ipat: ignore PAT, so that `type` is the effective type whatever the guest wrote."""

    physical: int
    type: MemoryType
    ipat: bool


def encode_ept(leaf: Ept) -> int:
    """A 4 KiB leaf that allows everything.

    Raises ValueError for UC-, a type no EPT has, or for an address that is unaligned or has more than 52 bits.
    """
    if leaf.type is MemoryType.UC_MINUS or leaf.physical & ~_ADDRESS:
        raise ValueError(f"no EPT leaf holds {leaf}")
    number: int = leaf.type.value
    return leaf.physical | number << _TYPE_SHIFT | (_IPAT if leaf.ipat else 0) | _RWX


def decode_ept(entry: int) -> Ept:
    """What a leaf says of type and place."""
    return Ept(entry & _ADDRESS, MemoryType(entry >> _TYPE_SHIFT & 7), bool(entry & _IPAT))


class HostPfn(NamedTuple):
    """What the host kernel knows of a page frame. pat: the type its memtype code reports for the frame."""

    valid: bool = True
    reserved: bool = False
    zero_page: bool = False
    e820_ram: bool = True
    pat: MemoryType = MemoryType.WB


#: VGA: a reserved frame of the ISA range, which memtype does not track and reports as WB (dosemu2#2813)
PFN_OF_BACKING = {
    Backing.RAM: HostPfn(),
    Backing.DEVICE: HostPfn(valid=False, e820_ram=False, pat=MemoryType.WC),
    Backing.VGA: HostPfn(reserved=True, e820_ram=False),
}


def is_host_mmio(pfn: HostPfn, host_pat_enabled: bool = True) -> bool:
    """Whether KVM takes the frame for device registers (__kvm_is_mmio_pfn): then the EPT says UC."""
    if not pfn.valid:
        return not pfn.e820_ram
    uncached = pfn.pat in (MemoryType.UC, MemoryType.UC_MINUS, MemoryType.WC)
    return pfn.reserved and not pfn.zero_page and (not host_pat_enabled or uncached)


@dataclass(frozen=True)
class IntelKvm:
    """An Intel host and one VM on it.

    quirk: KVM_X86_QUIRK_IGNORE_GUEST_PAT, active unless user space disabled it; before the quirk existed KVM behaved as
    if it were always active. noncoherent_dma: a device is assigned whose DMA does not snoop.
    """

    quirk: bool = True
    noncoherent_dma: bool = False
    self_snoop: bool = True

    def without_quirk(self) -> "IntelKvm":
        """KVM_CAP_DISABLE_QUIRKS2. Raises OSError(EINVAL) on a host without self-snoop, which cannot honour a PAT."""
        if not self.self_snoop:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return replace(self, quirk=False)

    @property
    def ignores_guest_pat(self) -> bool:
        return not self.noncoherent_dma and (self.quirk or not self.self_snoop)

    def leaf(self, physical: int, backing: Backing) -> Ept:
        """The EPT leaf KVM writes (vmx_get_mt_mask): 0x00 MMIO, 0x70 PAT ignored, 0x30 PAT counts."""
        if is_host_mmio(PFN_OF_BACKING[backing]):
            return Ept(physical, MemoryType.UC, ipat=False)
        return Ept(physical, MemoryType.WB, ipat=self.ignores_guest_pat)

    def combine(self, guest: MemoryType, backing: Backing) -> tuple[MemoryType, Layer]:
        """The effective type of a guest PAT type over this host's page, and the layer that says why.

        Neither the guest's MTRRs nor the host's take part: under EPT the EPT type stands in their place.
        """
        leaf = self.leaf(0, backing)
        why = "ignore PAT" if leaf.ipat else "the guest's PAT counts"
        says = f"EPT type {leaf.type.name}, {why} ({encode_ept(leaf) & ~_RWX:#x})"
        layer = Layer("KVM, EPT leaf", says, "arch/x86/kvm/vmx/vmx.c vmx_get_mt_mask; SDM vol 3, 30.3.7")
        return (leaf.type if leaf.ipat else EFFECTIVE[leaf.type, guest]), layer
