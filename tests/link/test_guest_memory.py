"""Guest physical memory: what is where, what is nowhere, and what the sparse kind costs."""

import os
import tracemalloc
from collections.abc import Callable
from errno import EEXIST, EFAULT, EINVAL, ENOMEM
from functools import partial
from mmap import ACCESS_READ, mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgpu_emu.link.guest_memory import END, GuestMemory
from vgpu_emu.memory import PAGE_SIZE

RAM = 0x100000
pytestmark = pytest.mark.usefixtures("nothing_left")


def _two_regions() -> tuple[GuestMemory, bytearray, bytearray]:
    """32 bytes from RAM, 16 right behind them, and 8 bytes far above."""
    memory, low, high = GuestMemory(), bytearray(range(32)), bytearray(range(32, 48))
    memory.add(RAM + 32, high)
    memory.add(RAM, low)
    memory.add(RAM << 20, bytearray(8))
    return memory, low, high


def errno_of(call: Callable[[], object]) -> int | None:
    """The errno that a call fails with; None: it does not."""
    try:
        call()
    except OSError as error:
        return error.errno
    return None


def access(memory: GuestMemory, address: int, length: int) -> int | None:
    """What every way to reach a range says about it; None: there is memory."""
    said = {
        errno_of(lambda: memory.read(address, length)),
        errno_of(lambda: memory.require(address, length)),
        errno_of(lambda: memory.views(address, length)),
        errno_of(lambda: memory.views(address, length, writable=True)),
    }
    assert len(said) == 1
    return said.pop()


def test_region_is_read_and_written_by_guest_physical_address() -> None:
    memory, low, _ = _two_regions()
    assert memory.read(RAM + 3, 4) == bytes([3, 4, 5, 6])
    memory.write(RAM + 3, b"abcd")
    assert low[2:8] == b"\x02abcd\x07"


def test_range_over_two_regions_is_one_range() -> None:
    memory, low, high = _two_regions()
    assert memory.read(RAM + 30, 5) == bytes(range(30, 35))
    memory.write(RAM + 30, b"abcde")
    assert low[29:] + high[:4] == b"\x1dabcde\x23"
    assert [bytes(view) for view in memory.views(RAM + 30, 5)] == [b"ab", b"cde"]


def test_view_is_the_memory_itself() -> None:
    memory, low, _ = _two_regions()
    view = memory.views(RAM + 8, 4)[0]
    view[1] = 0xAA
    low[10] = 0xBB
    assert bytes(view) == bytes([8, 0xAA, 0xBB, 11])


@pytest.mark.parametrize(
    ("address", "length", "errno"),
    [
        (RAM, 32, None),
        (RAM + 31, 1, None),
        (RAM - 1, 1, EFAULT),
        (RAM - 1, 2, EFAULT),
        (RAM + 48, 1, EFAULT),
        (0, 1, EFAULT),
        ((RAM << 20) + 7, 1, None),
        ((RAM << 20) + 7, 2, EFAULT),
        (END - 1, 1, EFAULT),
        (END - 1, 2, EFAULT),
        (END, 1, EFAULT),
        (-1, 1, EFAULT),
    ],
)
def test_memory_ends_where_its_regions_end(address: int, length: int, errno: int | None) -> None:
    assert access(_two_regions()[0], address, length) == errno


def test_last_byte_of_64_bits_can_be_memory_and_nothing_wraps_around() -> None:
    memory = GuestMemory()
    memory.add(END - 16, bytearray(16))
    memory.add(0, bytearray(16))
    assert access(memory, END - 16, 16) is None
    assert access(memory, END - 16, 17) == EFAULT


@pytest.mark.parametrize("length", [-1, -RAM])
def test_negative_length_is_refused(length: int) -> None:
    memory = _two_regions()[0]
    memory.read(RAM, 1)
    assert access(memory, RAM + 4, length) == EFAULT


def test_access_of_no_bytes_is_none() -> None:
    memory = GuestMemory()
    assert memory.read(RAM, 0) == b""
    memory.write(RAM, b"")
    assert memory.views(RAM, 0) == []


def test_failed_write_writes_nothing() -> None:
    memory, low, high = _two_regions()
    assert errno_of(lambda: memory.write(RAM, bytes(49))) == EFAULT
    assert low + high == bytes(range(48))


def test_locate_finds_what_lies_in_one_region_only() -> None:
    memory = _two_regions()[0]
    view, offset = memory.locate(RAM + 40, 8)
    assert view[offset] == 40
    assert errno_of(lambda: memory.locate(RAM + 31, 2)) == EFAULT


def test_read_only_memory_is_read_and_never_written() -> None:
    memory = GuestMemory()
    memory.add(RAM, b"firmware")
    memory.add(RAM + 8, bytearray(8))
    assert memory.read(RAM, 8) == b"firmware"
    assert errno_of(lambda: memory.locate(RAM, 4)) == EFAULT
    for start, errno in ((RAM, EFAULT), (RAM + 4, EFAULT), (RAM + 8, None)):
        assert errno_of(partial(memory.write, start, bytes(8))) == errno
        assert errno_of(partial(memory.require, start, 8, writable=True)) == errno
        assert errno_of(partial(memory.views, start, 8, writable=True)) == errno


@pytest.mark.parametrize(
    ("address", "size", "errno"),
    [
        (RAM - 4, 4, None),
        (RAM - 4, 5, EEXIST),
        (RAM + 47, 1, EEXIST),
        (RAM + 48, 1, None),
        (RAM - 1, 100, EEXIST),
        (RAM, 0, EINVAL),
        (0, 0, EINVAL),
        (-1, 4, EINVAL),
        (END - 4, 4, None),
        (END - 4, 5, EINVAL),
        (END, 1, EINVAL),
    ],
)
def test_region_needs_room_of_its_own(address: int, size: int, errno: int | None) -> None:
    assert errno_of(lambda: _two_regions()[0].add(address, bytearray(size))) == errno


@pytest.mark.parametrize(("address", "size"), [(RAM, 31), (RAM, 33), (RAM + 1, 31), (RAM, 48), (0, 32)])
def test_only_a_whole_region_can_be_taken_away(address: int, size: int) -> None:
    assert errno_of(lambda: _two_regions()[0].remove(address, size)) == EINVAL


def test_removed_memory_is_gone_and_its_mapping_can_be_closed() -> None:
    fd = os.memfd_create("ram")
    os.truncate(fd, PAGE_SIZE)
    pages = mmap(fd, PAGE_SIZE)
    memory = GuestMemory()
    memory.add(RAM, pages)
    memory.write(RAM, b"seen by the other process")
    located = memory.locate(RAM, 4)
    memory.remove(RAM, PAGE_SIZE)
    pages.close()
    assert access(memory, RAM, 1) == EFAULT
    with pytest.raises(ValueError, match="released"):
        located[0][0]
    with mmap(fd, PAGE_SIZE, access=ACCESS_READ) as other:
        assert other[:4] == b"seen"
    os.close(fd)


def test_version_changes_with_the_regions() -> None:
    memory = GuestMemory()
    versions = [memory.version]
    memory.add(RAM, bytearray(8))
    versions.append(memory.version)
    memory.write(RAM, b"12345678")
    assert memory.version == versions[-1]
    memory.remove(RAM, 8)
    versions.append(memory.version)
    assert len(set(versions)) == 3


# -- sparse memory


def test_sparse_memory_is_zero_until_written() -> None:
    memory = GuestMemory(sparse=1 << 20)
    assert memory.read(0x5A5F000, 8192) == bytes(8192)
    memory.write(0x5A5F123, b"pixels")
    assert memory.read(0x5A5F122, 8) == b"\0pixels\0"


def test_sparse_memory_lies_around_the_regions() -> None:
    memory = GuestMemory(sparse=1 << 20)
    memory.add(RAM + 100, bytearray(b"x" * 10))
    assert memory.read(RAM + 98, 14) == b"\0\0" + b"x" * 10 + b"\0\0"
    memory.write(RAM + 98, b"y" * 14)
    assert memory.read(RAM + 97, 16) == b"\0" + b"y" * 14 + b"\0"


def test_sparse_memory_counts_whole_pages_once() -> None:
    memory = GuestMemory(sparse=1 << 20)
    for address in (RAM, RAM + 1, RAM + PAGE_SIZE - 1):
        memory.read(address, 1)
    assert memory.sparse_used == PAGE_SIZE
    memory.read(RAM + PAGE_SIZE - 1, 2)
    assert memory.sparse_used == 2 * PAGE_SIZE


@pytest.mark.parametrize(("pages", "errno"), [(2, None), (3, None), (4, ENOMEM)])
def test_sparse_memory_has_a_limit(pages: int, errno: int | None) -> None:
    memory = GuestMemory(sparse=3 * PAGE_SIZE)
    assert access(memory, RAM, pages * PAGE_SIZE) == errno
    assert memory.sparse_used == (0 if errno else pages * PAGE_SIZE)


def test_page_that_is_there_does_not_count_at_the_limit() -> None:
    memory = GuestMemory(sparse=2 * PAGE_SIZE)
    memory.write(RAM, bytes(2 * PAGE_SIZE))
    assert access(memory, RAM, 2 * PAGE_SIZE) is None
    assert access(memory, RAM, 2 * PAGE_SIZE + 1) == ENOMEM


def test_endless_length_allocates_nothing() -> None:
    memory = GuestMemory(sparse=1 << 30)
    tracemalloc.start()
    try:
        assert access(memory, RAM, 1 << 62) == ENOMEM
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


# -- against a plain picture of 512 bytes

PLACES = st.tuples(st.integers(0, 511), st.integers(1, 80))


@given(st.lists(PLACES, max_size=6), st.lists(st.tuples(PLACES, st.binary(max_size=80)), max_size=12), st.booleans())
def test_memory_is_what_a_flat_picture_of_it_says(
    regions: list[tuple[int, int]], writes: list[tuple[tuple[int, int], bytes]], sparse: bool
) -> None:
    memory, there, content = GuestMemory(sparse=PAGE_SIZE if sparse else 0), [False] * 600, bytearray(600)
    for start, size in regions:
        if any(there[start : start + size]):
            continue
        memory.add(start, bytearray(size))
        there[start : start + size] = [True] * size
    if sparse:
        there = [True] * 600
    for (start, size), data in writes:
        end = start + len(data)
        written = errno_of(partial(memory.write, start, data))
        assert written == (None if all(there[start:end]) else EFAULT)
        if written is None:
            content[start:end] = data
        if all(there[start : start + size]):
            assert memory.read(start, size) == content[start : start + size]
            assert b"".join(memory.views(start, size)) == content[start : start + size]
        else:
            assert access(memory, start, size) == EFAULT
