"""A blob in a BAR: the same bytes for the guest, who has mapped the memfd, and for whoever holds the blob's memory."""

import mmap
import os
from collections.abc import Iterator

import pytest

from vgpu_emu.peers.vfio_user.bar import Bar, BlobMemory

pytestmark = pytest.mark.usefixtures("nothing_left")
PAGE = 4096


@pytest.fixture
def bar(nothing_left: None) -> Iterator[Bar]:
    made = Bar(1 << 24)
    yield made
    made.clear()
    made.close()


@pytest.fixture
def guest(bar: Bar) -> Iterator[mmap.mmap]:
    """What the guest sees of the BAR."""
    with mmap.mmap(bar.fileno, bar.size) as seen:
        yield seen


@pytest.fixture
def blob(bar: Bar) -> Iterator[BlobMemory]:
    memory = BlobMemory.memfd(4 * PAGE, "blob 1")
    yield memory
    bar.clear()
    memory.release()


def pages_of(fileno: int) -> int:
    return os.fstat(fileno).st_blocks * 512 // PAGE


def test_blob_keeps_its_bytes_on_the_way_into_the_bar_and_back(bar: Bar, guest: mmap.mmap, blob: BlobMemory) -> None:
    blob.write(PAGE - 2, b"host")
    bar.map(0x10000, 4 * PAGE, blob)
    assert guest[0x10000 + PAGE - 2 :][:4] == b"host"
    bar.unmap(0x10000)
    assert blob.read(PAGE - 2, 4) == b"host"


def test_bytes_agree_both_ways_while_mapped(bar: Bar, guest: mmap.mmap, blob: BlobMemory) -> None:
    bar.map(0x10000, 4 * PAGE, blob)
    guest[0x10000 + 5 : 0x10000 + 10] = b"guest"
    assert blob.read(5, 5) == b"guest"
    blob.write(3 * PAGE, b"host")
    assert guest[0x10000 + 3 * PAGE :][:4] == b"host"
    bar.unmap(0x10000)
    bar.map(0, 4 * PAGE, blob)
    assert guest[5:10] == b"guest"


def test_next_blob_at_the_place_sees_nothing_of_the_last(bar: Bar, guest: mmap.mmap, blob: BlobMemory) -> None:
    bar.map(0, 4 * PAGE, blob)
    guest[100:106] = b"secret"
    bar.unmap(0)
    # a read makes pages
    assert pages_of(bar.fileno) == 0
    assert guest[: 4 * PAGE] == bytes(4 * PAGE)


def test_untouched_pages_are_not_copied(bar: Bar) -> None:
    large = BlobMemory.memfd(1 << 24, "large")
    large.write(PAGE, b"x")
    bar.map(0, 1 << 24, large)
    assert pages_of(bar.fileno) == 1
    bar.unmap(0)
    large.release()


def test_what_is_cut_out_of_a_mapping_goes_back_and_the_rest_stays(
    bar: Bar, guest: mmap.mmap, blob: BlobMemory
) -> None:
    for page in range(4):
        blob.write(page * PAGE, b"%d" % page)
    bar.map(0, 4 * PAGE, blob)
    bar.cut(PAGE, PAGE)
    guest[0:1], guest[PAGE : PAGE + 1], guest[3 * PAGE : 3 * PAGE + 1] = b"a", b"b", b"d"
    assert [blob.read(page * PAGE, 1) for page in range(4)] == [b"a", b"1", b"2", b"d"]
    assert blob.read(0, 4 * PAGE) == b"".join(first.ljust(PAGE, b"\0") for first in (b"a", b"1", b"2", b"d"))


def test_blob_that_is_mapped_twice_is_where_it_was_mapped_last(bar: Bar, guest: mmap.mmap, blob: BlobMemory) -> None:
    bar.map(0, 4 * PAGE, blob)
    guest[0:3] = b"one"
    bar.map(0x10000, 4 * PAGE, blob)
    assert guest[0x10000:0x10003] == b"one"
    guest[0x10000:0x10003] = b"two"
    assert blob.read(0, 3) == b"two"
    bar.unmap(0x10000)
    assert guest[0:3] == b"two"
    bar.unmap(0)
    assert blob.read(0, 3) == b"two"


def test_access_out_of_bounds_is_refused(bar: Bar, blob: BlobMemory) -> None:
    bar.map(0, PAGE, blob)
    with pytest.raises(OSError, match="outside"):
        blob.read(4 * PAGE - 1, 2)
    with pytest.raises(OSError, match="outside"):
        blob.write(4 * PAGE, b"x")
