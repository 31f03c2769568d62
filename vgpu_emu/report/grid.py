"""The table of all combinations, small enough to be read: what comes out alike is one row, or one column."""

from collections.abc import Sequence
from typing import NamedTuple

from vgpu_emu.attributes.alias_rules import Verdict
from vgpu_emu.attributes.derivation import Effective
from vgpu_emu.report.kinds import Chip, chip, effective_chip
from vgpu_emu.report.story import Combination, Outcome
from vgpu_emu.trace.words import map_info_words

#: a combination's verdict -> what it is here; every other word is something unknown
_OUTCOMES = {
    Verdict.ALLOWED.value: Outcome.AGREE,
    Verdict.TOLERATED.value: Outcome.TOLERATED,
    Verdict.MISMATCHED.value: Outcome.CONFLICT,
    "not mapped": Outcome.REFUSED,
}


class Teller(NamedTuple):
    """Who tells the guest what."""

    exporter: str
    dialect: str
    profile: str


class Place(NamedTuple):
    """Where the guest runs."""

    platform: str
    firmware: str | None
    bar: str | None


class Cell(NamedTuple):
    """What the guest's mapping becomes, and whether that goes well."""

    word: Chip
    outcome: Outcome


class Column(NamedTuple):
    """Variants of a platform on which everything comes out alike."""

    platform: str
    variants: list[str]


class Line(NamedTuple):
    """VMMs that tell the guest the same of an exporter's buffer. asked: by posting, their profiles."""

    exporter: str
    asked: list[str]
    told: str
    cells: list[Cell | None]


class Grid(NamedTuple):
    """outcomes: those that occur."""

    columns: list[Column]
    lines: list[Line]
    outcomes: list[Outcome]


def grid(combinations: Sequence[Combination]) -> Grid:
    """Exporters and VMMs downwards, platforms across, in the order in which they come."""
    table: dict[Teller, dict[Place, Cell]] = {}
    told: dict[Teller, str] = {}
    for row in combinations:
        teller = Teller(row.exporter, row.dialect, row.profile)
        table.setdefault(teller, {})[Place(row.platform, row.firmware, row.bar)] = _cell(row)
        told[teller] = _told(row)
    places = list(dict.fromkeys(place for cells in table.values() for place in cells))
    across: dict[tuple[str, tuple[Cell | None, ...]], list[Place]] = {}
    for place in places:
        down = tuple(cells.get(place) for cells in table.values())
        across.setdefault((place.platform, down), []).append(place)
    lines: dict[tuple[str, str, tuple[Cell | None, ...]], list[Teller]] = {}
    for teller, cells in table.items():
        seen = tuple(cells.get(alike[0]) for alike in across.values())
        lines.setdefault((teller.exporter, told[teller], seen), []).append(teller)
    met = {cell.outcome for cells in table.values() for cell in cells.values()}
    return Grid(
        [Column(platform, _variants(alike, places)) for (platform, _), alike in across.items()],
        [
            Line(exporter, _asked(alike, list(table)), says, list(seen))
            for (exporter, says, seen), alike in lines.items()
        ],
        [outcome for outcome in Outcome if outcome in met],
    )


def _cell(row: Combination) -> Cell:
    word = effective_chip(Effective(row.effective)) if row.effective is not None else chip("", None)
    return Cell(word, _OUTCOMES.get(row.verdict, Outcome.UNKNOWN))


def _told(row: Combination) -> str:
    if row.map_info is None:
        return "nothing: RESOURCE_MAP_BLOB fails"
    return f"map_info {row.map_info} ({map_info_words(row.map_info)}), so pgprot {row.pgprot}"


def _variants(alike: list[Place], places: list[Place]) -> list[str]:
    every = [place for place in places if place.platform == alike[0].platform]
    if len(every) > 1 and alike == every:
        return ["any firmware, any BAR"]
    words = []
    for firmware in dict.fromkeys(place.firmware for place in alike if place.firmware):
        bars = [place.bar for place in alike if place.firmware == firmware]
        of_firmware = [place.bar for place in every if place.firmware == firmware]
        whose = "any BAR" if bars == of_firmware and len(bars) > 1 else ", ".join(map(str, bars))
        words.append(f"{firmware}: {whose}")
    return words


def _asked(alike: list[Teller], tellers: list[Teller]) -> list[str]:
    every = [teller for teller in tellers if teller.exporter == alike[0].exporter]
    if len(every) > 1 and alike == every:
        return ["any"]
    asked = []
    for dialect in dict.fromkeys(teller.dialect for teller in alike):
        profiles = [teller.profile for teller in alike if teller.dialect == dialect]
        of_dialect = [teller.profile for teller in every if teller.dialect == dialect]
        whose = "any VMM" if profiles == of_dialect and len(profiles) > 1 else ", ".join(profiles)
        asked.append(f"{dialect}: {whose}")
    return asked
