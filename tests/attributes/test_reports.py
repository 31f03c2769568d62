"""Four public bug reports: the fault shows, what did not help does not help, what helped helps."""

import pytest

from vgpu_emu.attributes.reports import DOSEMU2, EDK2, REPORTS, SOGEN, WAYLAND_PROXY, Case
from vgpu_emu.attributes.walkthrough import Weather

CASES = [(report, case) for report in REPORTS for case in report.cases]
names = [f"{report.reference}: {case.title}" for report, case in CASES]


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=names)
def test_case_reads_as_the_report_says(case: Case) -> None:
    assert (case.run().damage == []) == case.right


@pytest.mark.parametrize("case", [case for _, case in CASES if case.right and "scribble" not in case.program.__name__])
def test_fix_holds_in_any_weather(case: Case) -> None:
    assert not any(case.run(Weather(seed)).damage for seed in range(20))


@pytest.mark.parametrize("case", [case for _, case in CASES if not case.right])
def test_fault_comes_and_goes_with_the_weather(case: Case) -> None:
    frames = {tuple(damage.step for damage in case.run(Weather(seed)).damage) for seed in range(20)}
    assert len(frames) > 1


def test_every_report_has_its_reference_and_shows_a_difference() -> None:
    assert [report.reference for report in REPORTS] == [
        "momo5502/sogen#1097",
        "tianocore/edk2#13129",
        "dosemu2/dosemu2#2813",
        "talex5/wayland-proxy-virtwl#33",
    ]
    for report in REPORTS:
        assert len({(case.right, case.run().system.transfers) for case in report.cases}) > 1


def test_sogen_bytes_sit_in_the_guests_cache() -> None:
    damage = SOGEN.cases[0].run().damage
    assert {(each.who, each.kind, each.where) for each in damage} == {("gpu", "stale", ("guest",))}


def test_edk2_is_slow_not_wrong_and_not_on_default_intel() -> None:
    cost = [case.run().system.transfers for case in EDK2.cases]
    ovmf, seabios, low, intel = cost
    assert ovmf == low
    assert seabios == intel
    assert ovmf > 5 * seabios
    assert [case.derive().memtype for case in EDK2.cases] == [
        "uncached-minus",
        "write-back",
        "uncached-minus",
        "uncached-minus",
    ]


def test_dosemu2_uncached_page_is_cached_by_default_on_intel_only() -> None:
    assert [case.derive().effective.value for case in DOSEMU2.cases] == ["WB", "UC", "WB", "UC"]
    assert any("ignore PAT" in layer.says for layer in DOSEMU2.cases[0].derive().layers)


def test_wayland_proxy_sync_changes_nothing_without_an_exporter_that_maintains() -> None:
    without, sync, flush, _, maintained = (case.run() for case in WAYLAND_PROXY.cases)
    assert [each.got for each in sync.damage] == [each.got for each in without.damage]
    assert flush.damage == maintained.damage == []
    assert any("waits for fences only" in entry.action for entry in sync.log)
