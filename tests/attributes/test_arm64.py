"""arm64: MAIR, page table entries, stage 2, and what KVM refuses."""

import errno

import pytest

from vgpu_emu.attributes import arm64, arm64_kvm
from vgpu_emu.attributes.arm64 import MairIndex
from vgpu_emu.attributes.arm64_kvm import Arm64Guest, HostVma, Stage2
from vgpu_emu.attributes.derivation import Backing, Effective
from vgpu_emu.vocabulary import Pgprot

NORMAL_WB, NORMAL_NC, NORMAL_WT = Effective.NORMAL_WB, Effective.NORMAL_NC, Effective.NORMAL_WT
NGNRNE, NGNRE, GRE = Effective.DEVICE_NGNRNE, Effective.DEVICE_NGNRE, Effective.DEVICE_GRE


def test_mair_bytes_are_those_linux_sets() -> None:
    assert {index: arm64.mair_attribute(index) for index in MairIndex} == {
        MairIndex.NORMAL: NORMAL_WB,
        MairIndex.NORMAL_TAGGED: NORMAL_WB,
        MairIndex.NORMAL_NC: NORMAL_NC,
        MairIndex.DEVICE_NGNRNE: NGNRNE,
        MairIndex.DEVICE_NGNRE: NGNRE,
    }


@pytest.mark.parametrize("granule", arm64.GRANULES)
@pytest.mark.parametrize("index", MairIndex)
def test_entry_decodes_to_what_was_encoded_at_every_granule(granule: int, index: MairIndex) -> None:
    pte = arm64.decode_pte(arm64.encode_pte(0x8000000000 + granule, index, granule), granule)
    assert (pte.physical, pte.attr_index, pte.bits) == (0x8000000000 + granule, index, arm64.USER_MAPPING)


def test_entry_of_a_user_mapping_is_the_value_the_headers_give() -> None:
    # valid page, AttrIndx 2, AP 3, inner shareable, AF, nG, DBM, PXN, UXN, special
    assert arm64.encode_pte(0x40001000, MairIndex.NORMAL_NC) == 0x0168_0000_4000_1FCB


@pytest.mark.parametrize(
    ("physical", "granule"), [(4096, 1 << 14), (1, 4096), (1 << 48, 4096), (-4096, 4096), (0, 8192)]
)
def test_entry_that_cannot_be_is_refused(physical: int, granule: int) -> None:
    with pytest.raises(ValueError, match=r"page|granule"):
        arm64.encode_pte(physical, MairIndex.NORMAL, granule)


def test_last_frame_can_be_encoded() -> None:
    last = (1 << 48) - 65536
    assert arm64.decode_pte(arm64.encode_pte(last, MairIndex.NORMAL, 1 << 16), 1 << 16).physical == last


def test_unused_index_is_refused() -> None:
    with pytest.raises(ValueError, match="MairIndex"):
        arm64.decode_pte(5 << 2)


@pytest.mark.parametrize("fwb", [False, True])
@pytest.mark.parametrize("stage2", [Stage2.NORMAL, Stage2.NORMAL_NC, Stage2.DEVICE_NGNRE])
def test_stage_2_descriptor_decodes_to_what_was_encoded(fwb: bool, stage2: Stage2) -> None:
    entry = arm64_kvm.encode_stage2(0x7FFF0000, stage2, fwb)
    assert arm64_kvm.decode_stage2(entry, fwb) == (0x7FFF0000, stage2)
    assert entry >> 2 & 0xF == arm64_kvm.MEM_ATTR[fwb][stage2]


def test_without_fwb_as_stage_1_is_another_name_for_normal() -> None:
    assert arm64_kvm.decode_stage2(arm64_kvm.encode_stage2(0, Stage2.AS_S1, False), False) == (0, Stage2.NORMAL)
    assert arm64_kvm.combine(NORMAL_NC, Stage2.AS_S1, fwb=True) is NORMAL_NC


@pytest.mark.parametrize(
    ("stage1", "stage2", "result"),
    [
        (NORMAL_WB, Stage2.NORMAL, NORMAL_WB),
        (NORMAL_NC, Stage2.NORMAL, NORMAL_NC),
        (NGNRNE, Stage2.NORMAL, NGNRNE),
        (NORMAL_WB, Stage2.NORMAL_NC, NORMAL_NC),
        (NORMAL_WT, Stage2.NORMAL_NC, NORMAL_NC),
        (NORMAL_WB, Stage2.DEVICE_NGNRE, NGNRE),
        (NGNRNE, Stage2.DEVICE_NGNRE, NGNRNE),
        (GRE, Stage2.DEVICE_NGNRE, NGNRE),
    ],
)
def test_without_fwb_the_weaker_stage_wins(stage1: Effective, stage2: Stage2, result: Effective) -> None:
    assert arm64_kvm.combine(stage1, stage2, fwb=False) is result


@pytest.mark.parametrize(
    ("stage1", "stage2", "result"),
    [
        (NORMAL_WB, Stage2.NORMAL, NORMAL_WB),
        (NORMAL_NC, Stage2.NORMAL, NORMAL_WB),
        (NGNRNE, Stage2.NORMAL, NORMAL_WB),
        # the table in the kernel's commit that introduced MT_S2_FWB_NORMAL_NC
        (NORMAL_WB, Stage2.NORMAL_NC, NORMAL_NC),
        (NORMAL_WT, Stage2.NORMAL_NC, NORMAL_NC),
        (NORMAL_NC, Stage2.NORMAL_NC, NORMAL_NC),
        (GRE, Stage2.NORMAL_NC, GRE),
        (NORMAL_WB, Stage2.DEVICE_NGNRE, NGNRE),
        (NORMAL_NC, Stage2.DEVICE_NGNRE, NGNRE),
    ],
)
def test_with_fwb_stage_2_forces_its_type(stage1: Effective, stage2: Stage2, result: Effective) -> None:
    assert arm64_kvm.combine(stage1, stage2, fwb=True) is result


PFNMAP_RAM = HostVma(pfnmap=True)


@pytest.mark.parametrize(("fwb", "dic"), [(False, False), (False, True), (True, False)])
def test_memslot_over_a_cacheable_pfnmap_is_refused_without_fwb_and_dic(fwb: bool, dic: bool) -> None:
    with pytest.raises(OSError, match="Invalid") as refused:
        Arm64Guest(fwb, dic).check_memslot(PFNMAP_RAM)
    assert refused.value.errno == errno.EINVAL


def test_memslot_over_a_memfd_or_an_uncached_pfnmap_is_accepted() -> None:
    for vma in (HostVma(), HostVma(pfnmap=True, cacheable=False)):
        Arm64Guest().check_memslot(vma)
    Arm64Guest(fwb=True).check_memslot(PFNMAP_RAM)


def test_fault_on_cacheable_device_memory_is_efault_without_fwb() -> None:
    vma = HostVma(map_memory=False, pfnmap=True)
    with pytest.raises(OSError, match="Bad address") as refused:
        Arm64Guest().stage2(vma)
    assert refused.value.errno == errno.EFAULT
    assert Arm64Guest(fwb=True).stage2(vma) is Stage2.NORMAL


def test_fault_outside_the_linear_map_is_normal_in_a_vma_that_is_no_pfnmap() -> None:
    assert Arm64Guest().stage2(HostVma(map_memory=False, cacheable=False)) is Stage2.NORMAL


def test_fault_on_uncached_device_memory_is_device_unless_the_vma_allows_any() -> None:
    vma = HostVma(map_memory=False, pfnmap=True, cacheable=False)
    assert Arm64Guest().stage2(vma) is Stage2.DEVICE_NGNRE
    assert Arm64Guest().stage2(vma._replace(any_uncached=True)) is Stage2.NORMAL_NC


def test_write_combined_vram_becomes_device_memory_in_the_guest() -> None:
    derived = Arm64Guest().derive(Pgprot.WRITECOMBINE, backing=Backing.DEVICE)
    assert derived.effective is NGNRE
