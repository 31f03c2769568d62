"""The matrix for people: a table for each thing that a guest can be told of a buffer, a line for each platform."""

from collections.abc import Collection, Iterable
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vgpu_emu.matrix import NOT_MAPPED, Row
from vgpu_emu.trace.words import map_info_words

STYLES = {"allowed": "green", "tolerated": "yellow", "mismatched": "bold red", "unknown": "yellow"}
#: platform, firmware and BAR, memtype, effective type, verdict
_Line = tuple[str, str, str, str, str]
_COLUMNS = ("platform", "firmware, BAR", "memtype", "effective", "verdict")
_LEGEND = (
    "memtype: as the guest's kernel lists it. effective: what the hardware does. verdict: of the guest's mapping "
    "beside the exporter's own and its GPU's; why, and what to do: vgpu-emu explain cache --exporter NAME "
    "--platform NAME"
)
#: posting and VMM
_Teller = tuple[str, str]


def show(rows: list[Row], console: Console) -> None:
    everybody = list(dict.fromkeys((row.dialect, row.profile) for row in rows))
    fates: dict[tuple[_Line, ...], dict[tuple[str, str], list[str]]] = {}
    for (exporter, map_info), group in _by_answer(rows).items():
        told = list(dict.fromkeys((row.dialect, row.profile) for row in group))
        lines = tuple(_lines(row for row in group if (row.dialect, row.profile) == told[0]))
        answer = "nothing mapped" if map_info is None else f"map_info {map_info} ({map_info_words(map_info)})"
        fates.setdefault(lines, {}).setdefault((answer, _who(told, everybody)), []).append(exporter)
    widths = [max(len(line[column]) for lines in fates for line in lines) for column in range(len(_COLUMNS))]
    if sum(widths) + len(widths) > console.width:
        widths = [0] * len(widths)
    for lines, answers in fates.items():
        for (answer, who), exporters in answers.items():
            console.print(Text.assemble((f"exporter {', '.join(exporters)}: {answer}", "bold"), (f"  {who}", "dim")))
        if lines[0][-1] != NOT_MAPPED:
            console.print(_table(lines, widths))
        console.print()
    console.print(_LEGEND)


def _by_answer(rows: list[Row]) -> dict[tuple[str, int | None], list[Row]]:
    answers: dict[tuple[str, int | None], list[Row]] = {}
    for row in rows:
        answers.setdefault((row.exporter, row.map_info), []).append(row)
    # what is mapped comes first
    return dict(sorted(answers.items(), key=lambda item: item[0][1] is None))


def _who(told: Collection[_Teller], everybody: Collection[_Teller]) -> str:
    """``every posting, every VMM``, or ``rfc1: strict, crosvm; rfc3: every VMM``. A few are named instead."""
    dialects, vmms = (list(dict.fromkeys(names)) for names in zip(*everybody, strict=True))
    if len(told) == len(everybody):
        posting = "every posting" if len(dialects) > 1 else dialects[0]
        return f"{posting}, {'every VMM' if len(vmms) > 2 else ', '.join(vmms)}"
    said = []
    for dialect in dialects:
        names = [profile for its, profile in told if its == dialect]
        if names:
            every = len(names) == len(vmms) > 2
            said.append(f"{dialect}: {'every VMM' if every else ', '.join(names)}")
    return "; ".join(said)


def _lines(rows: Iterable[Row]) -> Iterable[_Line]:
    """A line for each platform, and for each group of its variants that fares alike."""
    for platform, of_platform in groupby(rows, key=lambda row: row.platform):
        variants = list(of_platform)
        for fate in dict.fromkeys(map(_fate, variants)):
            yield platform, _where([row for row in variants if _fate(row) == fate], variants), *fate


def _fate(row: Row) -> tuple[str, str, str]:
    return row.memtype or "", row.effective or "", row.verdict.partition(",")[0]


def _where(rows: list[Row], variants: list[Row]) -> str:
    """Firmware and BAR in few words: of a firmware that is there with each BAR, the name alone."""
    if rows[0].firmware is None:
        return ""
    if len(rows) == len(variants) > 1:
        return "any"
    words = []
    for firmware, group in groupby(rows, key=lambda row: row.firmware):
        bars = [row.bar for row in group]
        whole = len(bars) == sum(row.firmware == firmware for row in variants) > 1
        words += [str(firmware)] if whole else [f"{firmware} {bar}" for bar in bars]
    return ", ".join(words)


def _table(lines: Iterable[_Line], widths: list[int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column, width in zip(_COLUMNS, widths, strict=True):
        table.add_column(column, min_width=width)
    before = ""
    for platform, where, memtype, effective, verdict in lines:
        table.add_row("" if platform == before else platform, where, memtype, effective, Text(verdict, STYLES[verdict]))
        before = platform
    return table
