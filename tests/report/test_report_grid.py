"""The table of all combinations: every one of them is in it once, where it belongs."""

from itertools import product

from report_kit import AMD

from vgpu_emu.attributes.alias_rules import verdict
from vgpu_emu.attributes.platform import Platform, platform, variants
from vgpu_emu.matrix import Row
from vgpu_emu.report.grid import Grid, grid
from vgpu_emu.report.page import html
from vgpu_emu.report.story import Outcome, Story
from vgpu_emu.vocabulary import HostAttribute, Pgprot

VMMS = list(product(("rfc1", "rfc3"), ("strict", "other")))


def combined(here: Platform, vmm: tuple[str, str], pgprot: Pgprot | None) -> Row:
    """A write-combined buffer; pgprot: None: the VMM maps nothing."""
    firmware = here.firmware.value if here.firmware else None
    bar = here.bar.value if here.bar else None
    dialect, profile = vmm
    if pgprot is None:
        return Row("wc", dialect, profile, here.name, firmware, bar, None, None, None, None, None, "not mapped")
    derived = here.derive(pgprot)
    judgement = verdict(here, HostAttribute.WC, derived.effective)
    assert judgement is not None
    return Row(
        exporter="wc",
        dialect=dialect,
        profile=profile,
        platform=here.name,
        firmware=firmware,
        bar=bar,
        map_info=3 if pgprot is Pgprot.WRITECOMBINE else 1,
        pgprot=pgprot.value,
        pte=derived.pte,
        memtype=derived.memtype,
        effective=derived.effective.value,
        verdict=judgement.verdict.value,
    )


def table(*names: str, last: Pgprot | None = Pgprot.WRITECOMBINE) -> Grid:
    """Every VMM says write-combined, but the last of all."""
    places = [here for name in names for here in variants(name)]
    return grid(
        [combined(here, vmm, last if vmm == VMMS[-1] else Pgprot.WRITECOMBINE) for vmm, here in product(VMMS, places)]
    )


def test_what_comes_out_alike_is_one_column_and_one_row() -> None:
    seen = table("intel", "amd", "arm64")
    assert [(column.platform, column.variants) for column in seen.columns] == [
        ("intel", ["any firmware, any BAR"]),
        ("amd", ["any firmware, any BAR"]),
        ("arm64", []),
    ]
    (line,) = seen.lines
    assert (line.exporter, line.asked) == ("wc", ["any"])
    assert [(cell.word.says, cell.outcome) for cell in line.cells if cell] == [
        ("WB", Outcome.CONFLICT),
        ("WC", Outcome.AGREE),
        ("Normal-NC", Outcome.AGREE),
    ]


def test_what_differs_is_told_apart_by_firmware_and_bar() -> None:
    seen = table("amd", last=Pgprot.CACHED)
    assert [column.variants for column in seen.columns] == [
        ["seabios: above-4g"],
        ["seabios: below-4g", "ovmf: any BAR"],
    ]
    assert [line.asked for line in seen.lines] == [["rfc1: any VMM", "rfc3: strict"], ["rfc3: other"]]
    assert [[cell.word.says for cell in line.cells if cell] for line in seen.lines] == [["WC", "WC"], ["WB", "UC"]]
    assert [[cell.outcome for cell in line.cells if cell] for line in seen.lines][1] == [
        Outcome.CONFLICT,
        Outcome.AGREE,
    ]


def test_a_blob_that_is_not_mapped_has_no_type() -> None:
    line = table("amd", last=None).lines[1]
    assert "fails" in line.told
    assert {(cell.word.says, cell.outcome) for cell in line.cells if cell} == {("", Outcome.REFUSED)}


def test_one_platform_alone_keeps_its_name() -> None:
    (column,) = grid([combined(AMD, VMMS[0], Pgprot.CACHED)]).columns
    assert (column.platform, column.variants) == ("amd", ["seabios: above-4g"])


def test_a_combination_that_is_not_there_leaves_a_hole() -> None:
    arm64 = platform("arm64")
    rows = [combined(AMD, VMMS[0], Pgprot.CACHED), combined(arm64, VMMS[1], Pgprot.CACHED)]
    assert [[cell is None for cell in line.cells] for line in grid(rows).lines] == [[False, True], [True, False]]


def test_the_page_has_the_table_and_every_combination() -> None:
    rows = [combined(here, vmm, Pgprot.CACHED) for here in variants("amd") for vmm in VMMS]
    text = html(Story(title="", lede="", matrix=rows))
    assert f"All {len(rows)} combinations" in text
    assert text.count("<td>amd</td>") == len(rows)
    for row in rows:
        assert row.pte is not None
        assert f"<td>{row.pte:#018x}</td>" in text
