"""The host visible region: where memory can be shown, what overlaps, who holds it, and what the guest sees."""

from errno import EEXIST, EFAULT, EINVAL, ENODEV

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.memory import Memory

PAGE = 4096
pytestmark = pytest.mark.usefixtures("nothing_left")


def errno_of(error: pytest.ExceptionInfo[OSError]) -> int | None:
    return error.value.errno


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 15), st.integers(1, 4))))
def test_overlap_is_found_where_there_is_one(steps: list[tuple[bool, int, int]]) -> None:
    region, pages = HostVisibleRegion(16 * PAGE), dict[int, int]()
    for maps, start, length in steps:
        wanted = range(start, start + length)
        owners = {pages[page] for page in wanted if page in pages}
        found = region.overlapping(start * PAGE, length * PAGE)
        assert (found is not None) == bool(owners)
        assert found is None or found.offset // PAGE in owners
        if maps and not owners and wanted[-1] < 16:
            region.map(start * PAGE, length * PAGE, Memory(4 * PAGE, None))
            pages.update(dict.fromkeys(wanted, start))
        elif not maps and start in pages.values():
            region.unmap(start * PAGE)
            pages = {page: owner for page, owner in pages.items() if owner != start}
    assert len(region) == len(set(pages.values()))
    assert [slot.offset // PAGE for slot in region] == sorted(set(pages.values()))


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, 0),
        (0, -PAGE),
        (-PAGE, PAGE),
        (1, PAGE),
        (0, 1),
        (0, PAGE + 1),
        (4 * PAGE, PAGE),
        (3 * PAGE, 2 * PAGE),
        (0, 5 * PAGE),
        (1 << 64, PAGE),
    ],
)
def test_mapping_that_does_not_fit_is_einval(offset: int, length: int) -> None:
    region, memory = HostVisibleRegion(4 * PAGE), Memory(8 * PAGE, None)
    with pytest.raises(OSError, match="region of 0x4000 bytes") as refused:
        region.map(offset, length, memory)
    assert errno_of(refused) == EINVAL
    assert (len(region), memory.holders) == (0, 1)


@pytest.mark.parametrize(
    ("start", "is_taken"), [(0, True), (PAGE, True), (2 * PAGE, False), (PAGE // 2, False), (-PAGE, False)]
)
def test_mapping_shows_memory_from_its_start_on(start: int, is_taken: bool) -> None:
    region, memory = HostVisibleRegion(4 * PAGE), Memory(2 * PAGE, None)
    if is_taken:
        region.map(0, PAGE, memory, start)
        assert [slot.start for slot in region] == [start]
    else:
        with pytest.raises(OSError, match=r"which starts no page|of a memory of 0x2000") as refused:
            region.map(0, PAGE, memory, start)
        assert errno_of(refused) == EINVAL


def test_memory_must_be_as_long_as_its_mapping() -> None:
    region = HostVisibleRegion(4 * PAGE)
    with pytest.raises(OSError, match="0x2000 bytes of a memory of 0x1fff") as refused:
        region.map(0, 2 * PAGE, Memory(2 * PAGE - 1, None))
    assert errno_of(refused) == EINVAL


def test_two_mappings_cannot_start_at_one_place() -> None:
    region, memory = HostVisibleRegion(4 * PAGE), Memory(PAGE, None)
    region.map(PAGE, PAGE, memory)
    with pytest.raises(OSError, match="a slot starts") as refused:
        region.map(PAGE, PAGE, memory)
    assert errno_of(refused) == EEXIST
    assert memory.holders == 2


@pytest.mark.parametrize("offset", [0, PAGE - 1, PAGE + 1, 2 * PAGE])
def test_unmapping_what_is_not_mapped_is_einval(offset: int) -> None:
    region = HostVisibleRegion(4 * PAGE)
    region.map(PAGE, PAGE, Memory(PAGE, None))
    with pytest.raises(OSError, match="no slot starts") as refused:
        region.unmap(offset)
    assert errno_of(refused) == EINVAL
    assert len(region) == 1


def test_region_holds_memory_until_it_is_unmapped() -> None:
    region, memory = HostVisibleRegion(4 * PAGE), Memory.memfd(PAGE, "held")
    region.map(0, PAGE, memory)
    region.map(2 * PAGE, PAGE, memory)
    memory.release()
    region.unmap(0)
    assert (memory.holders, region.read(2 * PAGE, 1)) == (1, b"\0")
    region.clear()
    assert (memory.holders, len(region), memory.fileno) == (0, 0, None)


def test_guest_reads_and_writes_what_is_shown() -> None:
    region, memory = HostVisibleRegion(4 * PAGE), Memory.memfd(2 * PAGE, "shown")
    region.map(PAGE, 2 * PAGE, memory)
    region.write(2 * PAGE - 2, b"across")
    assert memory.read(PAGE - 2, 6) == b"across"
    memory.write(0, b"host")
    assert region.read(PAGE, 4) == b"host"
    region.clear()
    memory.release()


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (PAGE - 1, 2), (2 * PAGE - 1, 2), (2 * PAGE, 1), (3 * PAGE, 1)])
def test_access_where_nothing_is_mapped_faults(offset: int, length: int) -> None:
    region = HostVisibleRegion(4 * PAGE)
    region.map(PAGE, PAGE, Memory(PAGE, None))
    with pytest.raises(OSError, match="mapped nothing") as read:
        region.read(offset, length)
    with pytest.raises(OSError, match="mapped nothing") as write:
        region.write(offset, bytes(length))
    assert errno_of(read) == errno_of(write) == EFAULT


def test_memory_without_bytes_can_be_mapped_but_not_accessed() -> None:
    region = HostVisibleRegion(PAGE)
    region.map(0, PAGE, Memory(PAGE, None))
    with pytest.raises(OSError, match="no bytes") as refused:
        region.read(0, 1)
    assert errno_of(refused) == ENODEV


def test_region_of_no_size_takes_nothing() -> None:
    with pytest.raises(OSError, match="region of 0x0 bytes"):
        HostVisibleRegion(0).map(0, PAGE, Memory(PAGE, None))


@pytest.mark.parametrize(
    ("offset", "length", "is_mapped"),
    [(0, 0x4000, True), (0x4000, 0x8000, True), (0, 0x1000, False), (0x1000, 0x4000, False), (0, 0x5000, False)],
)
def test_host_with_larger_pages_maps_whole_ones(offset: int, length: int, is_mapped: bool) -> None:
    region = HostVisibleRegion(0x10000, 0x4000)
    memory = Memory(0x8000, None)
    if is_mapped:
        region.map(offset, length, memory)
        assert region.overlapping(offset, 1) is not None
        return
    with pytest.raises(OSError, match="in a region of 0x10000 bytes") as refused:
        region.map(offset, length, memory)
    assert refused.value.errno == EINVAL
