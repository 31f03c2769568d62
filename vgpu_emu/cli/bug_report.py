"""``vgpu-emu demo report``: public bug reports, reproduced on the models: the fault, what did not help, what did."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vgpu_emu.attributes.reports import REPORTS, Case, Report
from vgpu_emu.attributes.walkthrough import Entry, Walkthrough
from vgpu_emu.cli.choices import known, words
from vgpu_emu.cli.output import write_html
from vgpu_emu.cli.stories import report_story
from vgpu_emu.cli.usage import UsageError

#: bytes of a read that are shown
_SHOWN = 8


def report(
    name: str | None = None,
    /,
    *,
    html: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Reproduce a public bug report on the models: the fault, what did not help, what did.

    Data that is lost is what this shows, not a failure: the exit code is 0.

    Examples:

        vgpu-emu demo report

        vgpu-emu demo report sogen#1097

        vgpu-emu demo report wayland-proxy-virtwl#33 --json

    Parameters
    ----------
    name
        Which one; without it, they are listed.
    html
        Also write a page to this file, for any browser: the cases side by side, the cache lines step by step.
    json_
        One JSON object instead of text.
    """
    named = {_short(each): each for each in REPORTS}
    if name is None:
        if html is not None:
            raise UsageError("a page of which report? vgpu-emu demo report NAME --html FILE")
        _list(list(named.values()), json_)
        return
    chosen = named[known("report", name.rpartition("/")[2].lower(), named)]
    runs = [(case, case.run()) for case in chosen.cases]
    if json_:
        told = {"reference": chosen.reference, "seen": chosen.seen, "why": chosen.why}
        print(json.dumps({"schema": 1, **told, "cases": [_as_json(case, walk) for case, walk in runs]}))
    else:
        _show(chosen, runs, Console())
    if html is not None:
        write_html(html, report_story(chosen, runs))


def _short(report: Report) -> str:
    return report.reference.rpartition("/")[2]


def _list(reports: list[Report], json_: bool) -> None:
    if json_:
        print(json.dumps({"schema": 1, "reports": [{"reference": r.reference, "seen": r.seen} for r in reports]}))
        return
    table = Table.grid(padding=(0, 2))
    for each in reports:
        table.add_row(Text(_short(each), "bold"), Text(each.seen))
    Console().print(table)


def _reads(walk: Walkthrough) -> list[Entry]:
    return [entry for entry in walk.log if entry.action.startswith("reads")]


def _wrong_bytes(walk: Walkthrough) -> int:
    pairs = ((a, b) for damage in walk.damage for a, b in zip(damage.got, damage.expected, strict=True))
    return sum(a != b for a, b in pairs)


def _as_json(case: Case, walk: Walkthrough) -> dict[str, Any]:
    derivation, platform = case.derive(), case.platform
    return {
        "title": case.title,
        "platform": platform.name,
        "firmware": platform.firmware.value if platform.firmware else None,
        "bar": platform.bar.value if platform.bar else None,
        "host_attribute": case.host.value,
        "pgprot": case.pgprot.value,
        "pte": derivation.pte,
        "memtype": derivation.memtype,
        "effective": derivation.effective.value,
        "layers": [layer._asdict() for layer in derivation.layers],
        "reads": len(_reads(walk)),
        "wrong_reads": len(walk.damage),
        "wrong_bytes": _wrong_bytes(walk),
        "transfers": walk.system.transfers,
        "log": [str(entry) for entry in walk.log] if len(walk.log) <= _SHORT_LOG else None,
    }


#: steps of a walk that are worth reading one by one
_SHORT_LOG = 40


def _show(chosen: Report, runs: list[tuple[Case, Walkthrough]], console: Console) -> None:
    console.print(Text(chosen.reference, "bold"))
    for title, says in (("Seen", chosen.seen), ("Why", chosen.why)):
        console.print(Padding(Text(f"{title}: {says}"), (0, 0, 0, 2)))
    console.print()
    for case, walk in runs:
        _show_case(case, walk, console)
    broken, mended = ([run for run in runs if bool(run[1].damage) is wrong] for wrong in (True, False))
    if broken and mended:
        console.print(Text("\nThe first wrong bytes", "bold"))
        console.print(_bytes(broken[0], mended[0]))
    console.print()
    layers = runs[0][0].derive().layers
    console.print(Text(f"{runs[0][0].title}: how the mapping becomes what it is", "bold"))
    for layer in layers:
        console.print(Padding(Text(f"{layer.name}: {layer.says} [{layer.source}]"), (0, 0, 0, 2)))


def _show_case(case: Case, walk: Walkthrough, console: Console) -> None:
    derived, wrong = case.derive(), len(walk.damage)
    counts = Text(f"{wrong} of {len(_reads(walk))} reads wrong", "bold red" if wrong else "green")
    lost = f", {_wrong_bytes(walk)} bytes" if wrong else ""
    counts.append(f"{lost}; {walk.system.transfers} transfers", "not bold default")
    setting = f"{words(case.platform)}; memtype {derived.memtype}, effective {derived.effective.value}"
    for line, indent in ((Text(case.title, "bold"), 2), (Text(setting), 4), (counts, 4)):
        console.print(Padding(line, (0, 0, 0, indent)))


def _bytes(broken: tuple[Case, Walkthrough], mended: tuple[Case, Walkthrough]) -> Table:
    """The first read that goes wrong: what was written, what was read, and what is read once it is mended."""
    damage = broken[1].damage[0]
    number = [entry.step for entry in _reads(broken[1])].index(damage.step)
    after = _reads(mended[1])[number]
    start = next(place for place, (a, b) in enumerate(zip(damage.got, damage.expected, strict=True)) if a != b)
    fixed = after.damage.got if after.damage else damage.expected
    where = f"right in {' and '.join(damage.where)}" if damage.where else "right nowhere any more"
    table = Table.grid(padding=(0, 2))
    for value, style, says in (
        (damage.expected, "", f"written, at {damage.address + start:#x}"),
        (damage.got, "red", f"what {damage.who} reads: {broken[0].title}; {damage.kind}, {where}"),
        (fixed, "green", f"what {after.who} reads: {mended[0].title}"),
    ):
        table.add_row("", Text(value[start : start + _SHOWN].hex(" "), style), says)
    return table
