"""What real guests found, for people: the guests, the attributes, everything else, and what differs in full."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vgpu_emu.peers.check.rows import Outcome, Row
from vgpu_emu.peers.check.run import Report

_STYLES = {Outcome.OK: "green", Outcome.DIFFERS: "bold red", Outcome.SEEN: ""}
#: shown in a table of their own, or beside the guest's name
_ATTRIBUTE, _LONG = "attribute", {"features", "capability sets", "mode"}


def show(reports: list[Report], release: str, proves: str, console: Console) -> None:
    """Tables, what differs, and what all that proves."""
    for number, report in enumerate(reports, 1):
        _show_guest(number, report, console)
    attributes = _attributes(reports)
    if attributes.row_count:
        console.print(
            Text(f"\nThe attribute of a mapped blob: what Linux {release} lists, and the model's word", "bold")
        )
        console.print(attributes)
    console.print(Text("\nEverything else, guest by guest", "bold"))
    console.print(_others(reports))
    for number, report in enumerate(reports, 1):
        for row in report.rows:
            if row.outcome is Outcome.DIFFERS:
                text = f"{number} {row.topic}: {row.what}: expected {row.expected or 'one'}, seen {row.seen}"
                console.print(Text(text, "bold red"), soft_wrap=True)
    console.print(f"\n{proves}")


def _show_guest(number: int, report: Report, console: Console) -> None:
    name = report.route.name if report.bar is None else f"{report.route.name}, BAR {report.bar.value}"
    console.print(Text.assemble((f"{number} {name}", "bold"), f": {report.route.says}"))
    facts = [f"{row.what} {row.seen}" for row in report.rows if row.what in _LONG]
    console.print(Text("  " + "; ".join([*facts, f"logs {report.logs}"]), "dim"), soft_wrap=True)


def _rows(report: Report, topic: str) -> dict[str, Row]:
    return {row.what: row for row in report.rows if row.topic == topic}


def _attributes(reports: Iterable[Report]) -> Table:
    """A line for each blob and place of the BAR, a column for each route, the model last."""
    rendering = [report for report in reports if _rows(report, _ATTRIBUTE)]
    table = _table("blob", "BAR", *dict.fromkeys(report.route.name for report in rendering), "model")
    for bar in dict.fromkeys(report.bar for report in rendering):
        here = [_rows(report, _ATTRIBUTE) for report in rendering if report.bar is bar]
        for what, row in here[0].items():
            cells = [Text(rows[what].seen, _STYLES[rows[what].outcome]) for rows in here]
            table.add_row(what, bar.value if bar else "", *cells, row.expected)
    return table


def _others(reports: list[Report]) -> Table:
    """A line for each thing, a column for each guest by its number."""
    table = _table("", *map(str, range(1, len(reports) + 1)))
    columns = [{(row.topic, row.what): row for row in report.rows} for report in reports]
    # what only some guests have comes with the rest of its topic
    things = dict.fromkeys(key for column in columns for key in column)
    topics = list(dict.fromkeys(topic for topic, _ in things))
    for topic, what in sorted(things, key=lambda thing: topics.index(thing[0])):
        if topic != _ATTRIBUTE and what not in _LONG:
            table.add_row(f"{topic}: {what}", *(_cell(column.get((topic, what))) for column in columns))
    return table


def _cell(row: Row | None) -> Text:
    if row is None:
        return Text("-", "dim")
    words = {Outcome.OK: "ok", Outcome.DIFFERS: "NO"}
    return Text(words.get(row.outcome, row.seen), _STYLES[row.outcome])


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column)
    return table
