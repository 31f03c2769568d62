"""The alias checker: which pairs it reports, whom it names, and that its index finds what a plain search finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgpu_emu.attributes.alias_rules import FAMILIES, Verdict, judge, rulebook, verdict
from vgpu_emu.attributes.aliases import SCAN, AliasChecker, Conflict, Mapping, Role
from vgpu_emu.attributes.derivation import Effective, Kind
from vgpu_emu.attributes.platform import PLATFORMS, platform
from vgpu_emu.vocabulary import HostAttribute, Pgprot

WB, WC, UC, DMA, SNOOPED = Effective.WB, Effective.WC, Effective.UC, Effective.DMA, Effective.DMA_SNOOPED
ALLOWED, TOLERATED, MISMATCHED = Verdict.ALLOWED, Verdict.TOLERATED, Verdict.MISMATCHED


def mapping(
    effective: Effective, offset: int = 0, length: int = 4096, role: Role = Role.VMM, step: str = "1"
) -> Mapping:
    return Mapping("blob 5", offset, length, effective, role, "crosvm", step)


@pytest.mark.parametrize(
    ("first", "second", "self_snoop", "verdict"),
    [
        (WB, WB, False, ALLOWED),
        (WB, WC, False, MISMATCHED),
        (WB, UC, False, TOLERATED),
        (WB, WC, True, TOLERATED),
        (WB, Effective.WT, False, TOLERATED),
        (WC, UC, False, ALLOWED),
        (DMA, WB, True, MISMATCHED),
        (DMA, WC, False, ALLOWED),
        (SNOOPED, WB, False, ALLOWED),
        (SNOOPED, DMA, False, ALLOWED),
        (Effective.NORMAL_WB, Effective.NORMAL_NC, False, MISMATCHED),
        (Effective.NORMAL_WB, Effective.NORMAL_WT, False, MISMATCHED),
        (Effective.NORMAL_WB, Effective.DEVICE_NGNRNE, False, MISMATCHED),
        (Effective.NORMAL_NC, Effective.DEVICE_NGNRNE, False, TOLERATED),
        (Effective.DEVICE_NGNRE, Effective.DEVICE_NGNRNE, False, ALLOWED),
        (Effective.PMA, Effective.NC, False, MISMATCHED),
        (Effective.PMA, Effective.IO, False, MISMATCHED),
        (Effective.NC, Effective.IO, False, TOLERATED),
    ],
)
def test_pair_is_judged_by_its_architectures_rule(
    first: Effective, second: Effective, self_snoop: bool, verdict: Verdict
) -> None:
    assert judge(first, second, self_snoop).verdict is verdict
    assert judge(second, first, self_snoop) == judge(first, second, self_snoop)


def test_types_of_two_architectures_are_no_pair() -> None:
    with pytest.raises(ValueError, match="two architectures"):
        judge(WB, Effective.NORMAL_NC)


@pytest.mark.parametrize("name", PLATFORMS)
def test_every_type_a_platform_derives_is_in_its_rulebook(name: str) -> None:
    book = rulebook(platform(name))
    assert {platform(name).derive(pgprot).effective for pgprot in Pgprot} <= set(book)
    assert set(book) == FAMILIES[platform(name).model.family] | {DMA, SNOOPED}
    assert all(set(row) == set(book) for row in book.values())


@pytest.mark.parametrize("name", PLATFORMS)
def test_cached_beside_uncached_is_never_simply_allowed(name: str) -> None:
    for one, row in rulebook(platform(name)).items():
        for other, judgement in row.items():
            if {one.kind, other.kind} in ({Kind.CACHED, Kind.COMBINING}, {Kind.CACHED, Kind.UNCACHED}):
                assert judgement.verdict is not ALLOWED


#: WC, CACHED, UNCACHED in the guest over a buffer the exporter maps write-combined, and over a cached one
VERDICTS = {
    "intel": ("MISMATCHED", "MISMATCHED", "MISMATCHED", "ALLOWED", "ALLOWED", "ALLOWED"),
    "intel-guest-pat": ("ALLOWED", "MISMATCHED", "ALLOWED", "TOLERATED", "ALLOWED", "TOLERATED"),
    "amd": ("ALLOWED", "MISMATCHED", "ALLOWED", "MISMATCHED", "ALLOWED", "TOLERATED"),
    "arm64": ("ALLOWED", "MISMATCHED", "TOLERATED", "MISMATCHED", "ALLOWED", "MISMATCHED"),
    "arm64-fwb": ("MISMATCHED", "MISMATCHED", "MISMATCHED", "ALLOWED", "ALLOWED", "ALLOWED"),
    "riscv-svpbmt": ("ALLOWED", "MISMATCHED", "TOLERATED", "MISMATCHED", "ALLOWED", "MISMATCHED"),
    "riscv": ("MISMATCHED", "MISMATCHED", "MISMATCHED", "ALLOWED", "ALLOWED", "ALLOWED"),
}


@pytest.mark.parametrize("name", PLATFORMS)
def test_verdict_is_the_worse_of_the_guest_with_the_exporter_and_with_its_gpu(name: str) -> None:
    here, seen = platform(name), []
    for host in (HostAttribute.WC, HostAttribute.CACHED):
        for pgprot in (Pgprot.WRITECOMBINE, Pgprot.CACHED, Pgprot.NONCACHED):
            judgement = verdict(here, host, here.derive(pgprot).effective)
            assert judgement is not None
            seen.append(judgement.verdict.name)
    assert tuple(seen) == VERDICTS[name]
    assert verdict(here, HostAttribute.UNKNOWN, here.derive(Pgprot.CACHED).effective) is None


def test_report_names_both_mappings_who_made_them_and_the_step_that_made_the_conflict() -> None:
    checker = AliasChecker(platform("amd"))
    exporter = Mapping("blob 5", 0, 8192, WC, Role.EXPORTER, "amdgpu", "2: export")
    guest = Mapping("blob 5", 4096, 8192, WB, Role.GUEST_USER, "game", "7: mmap")
    assert checker.map(exporter) == []
    (conflict,) = checker.map(guest)
    assert conflict == Conflict(exporter, guest, 4096, 4096, MISMATCHED, judge(WC, WB).rule)
    assert conflict.step == "7: mmap"
    for word in ("mismatched", "blob 5 0x1000+0x1000", "exporter amdgpu (WC, step 2: export)", "game", "SDM vol 3"):
        assert word in str(conflict)


@pytest.mark.parametrize(
    ("offset", "length", "hit"),
    [(0, 4096, False), (0, 4097, True), (8191, 1, True), (8192, 1, False), (4096, 4096, True), (0, 1 << 40, True)],
)
def test_only_bytes_in_common_conflict(offset: int, length: int, hit: bool) -> None:
    checker = AliasChecker(platform("amd"))
    checker.map(mapping(WC, 4096, 4096))
    assert bool(checker.map(mapping(WB, offset, length))) == hit


def test_unmapped_conflicts_with_nothing() -> None:
    checker = AliasChecker(platform("amd"))
    gone, stays = mapping(WC), mapping(WC, 8192)
    checker.map(gone)
    checker.map(stays)
    checker.unmap(gone)
    assert checker.map(mapping(WB)) == []
    assert len(checker) == 2
    assert checker.mappings("blob 5", 8192, 1) == [stays]
    assert checker.mappings("blob 6") == []


def test_other_buffer_is_other_memory() -> None:
    checker = AliasChecker(platform("amd"))
    checker.map(mapping(WC))
    assert checker.map(Mapping("blob 6", 0, 4096, WB, Role.VMM, "crosvm", "2")) == []


def test_exporter_and_its_own_gpu_are_no_pair_but_the_gpu_and_a_guest_are() -> None:
    checker = AliasChecker(platform("intel"))
    checker.map(mapping(WB, role=Role.EXPORTER))
    gpu = mapping(DMA, role=Role.GPU)
    assert checker.map(gpu) == []
    (conflict,) = checker.map(mapping(WB, role=Role.GUEST_USER))
    assert (conflict.first, conflict.verdict) == (gpu, MISMATCHED)


@pytest.mark.parametrize(
    "wrong",
    [mapping(WB, 0, 0), mapping(WB, 0, -1), mapping(WB, -1, 4096), mapping(Effective.NORMAL_WB), mapping(Effective.NC)],
)
def test_mapping_that_cannot_be_is_refused_and_leaves_nothing(wrong: Mapping) -> None:
    checker = AliasChecker(platform("amd"))
    with pytest.raises(ValueError, match=r"no bytes|no type"):
        checker.map(wrong)
    assert len(checker) == 0


def test_mapping_lives_once() -> None:
    checker = AliasChecker(platform("amd"))
    one = mapping(WB)
    checker.map(one)
    with pytest.raises(ValueError, match="lives already"):
        checker.map(one)
    checker.map(mapping(WB))
    checker.unmap(one)
    with pytest.raises(KeyError):
        checker.unmap(one)
    assert len(checker) == 1


@pytest.mark.parametrize("name", ["intel", "arm64-fwb"])
def test_right_map_info_still_mismatches_where_the_guests_wish_is_ignored(name: str) -> None:
    here = platform(name)
    views = here.host_views(HostAttribute.WC)
    assert views is not None
    checker = AliasChecker(here)
    checker.map(mapping(views[0], role=Role.EXPORTER))
    checker.map(mapping(views[1], role=Role.GPU))
    guest = here.derive(Pgprot.WRITECOMBINE).effective
    assert MISMATCHED in {conflict.verdict for conflict in checker.map(mapping(guest, role=Role.GUEST_USER))}


@pytest.mark.parametrize("name", ["amd", "intel-guest-pat", "arm64", "riscv-svpbmt"])
def test_right_map_info_is_allowed_where_the_guests_wish_counts(name: str) -> None:
    here = platform(name)
    views = here.host_views(HostAttribute.WC)
    assert views is not None
    checker = AliasChecker(here)
    checker.map(mapping(views[0], role=Role.EXPORTER))
    checker.map(mapping(views[1], role=Role.GPU))
    assert checker.map(mapping(here.derive(Pgprot.WRITECOMBINE).effective, role=Role.GUEST_USER)) == []


@pytest.mark.parametrize("live", [SCAN - 1, SCAN, SCAN + 1, 4 * SCAN])
def test_index_and_scan_find_the_same(live: int) -> None:
    checker = AliasChecker(platform("amd"))
    many = [mapping(WC, 4096 * i, 4096) for i in range(live)]
    for one in many:
        checker.map(one)
    wide = mapping(WC, 0, 4096 * live)
    checker.map(wide)
    found = checker.map(mapping(WB, 4096 * 7, 8192))
    assert [conflict.first for conflict in found if conflict.first is not wide] == many[7:9]
    checker.unmap(many[7])
    assert [conflict.first for conflict in checker.map(mapping(WB, 4096 * 7, 4096))] == [wide]


ranges = st.tuples(st.integers(0, 60), st.integers(1, 40), st.sampled_from([WB, WC, UC, DMA]), st.booleans())


@given(st.lists(ranges, max_size=120))
def test_checker_finds_exactly_what_a_search_of_all_pairs_finds(
    program: list[tuple[int, int, Effective, bool]],
) -> None:
    checker, live = AliasChecker(platform("amd")), list[Mapping]()
    for offset, length, effective, unmaps in program:
        new = mapping(effective, offset, length)
        expected = {
            (old, max(old.offset, offset), min(old.end, new.end))
            for old in live
            if old.offset < new.end and offset < old.end and judge(old.effective, effective).verdict is not ALLOWED
        }
        found = checker.map(new)
        assert {(c.first, c.offset, c.offset + c.length) for c in found} == expected
        assert len(found) == len(expected)
        live.append(new)
        if unmaps:
            checker.unmap(live.pop(len(live) // 2))
    assert checker.mappings("blob 5") == live
    assert len(checker) == len(live)
