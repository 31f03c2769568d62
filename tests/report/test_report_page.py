"""The page: its parts, what it makes of hostile text, and that it needs nothing but a browser."""

import re
import sys
from html.parser import HTMLParser

import pytest
from report_kit import lockstep_run, story

from vgpu_emu.attributes.derivation import Kind
from vgpu_emu.attributes.platform import platform
from vgpu_emu.matrix import Row
from vgpu_emu.report.page import MAX_CONFLICTS, html
from vgpu_emu.report.sequence import MAX_ROWS
from vgpu_emu.report.stack import layers
from vgpu_emu.report.story import Outcome, Run, Story
from vgpu_emu.trace.ladder import rungs
from vgpu_emu.trace.log import VMM, Note
from vgpu_emu.vocabulary import Pgprot

HOSTILE = "</script><img src=http://evil.example onerror=alert(1)>\"'{{ 7 * 7 }}\x00\N{RIGHT-TO-LEFT OVERRIDE}"
_VOID = {"meta", "input", "br", "img"}


class Page(HTMLParser):
    """What is in a page. Fails where a tag is closed that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"script", "style"}:
            self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.attributes if each == name]


STORY = story()
TEXT = html(STORY)
PAGE = Page(TEXT)


def test_tags_are_closed_and_ids_are_unique_and_links_lead_somewhere() -> None:
    assert len(PAGE.ids) == len(set(PAGE.ids))
    assert PAGE.values("href")
    for name in ("href", "aria-labelledby", "aria-controls"):
        assert {value.removeprefix("#") for value in PAGE.values(name)} <= set(PAGE.ids)


def test_everything_is_on_the_page() -> None:
    shown = " ".join(PAGE.words)
    for heading in ("What came out", "from the driver to the hardware", "cache lines", "region", "messages"):
        assert heading in shown
    for run in STORY.runs:
        assert run.derivation is not None
        assert all(layer.says in shown for layer in run.derivation.layers)
        assert all(rung.says in shown for rung in rungs(run.events))


def test_conflicts_come_first() -> None:
    place = TEXT.index
    assert place('class="card CONFLICT"') < place('class="card AGREE"') < place('class="stack"')
    assert place("never alias a WC page") < place('class="stack"')


def test_every_message_has_its_bytes_and_offsets() -> None:
    row = re.search(r'id="m-0-\d+">(?:(?!</details>).)*RESP_OK_MAP_INFO.*?</details>', TEXT, re.S)
    assert row is not None
    assert "<td>24</td><td>01 00 00 00</td><td>map_info</td><td>1</td><td>CACHED</td>" in row.group()


def test_attributes_differ_by_word_and_not_by_colour_alone() -> None:
    for kind in Kind:
        assert re.search(rf'<span class="chip {kind.value}"><i></i>\S+', TEXT)


def test_the_same_story_gives_the_same_page() -> None:
    assert html(story()) == TEXT


def test_the_page_needs_no_network() -> None:
    for name in ("src", "href", "srcset", "action", "data", "xlink:href"):
        assert all(value.startswith("#") for value in PAGE.values(name))
    assert "link" not in PAGE.tags
    assert not re.search(r"@import|url\((?!\"#)", TEXT)
    assert "default-src 'none'" in TEXT


def test_only_the_pages_own_script_may_run() -> None:
    assert PAGE.tags.count("script") == 1
    assert not any(name.startswith("on") for name, _ in PAGE.attributes)


def hostile_story() -> Story:
    """Hostile text wherever there is text."""
    events, _, run = lockstep_run(ioctl=False)
    events += [Note(0, HOSTILE, HOSTILE, {HOSTILE: HOSTILE}), Note(0, VMM, HOSTILE, {"x": "\ud800"})]
    hostile = Row(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1, HOSTILE, 0, HOSTILE, "WB", HOSTILE)
    changed = {field: getattr(run, field) for field in run.__struct_fields__} | {"events": events, "name": HOSTILE}
    return Story(title=HOSTILE, lede=HOSTILE, settings=[(HOSTILE, HOSTILE)], runs=[Run(**changed)], matrix=[hostile])


def test_hostile_text_is_shown_and_does_nothing() -> None:
    text = html(hostile_story())
    page = Page(text)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "{{ 7 * 7 }}" in text
    assert "</script><img src=http://evil.example onerror=alert(1)>" in " ".join(page.words)
    assert "\x00" not in text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    text.encode("utf-8")


def only(events: list[Note]) -> Run:
    return Run(name="", outcome=Outcome.AGREE, says="", events=events)


@pytest.mark.parametrize("count", [MAX_ROWS - 1, MAX_ROWS, MAX_ROWS + 1])
def test_of_many_events_the_first_are_shown_and_the_rest_counted(count: int) -> None:
    text = html(Story(title="", lede="", runs=[only([Note(0, VMM, "same", {})] * count)]))
    assert text.count('<details class="message') == min(count, MAX_ROWS)
    assert ("1 events more are not shown" in text) == (count > MAX_ROWS)


@pytest.mark.parametrize("count", [MAX_CONFLICTS - 1, MAX_CONFLICTS, MAX_CONFLICTS + 1])
def test_of_many_conflicts_the_first_are_listed_and_the_rest_counted(count: int) -> None:
    conflicts = (list(lockstep_run(ioctl=False)[2].conflicts) * count)[:count]
    run = Run(name="", outcome=Outcome.CONFLICT, says="", conflicts=conflicts)
    text = html(Story(title="", lede="", runs=[run]))
    assert text.count('class="mapping"') >= 2
    assert ("1 conflicts more" in text) == (count > MAX_CONFLICTS)


def test_an_empty_story_is_a_page() -> None:
    page = Page(html(Story(title="Nothing", lede="")))
    assert "Nothing" in " ".join(page.words)


def test_without_jinja2_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ModuleNotFoundError, match="jinja2"):
        html(STORY)


def test_stages_that_only_some_runs_have_stand_above_the_effective_type() -> None:
    runs = [
        Run(name=name, outcome=Outcome.AGREE, says="", derivation=platform(name).derive(Pgprot.CACHED))
        for name in ("amd", "intel", "arm64")
    ]
    names = [level.who for level in layers(runs)]
    assert names[-1] == "effective"
    assert {"KVM, NPT leaf", "KVM, EPT leaf", "guest MAIR"} <= set(names)
