"""``html(story)``: the report as one page that needs nothing but a browser.

Everything a log says is somebody else's: it is escaped where it is put into the page, and a policy in the page forbids
whatever is not its own style and script.
"""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

from vgpu_emu.attributes.derivation import Kind
from vgpu_emu.report.clashes import Clash, clashes
from vgpu_emu.report.grid import grid
from vgpu_emu.report.kinds import MEANING, Chip, chip, effective_chip
from vgpu_emu.report.lines import Shown, shown
from vgpu_emu.report.map import Map, region_map
from vgpu_emu.report.sequence import MAX_ROWS, Row, rows
from vgpu_emu.report.stack import layers, parties
from vgpu_emu.report.story import Outcome, Run, Story

#: conflicts of one run that are listed; of more, the first
MAX_CONFLICTS = 20
#: outcome -> a sign that does not need colour
SIGNS = {
    Outcome.WRONG: "\N{MULTIPLICATION X}",
    Outcome.RIGHT: "\N{CHECK MARK}",
    Outcome.CONFLICT: "\N{MULTIPLICATION X}",
    Outcome.TOLERATED: "\N{ALMOST EQUAL TO}",
    Outcome.UNKNOWN: "?",
    Outcome.REFUSED: "\N{EM DASH}",
    Outcome.DIFFERENT: "\N{NOT EQUAL TO}",
    Outcome.SAME: "\N{CHECK MARK}",
    Outcome.AGREE: "\N{CHECK MARK}",
    Outcome.UNEXPECTED: "\N{MULTIPLICATION X}",
    Outcome.EXPECTED: "\N{CHECK MARK}",
    Outcome.RECORDED: "\N{BULLET}",
}


class RunView(NamedTuple):
    """A run, ready to be shown. path: who says what of the attribute. more_conflicts, more_rows: left out."""

    run: Run
    sign: str
    path: list[tuple[str, Chip]]
    clashes: list[Clash]
    more_conflicts: int
    maps: list[Map]
    walk: Shown | None
    views: list[tuple[str, Chip, str]]
    rows: list[Row]
    more_rows: int


def html(story: Story) -> str:
    """The page. The same story gives the same page. Raises ModuleNotFoundError if jinja2 is not installed."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    def clean(value: Any) -> Any:
        return _printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_file),
        undefined=StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _file("page.css"), _file("page.js")
    return environment.get_template("page.html.jinja").render(
        story=story,
        runs=[_view(run) for run in story.runs],
        parties=parties(story.runs),
        layers=layers(story.runs),
        legend=[(kind.value, *MEANING[kind]) for kind in Kind],
        grid=grid(story.matrix),
        signs=SIGNS,
        style=Markup(style),
        script=Markup(script),
        ruled="".join([f"M0 {y}h16" for y in range(5)] + [f"M{x} 0v4" for x in range(17)]),
        digest=b64encode(sha256(script.encode()).digest()).decode(),
    )


def _view(run: Run) -> RunView:
    walk = run.walk
    views = [
        (who, effective_chip(seen), MEANING[seen.kind][1])
        for who, seen in (walk.views.items() if walk is not None else ())
    ]
    return RunView(
        run,
        SIGNS[run.outcome],
        _path(run),
        clashes(run.conflicts[:MAX_CONFLICTS]),
        max(0, len(run.conflicts) - MAX_CONFLICTS),
        region_map(run),
        shown(walk.log) if walk is not None else None,
        views,
        list(rows(run.events)),
        max(0, len(run.events) - MAX_ROWS),
    )


def _path(run: Run) -> list[tuple[str, Chip]]:
    """The way of the attribute, from the exporter's word to what the hardware does."""
    path = [(fact.who, chip(fact.says, fact.kind)) for fact in run.facts if fact.kind]
    if run.derivation:
        path.append(("effective", effective_chip(run.derivation.effective)))
    return path


def _file(name: str) -> str:
    return files("vgpu_emu.report").joinpath(name).read_text(encoding="utf-8")


def _printable(text: str) -> str:
    """Without what a browser would not show, or would show as something else."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
