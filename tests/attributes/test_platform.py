"""Platforms by name: what real kernels listed, and the table of effective types, come out of the derivation."""

import errno

import pytest

from vgpu_emu.attributes import x86
from vgpu_emu.attributes.derivation import Backing, Effective, Kind
from vgpu_emu.attributes.mtrr import Bar, Firmware
from vgpu_emu.attributes.platform import PLATFORMS, platform, variants
from vgpu_emu.vocabulary import HostAttribute, Pgprot, pgprot_from_map_info
from vgpu_wire.blob import MapCache

NAMES = ("intel", "intel-guest-pat", "amd", "arm64", "arm64-fwb", "riscv-svpbmt", "riscv")
X86 = ("intel", "intel-guest-pat", "amd")

#: NONE and CACHED, WC, UNCACHED, where the guest MTRR over the BAR is WB
EFFECTIVE = {
    "intel": ("WB", "WB", "WB"),
    "intel-guest-pat": ("WB", "WC", "UC"),
    "amd": ("WB", "WC", "UC"),
    "arm64": ("Normal-WB", "Normal-NC", "Device-nGnRnE"),
    "arm64-fwb": ("Normal-WB", "Normal-WB", "Normal-WB"),
    "riscv-svpbmt": ("PMA", "NC", "IO"),
    "riscv": ("PMA", "PMA", "PMA"),
}

#: /sys/kernel/debug/x86/pat_memtype_list of Linux 7.2.12 in QEMU with SeaBIOS, for NONE, CACHED, UNCACHED, WC
LISTED = {
    Bar.ABOVE_4G: ("write-back", "write-back", "uncached-minus", "write-combining"),
    Bar.BELOW_4G: ("uncached-minus", "uncached-minus", "uncached-minus", "write-combining"),
}


def test_every_platform_has_its_name() -> None:
    assert PLATFORMS == NAMES
    assert [platform(name).name for name in NAMES] == list(NAMES)


@pytest.mark.parametrize("name", X86)
@pytest.mark.parametrize("bar", Bar)
def test_memtype_is_what_a_real_kernel_listed(name: str, bar: Bar) -> None:
    derive = platform(name, firmware=Firmware.SEABIOS, bar=bar).derive
    order = (MapCache.NONE, MapCache.CACHED, MapCache.UNCACHED, MapCache.WC)
    assert tuple(derive(pgprot_from_map_info(value.value)).memtype for value in order) == LISTED[bar]


@pytest.mark.parametrize("name", NAMES)
def test_effective_type_is_that_of_the_table(name: str) -> None:
    order = (Pgprot.CACHED, Pgprot.WRITECOMBINE, Pgprot.NONCACHED)
    assert tuple(platform(name).derive(pgprot).effective.value for pgprot in order) == EFFECTIVE[name]


@pytest.mark.parametrize(
    ("firmware", "bar"),
    [(Firmware.SEABIOS, Bar.BELOW_4G), (Firmware.OVMF, Bar.ABOVE_4G), (Firmware.OVMF, Bar.BELOW_4G)],
)
def test_uncached_bar_makes_cached_blobs_uncached_except_where_the_guest_pat_is_ignored(
    firmware: Firmware, bar: Bar
) -> None:
    seen = {name: platform(name, firmware=firmware, bar=bar).derive(Pgprot.CACHED) for name in X86}
    assert {name: derived.effective.value for name, derived in seen.items()} == {
        "intel": "WB",
        "intel-guest-pat": "UC",
        "amd": "UC",
    }
    assert {derived.memtype for derived in seen.values()} == {"uncached-minus"}


@pytest.mark.parametrize("name", X86)
def test_write_combining_survives_every_firmware(name: str) -> None:
    listed = {variant.derive(Pgprot.WRITECOMBINE).memtype for variant in variants(name)}
    assert listed == {"write-combining"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pgprot", Pgprot)
def test_layers_lead_from_the_page_protection_to_the_effective_type(name: str, pgprot: Pgprot) -> None:
    derived = platform(name).derive(pgprot)
    assert derived.layers[0].says.startswith(pgprot.value)
    assert derived.layers[-1].says == derived.effective.value
    assert all(layer.name and layer.says and layer.source for layer in derived.layers)
    assert any(f"{derived.pte:#018x}" in layer.says for layer in derived.layers)


def test_entry_carries_the_address_it_was_asked_for() -> None:
    assert x86.decode_pte(platform("amd").derive(Pgprot.CACHED, gpa=0x812345000).pte).physical == 0x812345000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gpa", [1, 4095, 1 << 56, -4096])
def test_address_that_is_no_page_is_refused(name: str, gpa: int) -> None:
    with pytest.raises(ValueError, match="no address of a 4096 byte page"):
        platform(name).derive(Pgprot.CACHED, gpa=gpa)


def test_firmware_and_bar_are_null_where_they_do_not_matter() -> None:
    for name in set(NAMES) - set(X86):
        (only,) = variants(name)
        assert (only.firmware, only.bar) == (None, None)
        assert platform(name, firmware=Firmware.OVMF, bar=Bar.BELOW_4G) == only
    assert {(v.firmware, v.bar) for v in variants("amd")} == {(f, b) for f in Firmware for b in Bar}


def test_unknown_platform_is_named_together_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'sparc'; there are intel, .*riscv"):
        platform("sparc")


@pytest.mark.parametrize("size", [4096, 16384, 65536])
def test_arm64_has_three_page_sizes(size: int) -> None:
    assert platform("arm64", host_page=size, guest_page=size).derive(Pgprot.CACHED).effective is Effective.NORMAL_WB


@pytest.mark.parametrize(("name", "size"), [("amd", 16384), ("riscv", 65536), ("arm64", 8192), ("intel", 2 << 20)])
def test_page_size_an_architecture_has_not_is_refused(name: str, size: int) -> None:
    with pytest.raises(ValueError, match="no pages of"):
        platform(name, guest_page=size)
    with pytest.raises(ValueError, match="no pages of"):
        platform(name, host_page=size)


def test_guest_with_smaller_pages_than_the_host_asks_for_places_the_host_cannot_map() -> None:
    mixed = platform("arm64", host_page=16384, guest_page=4096)
    mixed.check_blob(16384, 16384)
    for offset, length in ((4096, 16384), (16384, 4096), (0, 0)):
        with pytest.raises(OSError, match="Invalid") as refused:
            mixed.check_blob(offset, length)
        assert refused.value.errno == errno.EINVAL


@pytest.mark.parametrize("name", NAMES)
def test_exporter_that_does_not_tell_has_no_views(name: str) -> None:
    assert platform(name).host_views(HostAttribute.UNKNOWN) is None


@pytest.mark.parametrize("name", NAMES)
def test_gpu_snoops_only_behind_a_cached_buffer(name: str) -> None:
    kinds = {}
    for attribute in (HostAttribute.WC, HostAttribute.CACHED, HostAttribute.INCOHERENT):
        views = platform(name).host_views(attribute)
        assert views is not None
        kinds[attribute] = views[1].kind
    assert kinds == {
        HostAttribute.WC: Kind.BYPASSING,
        HostAttribute.CACHED: Kind.SNOOPING,
        HostAttribute.INCOHERENT: Kind.BYPASSING,
    }


def test_vram_behind_a_pci_bar_is_never_cached_on_x86() -> None:
    for name in X86:
        kinds = {platform(name).derive(pgprot, backing=Backing.DEVICE).effective.kind for pgprot in Pgprot}
        assert kinds == {Kind.UNCACHED, Kind.COMBINING}
