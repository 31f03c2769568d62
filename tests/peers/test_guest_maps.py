"""A VMM's descriptors as guest memory: what they say is looked at before anything is mapped."""

import fcntl
import os
from collections.abc import Iterator
from errno import EEXIST, EINVAL, ENOSPC

import pytest

from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.peers import guest_maps
from vgpu_emu.peers.guest_maps import MAX_MAPS, GuestMaps

pytestmark = pytest.mark.usefixtures("nothing_left")
PAGE = 4096


@pytest.fixture
def maps(nothing_left: None) -> Iterator[GuestMaps]:
    made = GuestMaps(GuestMemory())
    yield made
    made.close()


@pytest.fixture
def memfd(nothing_left: None) -> Iterator[int]:
    fileno = os.memfd_create("ram", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(fileno, 4 * PAGE)
    yield fileno
    os.close(fileno)


def test_bytes_agree_both_ways(maps: GuestMaps, memfd: int) -> None:
    maps.add(0x10000, 2 * PAGE, memfd, PAGE)
    maps.memory.write(0x10000 + PAGE - 2, b"host")
    assert os.pread(memfd, 4, 2 * PAGE - 2) == b"host"
    os.pwrite(memfd, b"guest", PAGE)
    assert maps.memory.read(0x10000, 5) == b"guest"


def test_read_only_memory_is_not_written(maps: GuestMaps, memfd: int) -> None:
    maps.add(0, PAGE, memfd, 0, writable=False)
    with pytest.raises(OSError, match="read-only"):
        maps.memory.write(0, b"x")


@pytest.mark.parametrize(
    ("address", "size", "offset", "errno"),
    [
        pytest.param(0, 0, 0, EINVAL, id="no bytes"),
        pytest.param(1, PAGE, 0, EINVAL, id="address inside a page"),
        pytest.param(0, PAGE + 1, 0, EINVAL, id="size inside a page"),
        pytest.param(0, PAGE, 8, EINVAL, id="offset inside a page"),
        pytest.param((1 << 64) - PAGE, 2 * PAGE, 0, EINVAL, id="wraps around"),
        pytest.param(0, 5 * PAGE, 0, EINVAL, id="one page more than the file"),
        pytest.param(0, PAGE, 4 * PAGE, EINVAL, id="behind the file"),
        pytest.param(0, PAGE, (1 << 64) - PAGE, EINVAL, id="the end wraps around"),
        pytest.param(0x8000 - PAGE, 2 * PAGE, 0, EEXIST, id="over the start of a map"),
        pytest.param(0x8000 + PAGE, 2 * PAGE, 0, EEXIST, id="over the end of a map"),
    ],
)
def test_map_that_lies_is_refused(
    maps: GuestMaps, memfd: int, address: int, size: int, offset: int, errno: int
) -> None:
    maps.add(0x8000, 2 * PAGE, memfd, 0)
    with pytest.raises(OSError, match="0x") as refused:
        maps.add(address, size, memfd, offset)
    assert (refused.value.errno, len(maps)) == (errno, 1)


def test_last_pages_of_64_bits_can_be_mapped(maps: GuestMaps, memfd: int) -> None:
    maps.add((1 << 64) - 4 * PAGE, 4 * PAGE, memfd, 0)
    assert maps.memory.read((1 << 64) - 1, 1) == b"\0"


def test_pipe_and_eventfd_are_no_memory(maps: GuestMaps) -> None:
    reader, writer = os.pipe()
    event = os.eventfd(0)
    for fileno in (reader, writer, event):
        with pytest.raises(OSError, match="no file with memory"):
            maps.add(0, PAGE, fileno, 0)
        os.close(fileno)


def test_number_of_maps_is_limited(maps: GuestMaps, memfd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_maps, "MAX_MAPS", 3)
    assert MAX_MAPS == 256
    for number in range(3):
        maps.add(number * PAGE, PAGE, memfd, 0)
    with pytest.raises(OSError, match="more than 3") as refused:
        maps.add(3 * PAGE, PAGE, memfd, 0)
    assert refused.value.errno == ENOSPC
    maps.remove(0, PAGE)
    maps.add(3 * PAGE, PAGE, memfd, 0)


@pytest.mark.parametrize(("address", "size"), [(0, PAGE), (0x8000, PAGE), (0x8000 + PAGE, PAGE), (0x8000, 3 * PAGE)])
def test_only_a_whole_map_is_taken_away(maps: GuestMaps, memfd: int, address: int, size: int) -> None:
    maps.add(0x8000, 2 * PAGE, memfd, 0)
    with pytest.raises(OSError, match="no region") as refused:
        maps.remove(address, size)
    assert (refused.value.errno, len(maps)) == (EINVAL, 1)


def test_memory_that_is_gone_from_its_file_is_memory_no_more(maps: GuestMaps) -> None:
    fileno = os.memfd_create("ram", os.MFD_CLOEXEC)
    os.truncate(fileno, 4 * PAGE)
    maps.add(0, 2 * PAGE, fileno, 0)
    maps.add(0x10000, 2 * PAGE, fileno, 2 * PAGE)
    os.truncate(fileno, 4 * PAGE - 1)
    maps.look_at_sizes()
    assert maps.memory.read(PAGE, 4) == bytes(4)
    with pytest.raises(OSError, match="no memory"):
        maps.memory.read(0x10000, 1)
    with pytest.raises(OSError, match="a mapping starts"):
        maps.add(0x10000, PAGE, fileno, 0)
    with pytest.raises(OSError, match="no mapping of"):
        maps.remove(0x10000, PAGE)
    maps.remove(0x10000, 2 * PAGE)
    os.truncate(fileno, 0)
    maps.look_at_sizes()
    maps.look_at_sizes()
    os.close(fileno)


def test_memory_that_can_be_sealed_is_not_shrunk_under_us(maps: GuestMaps, memfd: int) -> None:
    maps.add(0, PAGE, memfd, 0)
    with pytest.raises(PermissionError):
        os.truncate(memfd, 0)
    assert fcntl.fcntl(memfd, fcntl.F_GET_SEALS) == fcntl.F_SEAL_SHRINK
    assert not maps.shrinkable


def test_file_that_was_sealed_by_its_owner_needs_no_look(maps: GuestMaps, memfd: int) -> None:
    # as QEMU does it
    fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    maps.add(0, PAGE, memfd, 0)
    assert not maps.shrinkable
