"""The driver's allocator: blocks are apart, a full arena says so, and what was given back can be had in one piece."""

from errno import ENOMEM

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_guest_memory import errno_of

from vgpu_emu.link.dma_arena import DmaArena

START, SIZE = 0x30000, 4096


@given(st.lists(st.tuples(st.integers(1, 1500), st.booleans(), st.integers(0, 7)), max_size=60))
def test_blocks_are_apart_and_all_come_back(steps: list[tuple[int, bool, int]]) -> None:
    arena, live = DmaArena(START, SIZE), list[tuple[int, int]]()
    for length, gives_back, pick in steps:
        if gives_back and live:
            arena.free(*live.pop(pick % len(live)))
        try:
            address = arena.alloc(length)
        except OSError:
            assert sum(max(64, 2 * length) for _, length in live) + 2 * length > SIZE // 2
            continue
        assert START <= address <= address + length <= START + SIZE
        assert all(address + length <= other or other + size <= address for other, size in live)
        live.append((address, length))
    for block in live:
        arena.free(*block)
    assert arena.alloc(SIZE) == START


@pytest.mark.parametrize(("length", "errno"), [(SIZE - 1, None), (SIZE, None), (SIZE + 1, ENOMEM), (1 << 62, ENOMEM)])
def test_arena_is_as_large_as_it_is(length: int, errno: int | None) -> None:
    assert errno_of(lambda: DmaArena(START, SIZE).alloc(length)) == errno


def test_arena_is_full_when_all_is_given() -> None:
    arena = DmaArena(START, SIZE)
    blocks = [arena.alloc(64) for _ in range(SIZE // 64)]
    assert errno_of(lambda: arena.alloc(1)) == ENOMEM
    arena.free(blocks[5], 64)
    assert arena.alloc(33) == blocks[5]


@pytest.mark.parametrize("size", [0, 32, 63, 96, 4095])
def test_size_of_an_arena_is_a_power_of_two(size: int) -> None:
    with pytest.raises(ValueError, match="an arena of"):
        DmaArena(START, size)
