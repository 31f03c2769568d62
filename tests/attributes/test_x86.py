"""x86-64: the PAT, page table entries, MTRRs, and KVM's second stage."""

import errno

import construct
import pytest

from vgpu_emu.attributes import kvm_amd, kvm_intel, mtrr, x86
from vgpu_emu.attributes.derivation import Backing
from vgpu_emu.attributes.kvm_amd import AmdKvm
from vgpu_emu.attributes.kvm_intel import Ept, IntelKvm
from vgpu_emu.attributes.mtrr import Bar, Firmware
from vgpu_emu.attributes.x86 import MemoryType, PteBit
from vgpu_emu.attributes.x86_guest import X86Guest
from vgpu_emu.vocabulary import Pgprot

UC, WC, WT, WP, WB, UC_MINUS = (MemoryType[name] for name in ("UC", "WC", "WT", "WP", "WB", "UC_MINUS"))

#: the SDM's figure of a 4 KiB entry, bit 63 first: a second decoder that shares nothing with x86.py
ENTRY_4K = construct.BitStruct(
    "nx" / construct.Flag,
    "ignored" / construct.BitsInteger(11),
    "frame" / construct.BitsInteger(40),
    "software" / construct.BitsInteger(3),
    "global" / construct.Flag,
    "pat" / construct.Flag,
    "dirty" / construct.Flag,
    "accessed" / construct.Flag,
    "pcd" / construct.Flag,
    "pwt" / construct.Flag,
    "user" / construct.Flag,
    "rw" / construct.Flag,
    "present" / construct.Flag,
)


def test_linux_pat_slots_are_those_the_kernel_prints_at_boot() -> None:
    # "x86/PAT: Configuration [0-7]: WB  WC  UC- UC  WB  WP  UC- WT", seen in many public boot logs
    printed = "WB  WC  UC- UC  WB  WP  UC- WT".replace("UC-", "UC_MINUS").split()
    assert [slot.name for slot in x86.pat_slots(x86.PAT_LINUX)] == printed


def test_pat_that_linux_leaves_alone_is_the_one_it_prints_when_mtrrs_are_off() -> None:
    printed = "WB  WT  UC- UC  WB  WT  UC- UC".replace("UC-", "UC_MINUS").split()
    assert [slot.name for slot in x86.pat_slots(x86.PAT_POWER_ON)] == printed


@pytest.mark.parametrize("msr", [x86.PAT_LINUX, x86.PAT_POWER_ON, x86.PAT_ERRATA])
def test_pat_value_and_slots_are_each_others_inverse(msr: int) -> None:
    assert x86.pat_msr(x86.pat_slots(msr)) == msr


@pytest.mark.parametrize("reserved", [2, 3, 8, 0xFF])
def test_reserved_pat_type_is_refused(reserved: int) -> None:
    with pytest.raises(ValueError, match="MemoryType"):
        x86.pat_slots(reserved)


@pytest.mark.parametrize(
    ("msr", "slots"),
    [
        (x86.PAT_LINUX, {WB: 0, WC: 1, UC_MINUS: 2, UC: 3, WP: 5, WT: 7}),
        # no PAT: WC and WP become UC-, WT stays
        (x86.PAT_POWER_ON, {WB: 0, WC: 2, UC_MINUS: 2, UC: 3, WP: 2, WT: 1}),
        # PAT bit erratum: WT and WP become UC-, WC stays
        (x86.PAT_ERRATA, {WB: 0, WC: 1, UC_MINUS: 2, UC: 3, WP: 2, WT: 2}),
    ],
)
def test_linux_selects_the_lowest_slot_of_a_type_or_that_of_uncached_minus(
    msr: int, slots: dict[MemoryType, int]
) -> None:
    assert {memory_type: x86.slot_of(memory_type, msr) for memory_type in slots} == slots


@pytest.mark.parametrize("slot", range(8))
def test_4k_entry_is_read_alike_by_a_second_decoder(slot: int) -> None:
    entry = x86.encode_pte(0x123456789000, slot)
    seen = ENTRY_4K.parse(entry.to_bytes(8, "big"))
    assert seen.frame == 0x123456789
    assert (seen.pat << 2 | seen.pcd << 1 | seen.pwt) == slot
    assert seen.present
    assert seen.rw
    assert seen.user
    assert seen.nx


def test_entry_of_a_user_mapping_is_the_value_the_headers_give() -> None:
    # present, rw, user, PWT (slot 1), accessed, software bit 9 (special), NX
    assert x86.encode_pte(0x812345000, 1) == 0x8000_0008_1234_522F


@pytest.mark.parametrize("size", [x86.PAGE_4K, x86.PAGE_2M, x86.PAGE_1G])
@pytest.mark.parametrize("slot", range(8))
def test_entry_decodes_to_what_was_encoded_at_every_page_size(size: int, slot: int) -> None:
    pte = x86.decode_pte(x86.encode_pte(3 * size, slot, size), size)
    assert (pte.physical, pte.slot, pte.type) == (3 * size, slot, x86.pat_slots(x86.PAT_LINUX)[slot])
    assert PteBit.PRESENT in pte.bits


def test_large_entry_keeps_pat_in_bit_12_and_says_leaf_in_bit_7() -> None:
    assert x86.encode_pte(0, 4, x86.PAGE_2M) & (1 << 12 | 1 << 7) == 1 << 12 | 1 << 7
    assert x86.encode_pte(0, 0, x86.PAGE_2M) & (1 << 12 | 1 << 7) == 1 << 7
    assert x86.encode_pte(0, 4, x86.PAGE_4K) & 1 << 7


@pytest.mark.parametrize(
    ("physical", "slot", "size"),
    [
        (1, 0, 4096),
        (4096, 0, x86.PAGE_2M),
        (1 << 52, 0, 4096),
        (-4096, 0, 4096),
        (0, 8, 4096),
        (0, -1, 4096),
        (0, 0, 8192),
    ],
)
def test_entry_that_cannot_be_is_refused(physical: int, slot: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"page|slots"):
        x86.encode_pte(physical, slot, size)


def test_last_frame_can_be_encoded() -> None:
    last = (1 << 52) - 4096
    assert x86.decode_pte(x86.encode_pte(last, 7)).physical == last


def test_noncached_asks_for_uncached_minus_not_uncached() -> None:
    assert x86.type_from_pgprot(Pgprot.NONCACHED) is UC_MINUS


def test_combination_table_is_the_one_of_xen() -> None:
    # xen/arch/x86/hvm/mtrr.c mm_type_tbl, columns UC, WC, WT, WP, WB, UC-
    xen = {
        "UC": "UC WC UC UC UC UC",
        "WC": "UC WC UC UC WC WC",
        "WT": "UC WC WT WP WT UC",
        "WP": "UC WC WT WP WP WC",
        "WB": "UC WC WT WP WB UC",
    }
    columns = (UC, WC, WT, WP, WB, UC_MINUS)
    expected = {
        (MemoryType[row], column): MemoryType[cell]
        for row, cells in xen.items()
        for column, cell in zip(columns, cells.split(), strict=True)
    }
    assert expected == mtrr.EFFECTIVE


def test_write_back_request_is_lowered_where_the_mtrr_is_not_write_back() -> None:
    assert {base: mtrr.lowered(WB, base) for base in (UC, WC, WT, WP, WB)} == {
        UC: UC_MINUS,
        WC: UC_MINUS,
        WT: UC_MINUS,
        WP: UC_MINUS,
        WB: WB,
    }
    assert mtrr.lowered(WC, UC) is WC


@pytest.mark.parametrize("existing", [WC, UC_MINUS, UC])
def test_write_back_mapping_takes_over_an_uncached_type_that_is_there(existing: MemoryType) -> None:
    assert mtrr.reserve(WB, WB, existing) is existing


@pytest.mark.parametrize(("request_type", "existing"), [(WC, WB), (UC_MINUS, WB), (WT, WB), (WT, WC)])
def test_mapping_fails_over_a_more_cached_type(request_type: MemoryType, existing: MemoryType) -> None:
    with pytest.raises(OSError, match="Invalid") as refused:
        mtrr.reserve(request_type, WB, existing)
    assert refused.value.errno == errno.EINVAL


@pytest.mark.parametrize(
    ("kvm", "bits"),
    [
        (IntelKvm(), 0x70),
        (IntelKvm().without_quirk(), 0x30),
        (IntelKvm(noncoherent_dma=True), 0x30),
        (IntelKvm(quirk=False, self_snoop=False), 0x70),
        (IntelKvm(self_snoop=False, noncoherent_dma=True), 0x30),
    ],
)
def test_ept_leaf_of_ram_ignores_the_guest_pat_unless_told_otherwise(kvm: IntelKvm, bits: int) -> None:
    assert kvm_intel.encode_ept(kvm.leaf(0x1000, Backing.RAM)) == 0x1000 | bits | 7


def test_host_without_self_snoop_cannot_disable_the_quirk() -> None:
    with pytest.raises(OSError, match="Invalid") as refused:
        IntelKvm(self_snoop=False).without_quirk()
    assert refused.value.errno == errno.EINVAL


def test_device_memory_behind_an_ept_is_uncached_or_combining() -> None:
    kvm = IntelKvm()
    assert kvm_intel.encode_ept(kvm.leaf(0, Backing.DEVICE)) == 7
    assert kvm.combine(WB, Backing.DEVICE)[0] is UC
    assert kvm.combine(WC, Backing.DEVICE)[0] is WC


def test_host_takes_reserved_frames_for_registers_only_if_it_maps_them_uncached() -> None:
    reserved = kvm_intel.HostPfn(reserved=True)
    assert not kvm_intel.is_host_mmio(reserved)
    assert kvm_intel.is_host_mmio(reserved, host_pat_enabled=False)
    assert kvm_intel.is_host_mmio(reserved._replace(pat=WC))
    assert not kvm_intel.is_host_mmio(reserved._replace(pat=WC, zero_page=True))
    assert not kvm_intel.is_host_mmio(kvm_intel.HostPfn(valid=False))
    assert kvm_intel.is_host_mmio(kvm_intel.HostPfn(valid=False, e820_ram=False))


@pytest.mark.parametrize("memory_type", [UC, WC, WT, WP, WB])
@pytest.mark.parametrize("ipat", [True, False])
def test_ept_leaf_decodes_to_what_was_encoded(memory_type: MemoryType, ipat: bool) -> None:
    leaf = Ept(0xFFFFFFFFFF000, memory_type, ipat)
    assert kvm_intel.decode_ept(kvm_intel.encode_ept(leaf)) == leaf


@pytest.mark.parametrize("leaf", [Ept(0, UC_MINUS, False), Ept(1, WB, False), Ept(1 << 52, WB, False)])
def test_ept_leaf_that_cannot_be_is_refused(leaf: Ept) -> None:
    with pytest.raises(ValueError, match="EPT"):
        kvm_intel.encode_ept(leaf)


def test_amd_honours_the_guest_pat_over_ram() -> None:
    assert {guest: AmdKvm().combine(guest, Backing.RAM)[0] for guest in (WB, WC, UC_MINUS, UC)} == {
        WB: WB,
        WC: WC,
        UC_MINUS: UC,
        UC: UC,
    }


def test_amd_host_mtrr_keeps_device_memory_uncached_whatever_the_guest_says() -> None:
    for backing in (Backing.DEVICE, Backing.VGA):
        assert AmdKvm().combine(WB, backing)[0] is UC
        assert AmdKvm().combine(WC, backing)[0] is WC


def test_amd_nested_leaf_selects_slot_0_which_holds_write_back() -> None:
    leaf = x86.decode_pte(AmdKvm().leaf(0x2000))
    assert (leaf.physical, leaf.slot, leaf.type) == (0x2000, kvm_amd.NPT_SLOT, WB)


def test_guest_without_pat_lists_nothing_lowers_nothing_and_turns_write_combining_into_uncached_minus() -> None:
    guest = X86Guest(AmdKvm(), Firmware.OVMF, Bar.BELOW_4G, pat=x86.PAT_POWER_ON)
    cached, combining = guest.derive(Pgprot.CACHED), guest.derive(Pgprot.WRITECOMBINE)
    assert (cached.memtype, cached.effective.value) == (None, "WB")
    assert x86.decode_pte(combining.pte, msr=x86.PAT_POWER_ON).type is UC_MINUS
    assert combining.effective.value == "UC"
