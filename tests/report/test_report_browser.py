"""The page in a real browser: nothing on the console, nothing asked of a network, and keys that step."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser, open_browser
from report_kit import story
from test_report_page import hostile_story

from vgpu_emu.report.page import html
from vgpu_emu.report.story import Story

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")

#: which steps of the run that is shown can be seen
STEPS = """[...document.querySelector(".run:not(.off) .stepper.live").querySelectorAll(".step")]
    .flatMap((step, place) => getComputedStyle(step).visibility === "visible" ? [place + 1] : [])"""
WHERE = 'document.querySelector(".run:not(.off) .stepper.live .where").textContent'
RUN = 'document.querySelector(".run:not(.off)").id'
BODY = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def written(directory: Path, told: Story) -> Path:
    page = directory / "page.html"
    page.write_text(html(told), encoding="utf-8")
    return page


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Path:
    browser.complaints.clear()
    browser.requested.clear()
    file = written(tmp_path, story())
    browser.open(file)
    return file


def test_the_console_stays_empty_and_nothing_else_is_loaded(browser: Browser, page: Path) -> None:
    assert browser.evaluate("document.title") == "A buffer"
    assert browser.complaints == []
    assert set(browser.requested) <= {"about:blank", page.as_uri()}


@pytest.mark.usefixtures("page")
def test_arrow_keys_step_through_the_cache_lines(browser: Browser) -> None:
    assert (browser.evaluate(STEPS), browser.evaluate(WHERE)) == ([1], "1 of 9")
    browser.press("ArrowLeft")
    assert browser.evaluate(STEPS) == [1]
    for _ in range(2):
        browser.press("ArrowRight")
    assert (browser.evaluate(STEPS), browser.evaluate(WHERE)) == ([3], "3 of 9")
    for _ in range(9):
        browser.press("ArrowRight")
    assert browser.evaluate(STEPS) == [9]
    assert browser.complaints == []


@pytest.mark.usefixtures("page")
def test_buttons_step_too(browser: Browser) -> None:
    browser.evaluate('document.querySelector(".next").click()')
    assert browser.evaluate(STEPS) == [2]
    browser.evaluate('document.querySelectorAll(".pills button")[5].click()')
    assert browser.evaluate(STEPS) == [6]
    browser.evaluate('document.querySelector(".previous").click()')
    assert browser.evaluate(STEPS) == [5]


@pytest.mark.usefixtures("page")
def test_the_buttons_can_be_reached_and_pressed_by_keyboard(browser: Browser) -> None:
    browser.evaluate('document.querySelector(".stepper.live").focus()')
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.className") == "next"
    browser.press("Enter")
    assert browser.evaluate(STEPS) == [2]


@pytest.mark.usefixtures("page")
def test_arrow_keys_on_a_tab_change_the_run(browser: Browser) -> None:
    assert browser.evaluate(RUN) == "run-0"
    browser.evaluate('document.getElementById("tab-0").focus()')
    browser.press("ArrowRight")
    assert browser.evaluate(RUN) == "run-1"
    assert browser.evaluate("document.activeElement.id") == "tab-1"


def test_a_link_to_a_message_opens_it_in_its_run(browser: Browser, page: Path) -> None:
    browser.open(page, "#m-1-5")
    assert browser.evaluate(RUN) == "run-1"
    assert browser.evaluate('document.getElementById("m-1-5").open')


@pytest.mark.usefixtures("page")
def test_only_what_is_about_the_attribute_can_be_looked_at(browser: Browser) -> None:
    seen = '[...document.querySelectorAll("#run-0 .message")].filter((message) => message.offsetHeight).length'
    every = browser.evaluate(seen)
    browser.evaluate('document.querySelector(".only-about").click()')
    assert 0 < browser.evaluate(seen) < every


def test_the_page_follows_the_system_and_the_button(browser: Browser, page: Path) -> None:
    light = browser.evaluate(BODY)
    browser.open(page, dark=True)
    dark = browser.evaluate(BODY)
    assert light != dark
    browser.evaluate('document.getElementById("theme").click()')
    assert browser.evaluate(BODY) == light
    browser.evaluate('document.getElementById("theme").click()')
    assert browser.evaluate(BODY) == dark


@pytest.mark.parametrize("width", [1280, 800])
def test_nothing_sticks_out_sideways(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


#: contrast of text with what is behind it, by the formula of WCAG 2: the lowest on the page, and where
CONTRAST = """(() => {
    const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = rgb(getComputedStyle(each).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    let worst = [99, ""];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || element.disabled || !element.checkVisibility() || element.closest("svg, script")) continue;
        const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < worst[0]) worst = [ratio, `${element.className} ${element.textContent}`];
    }
    return worst;
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_has_contrast(browser: Browser, page: Path, dark: bool) -> None:
    browser.open(page, dark=dark)
    ratio, where = browser.evaluate(CONTRAST)
    assert ratio >= 4.5, where


def test_on_paper_all_runs_and_all_steps_are_there(browser: Browser, page: Path, tmp_path: Path) -> None:
    browser.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    browser.open(page, paper=True)
    assert browser.evaluate(STEPS) == list(range(1, 10))
    assert browser.evaluate('[...document.querySelectorAll(".run")].every((run) => run.offsetHeight > 0)')


def test_hostile_text_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    browser.complaints.clear()
    browser.requested.clear()
    browser.evaluate("1")
    page = written(tmp_path, hostile_story())
    browser.open(page)
    assert browser.complaints == []
    assert set(browser.requested) <= {"about:blank", page.as_uri()}
