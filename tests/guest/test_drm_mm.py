"""The allocator of the host visible region, against a plain one, and against what real Linux chose."""

from errno import ENOSPC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgpu_emu.guest.drm_mm import DrmMm

PAGE = 4096
CAPTURES = Path(__file__).parents[1] / "data" / "captures"


def test_first_node_is_at_the_start_and_the_next_behind_it() -> None:
    mm = DrmMm(16 * PAGE)
    assert [mm.insert(size * PAGE) for size in (1, 2, 3)] == [0, PAGE, 3 * PAGE]


def test_smallest_hole_that_is_large_enough_is_taken() -> None:
    mm = DrmMm(16 * PAGE)
    for size in (4, 1, 2, 1):
        mm.insert(size * PAGE)
    mm.remove(0)
    mm.remove(5 * PAGE)
    # holes of 4, 2 and 8 pages
    assert mm.insert(2 * PAGE) == 5 * PAGE
    assert mm.insert(3 * PAGE) == 0
    assert mm.insert(5 * PAGE) == 8 * PAGE


def test_of_equal_holes_the_youngest_is_taken() -> None:
    mm = DrmMm(5 * PAGE)
    for _ in range(5):
        mm.insert(PAGE)
    mm.remove(3 * PAGE)
    mm.remove(1 * PAGE)
    assert [mm.insert(PAGE), mm.insert(PAGE)] == [PAGE, 3 * PAGE]


def test_holes_that_touch_become_one() -> None:
    mm = DrmMm(4 * PAGE)
    for _ in range(4):
        mm.insert(PAGE)
    for start in (0, 2, 1):
        mm.remove(start * PAGE)
    assert mm.insert(3 * PAGE) == 0


@pytest.mark.parametrize(("pages", "fits"), [(3, True), (4, True), (5, False)])
def test_node_of_the_whole_region_fits_and_one_page_more_does_not(pages: int, fits: bool) -> None:
    mm = DrmMm(4 * PAGE)
    if fits:
        assert mm.insert(pages * PAGE) == 0
        return
    with pytest.raises(OSError, match="no hole of 0x5000 bytes") as refused:
        mm.insert(pages * PAGE)
    assert refused.value.errno == ENOSPC
    assert mm.nodes == {}


def test_region_of_no_size_has_no_hole() -> None:
    with pytest.raises(OSError, match="no hole"):
        DrmMm(0).insert(PAGE)


class PlainMm:
    """The same rules without an index: a list of holes in the order in which they appeared."""

    def __init__(self, size: int) -> None:
        self.nodes: dict[int, int] = {}
        self.holes = [(0, size)]

    def insert(self, size: int) -> int | None:
        fitting = [hole for hole in self.holes if hole[1] >= size]
        if not fitting:
            return None
        smallest = min(length for _, length in fitting)
        start, length = [hole for hole in fitting if hole[1] == smallest][-1]
        self.holes.remove((start, length))
        if length > size:
            self.holes.append((start + size, length - size))
        self.nodes[start] = size
        return start

    def remove(self, start: int) -> None:
        end = start + self.nodes.pop(start)
        for hole in [hole for hole in self.holes if hole[0] == end or sum(hole) == start]:
            self.holes.remove(hole)
            start, end = min(start, hole[0]), max(end, sum(hole))
        self.holes.append((start, end - start))


@given(st.lists(st.integers(-8, 6).filter(bool), max_size=80))
def test_every_choice_is_that_of_a_plain_allocator(steps: list[int]) -> None:
    mm, plain = DrmMm(24 * PAGE), PlainMm(24 * PAGE)
    for step in steps:
        if step > 0:
            expected = plain.insert(step * PAGE)
            try:
                chosen = mm.insert(step * PAGE)
            except OSError:
                chosen = None
            assert chosen == expected
        elif plain.nodes:
            start = sorted(plain.nodes)[step % len(plain.nodes)]
            plain.remove(start)
            mm.remove(start)
        assert mm.nodes == plain.nodes
