"""Remedies: each was tried, those that help help in any weather, and what goes wrong is what the rules say."""

from itertools import product

import pytest

from vgpu_emu.attributes.alias_rules import Verdict, verdict
from vgpu_emu.attributes.derivation import Kind
from vgpu_emu.attributes.mtrr import Bar, Firmware
from vgpu_emu.attributes.platform import PLATFORMS, Platform, platform, variants
from vgpu_emu.attributes.remedies import BY_GPU, BY_GUEST, BY_HOST, Remedy, Setting, Upkeep, remedies
from vgpu_emu.attributes.walkthrough import Weather
from vgpu_emu.vocabulary import HostAttribute, Pgprot

WC, CACHED, INCOHERENT = HostAttribute.WC, HostAttribute.CACHED, HostAttribute.INCOHERENT
EVERYWHERE = [here for name in PLATFORMS for here in variants(name)]
SETTINGS = [Setting(*parts) for parts in product(EVERYWHERE, (WC, CACHED, INCOHERENT), Pgprot)]


def is_mismatched(setting: Setting) -> bool:
    judgement = verdict(setting.platform, setting.host, setting.platform.derive(setting.pgprot).effective)
    return judgement is not None and judgement.verdict is Verdict.MISMATCHED


def test_bytes_go_wrong_exactly_where_the_rules_call_it_a_mismatch() -> None:
    """But for an INCOHERENT buffer that the guest does not cache: there the exporter's flushes are all it takes."""
    for setting in SETTINGS:
        guest = setting.platform.derive(setting.pgprot).effective.kind
        spared = setting.host is INCOHERENT and guest is not Kind.CACHED
        assert bool(setting.run().damage) == (is_mismatched(setting) and not spared), setting


def proposed(*names: str) -> set[Remedy]:
    settings = [setting for setting in SETTINGS if setting.platform.name in names]
    return {remedy for each in settings for remedy in remedies(each.platform, each.host, each.pgprot)}


@pytest.mark.parametrize("name", PLATFORMS)
def test_remedy_that_helps_helps_in_any_weather(name: str) -> None:
    helping = {remedy.setting for remedy in proposed(name) if remedy.helps}
    assert helping
    for setting in helping:
        assert not any(setting.run(Weather(seed)).damage for seed in range(8)), setting


def test_what_is_right_without_weather_is_right_in_any() -> None:
    for setting in SETTINGS:
        if not setting.run().damage:
            assert not any(setting.run(Weather(seed)).damage for seed in range(4)), setting


@pytest.mark.parametrize("name", PLATFORMS)
def test_remedy_that_does_not_help_leaves_it_broken_or_slow(name: str) -> None:
    for setting in SETTINGS:
        if setting.platform.name == name:
            before = setting.run()
            for remedy in remedies(setting.platform, setting.host, setting.pgprot):
                after = remedy.setting.run()
                same = bool(after.damage) or after.system.transfers >= before.system.transfers
                assert remedy.helps == (not after.damage if before.damage else not same), remedy


def test_where_all_is_right_and_fast_nothing_is_proposed() -> None:
    for name in ("intel", "amd", "arm64", "arm64-fwb", "riscv"):
        assert remedies(platform(name), CACHED, Pgprot.CACHED) == []
    assert remedies(platform("amd"), WC, Pgprot.WRITECOMBINE) == []


def test_exporter_that_does_not_tell_has_no_remedy() -> None:
    assert remedies(platform("amd"), HostAttribute.UNKNOWN, Pgprot.CACHED) == []


def helping(here: Platform, host: HostAttribute, pgprot: Pgprot) -> tuple[set[str], set[str]]:
    """First words of what helps, and of what does not."""
    told = remedies(here, host, pgprot)
    first = [{remedy.says.split()[0] for remedy in told if remedy.helps is helps} for helps in (True, False)]
    assert [remedy.helps for remedy in told] == sorted((remedy.helps for remedy in told), reverse=True)
    return first[0], first[1]


@pytest.mark.parametrize(
    ("name", "pgprot", "helps", "does_not"),
    [
        ("amd", Pgprot.CACHED, {"Answer", "Flush", "Let"}, {"Use"}),
        ("intel", Pgprot.CACHED, {"Disable", "Flush", "Let"}, {"Answer", "Use"}),
        ("intel", Pgprot.WRITECOMBINE, {"Disable", "Flush", "Let"}, {"Use"}),
        ("intel-guest-pat", Pgprot.CACHED, {"Answer", "Flush", "Let"}, {"Use"}),
        ("arm64", Pgprot.CACHED, {"Answer", "Flush", "Let"}, {"Use"}),
        ("arm64-fwb", Pgprot.WRITECOMBINE, {"Flush", "Let"}, {"Use"}),
        ("riscv", Pgprot.WRITECOMBINE, {"Flush", "Let"}, {"Use"}),
    ],
)
def test_write_combined_buffer_is_mended_by_map_info_only_where_the_guests_wish_counts(
    name: str, pgprot: Pgprot, helps: set[str], does_not: set[str]
) -> None:
    assert helping(platform(name), WC, pgprot) == (helps, does_not)


@pytest.mark.parametrize("name", ["amd", "intel-guest-pat"])
def test_uncached_bar_is_slow_and_the_firmware_can_mend_it(name: str) -> None:
    for here in variants(name):
        slow = (here.firmware, here.bar) != (Firmware.SEABIOS, Bar.ABOVE_4G)
        assert helping(here, CACHED, Pgprot.CACHED) == ({"Let"} if slow else set(), set())
        assert Setting(here, CACHED, Pgprot.CACHED).run().damage == []


def test_default_intel_is_not_slowed_by_the_firmware() -> None:
    assert remedies(platform("intel", firmware=Firmware.OVMF), CACHED, Pgprot.CACHED) == []


def test_what_is_read_wrong_is_what_somebody_else_wrote() -> None:
    gpu, guest = Setting(platform("amd"), WC, Pgprot.CACHED).run().damage
    assert (gpu.who, gpu.got, gpu.expected, gpu.where) == ("gpu", BY_HOST, BY_GUEST, ("guest",))
    assert (guest.who, guest.got, guest.expected, guest.where) == ("guest", BY_GUEST, BY_GPU, ("memory",))


def test_uncached_alias_of_a_cached_buffer_loses_what_the_exporters_cache_overwrites() -> None:
    damage = Setting(platform("arm64"), CACHED, Pgprot.WRITECOMBINE).run().damage
    assert "lost" in {each.kind for each in damage}


@pytest.mark.parametrize("upkeep", Upkeep)
def test_upkeep_is_in_the_log(upkeep: Upkeep) -> None:
    log = " ".join(entry.action for entry in Setting(platform("amd"), WC, Pgprot.CACHED, upkeep).run().log)
    assert ("DMA_BUF_IOCTL_SYNC" in log) == (upkeep is Upkeep.SYNC)
    assert ("flushes" in log) == (upkeep is Upkeep.FLUSH)
