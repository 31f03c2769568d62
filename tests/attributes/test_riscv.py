"""riscv: memory types in page table entries, in three spellings."""

import pytest

from vgpu_emu.attributes import riscv
from vgpu_emu.attributes.derivation import Effective
from vgpu_emu.attributes.riscv import Encoding, Pbmt, RiscvGuest
from vgpu_emu.vocabulary import HostAttribute, Pgprot


@pytest.mark.parametrize("encoding", [Encoding.SVPBMT, Encoding.THEAD])
@pytest.mark.parametrize("pbmt", Pbmt)
def test_leaf_decodes_to_what_was_encoded(encoding: Encoding, pbmt: Pbmt) -> None:
    pte = riscv.decode_pte(riscv.encode_pte(0x400001000, pbmt, encoding), encoding)
    assert pte == (0x400001000, pbmt, riscv.USER_MAPPING)


def test_leaf_of_a_user_mapping_is_the_value_the_headers_give() -> None:
    # V, R, W, U, A, first software bit (special), NC
    assert riscv.encode_pte(0x400001000, Pbmt.NC, Encoding.SVPBMT) == 0x2000_0001_0000_0557


def test_svpbmt_is_bits_62_and_61_as_a_number() -> None:
    assert {pbmt: riscv.encode_pte(0, pbmt, Encoding.SVPBMT) >> 61 for pbmt in Pbmt} == {p: p.value for p in Pbmt}


def test_thead_bits_are_those_of_the_kernel() -> None:
    # pgtable-64.h: 01110 PMA, 00110 NC, 10010 IO in bits 63:59
    assert {pbmt: riscv.encode_pte(0, pbmt, Encoding.THEAD) >> 59 for pbmt in Pbmt} == {
        Pbmt.PMA: 0b01110,
        Pbmt.NC: 0b00110,
        Pbmt.IO: 0b10010,
    }


def test_core_without_memory_types_drops_the_request() -> None:
    assert riscv.encode_pte(0, Pbmt.IO, Encoding.NONE) == riscv.encode_pte(0, Pbmt.PMA, Encoding.NONE)


@pytest.mark.parametrize(("entry", "encoding"), [(3 << 61, Encoding.SVPBMT), (1 << 59, Encoding.THEAD)])
def test_reserved_type_is_refused(entry: int, encoding: Encoding) -> None:
    with pytest.raises(ValueError, match="reserved"):
        riscv.decode_pte(entry, encoding)


@pytest.mark.parametrize("physical", [1, 4095, 1 << 56, -4096])
def test_leaf_that_cannot_be_is_refused(physical: int) -> None:
    with pytest.raises(ValueError, match="page"):
        riscv.encode_pte(physical, Pbmt.PMA, Encoding.SVPBMT)


def test_last_frame_can_be_encoded() -> None:
    last = (1 << 56) - 4096
    assert riscv.decode_pte(riscv.encode_pte(last, Pbmt.IO, Encoding.SVPBMT), Encoding.SVPBMT).physical == last


def test_guest_type_overrides_the_g_stage_unless_it_is_pma() -> None:
    assert [[riscv.combine(guest, g).value for g in Pbmt] for guest in Pbmt] == [
        ["PMA", "NC", "IO"],
        ["NC", "NC", "NC"],
        ["IO", "IO", "IO"],
    ]


def test_thead_guest_maps_a_write_combined_buffer_uncached() -> None:
    assert RiscvGuest(Encoding.THEAD).derive(Pgprot.WRITECOMBINE).effective is Effective.NC


def test_host_without_memory_types_cannot_map_write_combined_either() -> None:
    assert RiscvGuest(Encoding.NONE).host_views(HostAttribute.WC) == (Effective.PMA, Effective.DMA)
    assert RiscvGuest(Encoding.SVPBMT).host_views(HostAttribute.WC) == (Effective.NC, Effective.DMA)
