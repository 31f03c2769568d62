"""Guest memory for objects: pages from the lowest free one on, merged entries, a limit, zeros."""

from errno import EFAULT, EINVAL, ENOMEM

import pytest
from guest_kit import BLOBS_2D, PAGE, Guest, errno_of, of_type, refusal
from support import Call

from vgpu_emu.guest.pages import FIRST_PAGE, PageAllocator, entries_of
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.vocabulary import Pgprot
from vgpu_wire.blob import BlobMem, ResourceCreateBlob


def _pages(count: int) -> PageAllocator:
    memory = GuestMemory()
    size = FIRST_PAGE + count * PAGE
    memory.add(0, bytearray(size))
    return PageAllocator(memory, size)


def _run(first: int, count: int) -> tuple[int, int]:
    return FIRST_PAGE + first * PAGE, FIRST_PAGE + (first + count) * PAGE


def test_pages_are_the_lowest_free_ones_in_as_few_runs_as_they_are() -> None:
    pages = _pages(8)
    first, second, third = (pages.allocate(PAGE * count) for count in (2, 1, 2))
    assert (first, second, third) == ([_run(0, 2)], [_run(2, 1)], [_run(3, 2)])
    pages.release(second)
    assert pages.allocate(3 * PAGE) == [_run(2, 1), _run(5, 2)]


def test_neighbours_that_are_free_are_one_run_again() -> None:
    pages = _pages(6)
    runs = [pages.allocate(2 * PAGE) for _ in range(3)]
    for index in (0, 2, 1):
        pages.release(runs[index])
    assert pages.free_bytes == 6 * PAGE
    assert pages.allocate(6 * PAGE) == [_run(0, 6)]


@pytest.mark.parametrize(("count", "errno"), [(3, None), (4, None), (5, ENOMEM)])
def test_more_than_there_is_is_enomem_and_takes_nothing(count: int, errno: int | None) -> None:
    pages = _pages(4)
    assert refusal(lambda: pages.allocate(count * PAGE)) == errno
    assert pages.free_bytes == (4 * PAGE if errno else (4 - count) * PAGE)


def test_pages_read_as_zero_also_after_somebody_wrote_to_them() -> None:
    pages = _pages(2)
    runs = pages.allocate(2 * PAGE)
    pages.memory.write(runs[0][0], b"secret")
    pages.release(runs)
    assert pages.memory.read(pages.allocate(2 * PAGE)[0][0], 6) == bytes(6)


def test_guest_without_memory_has_no_pages() -> None:
    assert refusal(lambda: PageAllocator(GuestMemory(), 0).allocate(PAGE)) == ENOMEM


@pytest.mark.parametrize(
    ("end", "lengths"),
    [
        (PAGE, [PAGE]),
        ((1 << 32) - PAGE, [(1 << 32) - PAGE]),
        (1 << 32, [(1 << 32) - PAGE, PAGE]),
        (1 << 33, [(1 << 32) - PAGE] * 2 + [2 * PAGE]),
    ],
)
def test_entry_has_32_bits_for_its_length(end: int, lengths: list[int]) -> None:
    entries = entries_of([(0, end)])
    assert [entry.length for entry in entries] == lengths
    assert [entry.addr for entry in entries] == [sum(lengths[:index]) for index in range(len(lengths))]


def test_device_is_told_of_the_pages_that_the_program_writes_to() -> None:
    guest = Guest(BLOBS_2D)
    hole = guest.run(guest.file.resource_create_blob(size=PAGE, blob_mem=BlobMem.GUEST))
    guest.run(guest.file.resource_create_blob(size=PAGE, blob_mem=BlobMem.GUEST))
    guest.run(guest.file.gem_close(hole))
    handle = Call(guest.file.resource_create_blob(size=3 * PAGE, blob_mem=BlobMem.GUEST)).value
    (blob,) = of_type(guest.sent(), ResourceCreateBlob)
    assert [entry.length for entry in blob.entries] == [PAGE, 2 * PAGE]
    vma = guest.run(guest.file.mmap(guest.file.map(handle), 3 * PAGE))
    assert vma.pgprot is Pgprot.CACHED
    vma.write(PAGE - 2, b"over the edge")
    assert guest.memory.read(blob.entries[0].addr + PAGE - 2, 2) == b"ov"
    assert guest.memory.read(blob.entries[1].addr, 11) == b"er the edge"
    assert vma.read(PAGE - 2, 13) == b"over the edge"
    assert refusal(lambda: vma.read(3 * PAGE - 1, 2)) == EFAULT


@pytest.mark.parametrize(("length", "pgoff", "errno"), [(PAGE, PAGE, None), (2 * PAGE, PAGE, EINVAL), (0, 0, EINVAL)])
def test_mapping_is_within_the_object(length: int, pgoff: int, errno: int | None) -> None:
    guest = Guest(BLOBS_2D)
    handle = guest.run(guest.file.resource_create_blob(size=2 * PAGE, blob_mem=BlobMem.GUEST))
    assert errno_of(guest.file.mmap(guest.file.map(handle), length, pgoff)) == errno


def test_mapping_keeps_the_pages_after_the_handle_is_closed() -> None:
    guest = Guest(BLOBS_2D)
    handle = guest.run(guest.file.resource_create_blob(size=PAGE, blob_mem=BlobMem.GUEST))
    vma = guest.run(guest.file.mmap(guest.file.map(handle), PAGE))
    free = guest.driver.pages.free_bytes
    guest.run(guest.file.gem_close(handle))
    vma.write(0, b"mine")
    assert guest.driver.pages.free_bytes == free
    guest.run(vma.munmap())
    assert guest.driver.pages.free_bytes == free + PAGE


@pytest.mark.parametrize(
    ("size", "first", "free"),
    [
        (0, 0, 0),
        (PAGE, PAGE, 0),
        (3 * PAGE - 1, PAGE, PAGE),
        (1 << 18, 1 << 17, 1 << 17),
        (FIRST_PAGE, FIRST_PAGE // 2, FIRST_PAGE // 2),
        (FIRST_PAGE + PAGE, FIRST_PAGE, PAGE),
    ],
)
def test_of_little_memory_the_lower_half_is_not_for_objects(size: int, first: int, free: int) -> None:
    pages = PageAllocator(GuestMemory(), size)
    assert (pages.first, pages.free_bytes) == (first, free)
