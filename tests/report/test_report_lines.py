"""The cache lines where data went wrong, as they are drawn."""

import re

import pytest
from report_kit import walk

from vgpu_emu.attributes.coherency import LINE
from vgpu_emu.attributes.platform import platform
from vgpu_emu.attributes.reports import FRAME
from vgpu_emu.attributes.walkthrough import Entry, stage
from vgpu_emu.report.lines import MAX_LINES, MAX_STEPS, Copy, shown
from vgpu_emu.vocabulary import HostAttribute, Pgprot

WRONG = walk(Pgprot.CACHED)
SHOWN = shown(WRONG.log)


def squares(path: str) -> set[tuple[int, int]]:
    """The unit squares that an SVG path of these rectangles covers."""
    covered: set[tuple[int, int]] = set()
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path):
        row = {(int(x) + step, int(y)) for step in range(int(width))}
        assert not covered & row
        covered |= row
    return covered


def bytes_of(copy: Copy) -> tuple[set[int], set[int]]:
    current, stale = ({16 * y + x for x, y in squares(path)} for path in (copy.current, copy.stale))
    return current, stale


def copy_at(step: int, place: str, line: int) -> Copy | None:
    rows = {row.place: row for row in SHOWN.steps[step - 1].rows}
    return rows[place].copies[SHOWN.lines.index(line)]


def test_every_wrong_read_is_counted_and_shown() -> None:
    assert (SHOWN.reads, SHOWN.bad, SHOWN.damaged) == (3, 3, 4)
    assert [step.number for step in SHOWN.steps if step.wrong] == [3, 6, 9]
    assert SHOWN.lines == [0, 1, 2, 3]


def test_a_copy_is_drawn_byte_by_byte() -> None:
    for entry, step in zip(WRONG.log, SHOWN.steps, strict=True):
        for state in entry.lines:
            drawn = {row.place: row.copies[SHOWN.lines.index(state.line)] for row in step.rows}
            for where, _, held in state.copies:
                copy = drawn["memory" if where == "memory" else f"{where} CPU's cache"]
                assert copy is not None
                current, stale = bytes_of(copy)
                assert current | stale == set(range(LINE))
                assert stale == {place for place in range(LINE) if held[place] != state.truth[place]}


def test_the_words_say_what_the_drawing_shows() -> None:
    in_cache, in_memory, partly = copy_at(3, "guest CPU's cache", 0), copy_at(3, "memory", 0), copy_at(3, "memory", 3)
    assert in_cache is not None
    assert in_memory is not None
    assert partly is not None
    assert (in_cache.says, in_cache.state) == ("up to date", "dirty")
    assert in_memory.says == "out of date"
    assert partly.says == f"{FRAME - 3 * LINE} of {LINE} out of date"


def test_a_wrong_read_tells_what_was_there_and_what_should_have_been() -> None:
    wrong = SHOWN.steps[2].wrong
    assert wrong is not None
    assert wrong.kind == "stale"
    assert "guest CPU" in wrong.says
    assert [byte for byte, _ in wrong.got] == ["00"] * 24
    assert [byte for byte, _ in wrong.expected][:3] == ["01", "02", "03"]
    assert all(differs for _, differs in wrong.got)
    assert wrong.text[1] == "." * 24


def test_text_is_shown_as_text() -> None:
    walked = stage(platform("amd"), HostAttribute.WC, Pgprot.CACHED)
    walked.write("guest", 0, b"vertices")
    walked.read("gpu", 0, 8)
    cache, memory = (row.copies[0] for row in shown(walked.log).steps[-1].rows)
    assert cache is not None
    assert memory is not None
    assert (cache.text, memory.text) == ("vertices", "")


def test_where_every_read_is_right_the_first_lines_are_shown() -> None:
    right = shown(walk(Pgprot.WRITECOMBINE).log)
    assert (right.reads, right.bad, right.damaged, right.lines) == (3, 0, 0, [0, 1, 2, 3])
    assert [step.number for step in right.steps if step.right] == [3, 6, 9]
    assert not any(step.wrong for step in right.steps)


def test_of_an_empty_log_nothing_is_shown() -> None:
    assert shown([])[:5] == (0, 0, [], 0, [])


def wrong_lines(count: int, rounds: int = 1) -> list[Entry]:
    walked = stage(platform("amd"), HostAttribute.WC, Pgprot.CACHED)
    for number in range(rounds):
        walked.write("guest", 0, bytes([number % 255 + 1]) * (count * LINE))
        walked.read("gpu", 0, count * LINE)
    return walked.log


@pytest.mark.parametrize("count", [MAX_LINES - 1, MAX_LINES, MAX_LINES + 1])
def test_of_many_lines_the_first_are_shown(count: int) -> None:
    seen = shown(wrong_lines(count))
    assert (len(seen.lines), seen.damaged) == (min(count, MAX_LINES), count)


@pytest.mark.parametrize("rounds", [MAX_STEPS // 2 - 1, MAX_STEPS // 2, MAX_STEPS // 2 + 1])
def test_of_many_steps_those_around_the_first_wrong_read_are_shown(rounds: int) -> None:
    seen = shown(wrong_lines(1, rounds))
    assert (len(seen.steps), seen.left_out) == (min(2 * rounds, MAX_STEPS), max(0, 2 * rounds - MAX_STEPS))
    assert any(step.wrong for step in seen.steps)


def test_a_wrong_read_after_many_right_ones_is_among_the_steps() -> None:
    walked = stage(platform("amd"), HostAttribute.WC, Pgprot.CACHED)
    for _ in range(3 * MAX_STEPS):
        walked.read("guest", 0, 8)
    walked.write("guest", 0, b"vertices")
    walked.read("gpu", 0, 8)
    seen = shown(walked.log)
    assert len(seen.steps) == MAX_STEPS
    assert seen.steps[-1].wrong is not None
