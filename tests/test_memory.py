"""Memory: real pages or a size alone, and who holds it."""

import os
from errno import EFBIG, EINVAL, ENODEV, ENXIO
from pathlib import Path

import pytest

from vgpu_emu.memory import Memory

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_memory_reads_as_zero_until_written() -> None:
    memory = Memory.memfd(100, "fresh")
    assert memory.read(0, 100) == bytes(100)
    memory.write(98, memoryview(b"ab"))
    memory.write(0, bytearray(b"c"))
    assert (memory.read(97, 3), memory.read(0, 2)) == (b"\0ab", b"c\0")
    memory.release()


@pytest.mark.parametrize(("offset", "length"), [(0, 101), (100, 1), (101, 0), (-1, 1), (-1, 0), (50, -1)])
def test_access_out_of_bounds_is_enxio(offset: int, length: int) -> None:
    memory = Memory.memfd(100, "bounds")
    with pytest.raises(OSError, match="is outside of 0x64 bytes") as refused:
        memory.read(offset, length)
    assert refused.value.errno == ENXIO
    if length >= 0:
        with pytest.raises(OSError, match="is outside of 0x64 bytes"):
            memory.write(offset, bytes(length))
    memory.release()


def test_access_of_nothing_is_allowed_up_to_the_end() -> None:
    memory = Memory.memfd(100, "end")
    assert memory.read(100, 0) == b""
    memory.write(100, b"")
    memory.release()


def test_size_alone_has_bounds_but_no_bytes() -> None:
    memory = Memory(100, None)
    with pytest.raises(OSError, match="no bytes") as no_bytes:
        memory.write(0, b"a")
    with pytest.raises(OSError, match="outside") as outside:
        memory.read(0, 101)
    assert (no_bytes.value.errno, outside.value.errno) == (ENODEV, ENXIO)
    assert repr(memory) == "<Memory 0x64 bytes, size-only, 1 holders>"


def test_last_holder_closes_the_memfd() -> None:
    memory = Memory.memfd(100, "held").hold()
    memory.release()
    assert memory.read(0, 1) == b"\0"
    assert "memfd" in repr(memory)
    memory.release()
    assert memory.fileno is None
    assert "/memfd:held" not in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_memory_that_is_gone_cannot_be_held_or_released() -> None:
    memory = Memory(100, None)
    memory.release()
    with pytest.raises(ValueError, match="more often than held"):
        memory.release()
    with pytest.raises(ValueError, match="is gone"):
        memory.hold()


def test_memory_that_cannot_be_had_leaves_no_descriptor() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        Memory.memfd(-1, "less than nothing")


@pytest.mark.parametrize("size", [1 << 63, 1 << 64])
def test_memory_of_more_bytes_than_a_file_can_have_is_refused(size: int) -> None:
    with pytest.raises(OSError, match="a file of") as refused:
        Memory.memfd(size, "huge")
    assert refused.value.errno == EFBIG


def test_nobody_can_change_the_size_of_memory() -> None:
    memory = Memory.memfd(4096, "sealed")
    assert memory.fileno is not None
    for size in (0, 8192):
        with pytest.raises(PermissionError):
            os.truncate(memory.fileno, size)
    memory.release()


def test_memory_that_another_process_passed_is_the_same() -> None:
    made = Memory.memfd(4096, "made")
    received = Memory.received(os.dup(made.fileno or -1))
    made.write(7, b"seven")
    assert (received.size, received.read(7, 5), received.identity) == (4096, b"seven", made.identity)
    made.release()
    received.write(0, b"still there")
    received.release()


def test_file_that_can_shrink_is_no_memory() -> None:
    for fileno in (os.memfd_create("open", os.MFD_ALLOW_SEALING), os.open("/dev/null", os.O_RDWR)):
        with pytest.raises(OSError, match=r"can shrink|Invalid argument") as refused:
            Memory.received(fileno)
        assert refused.value.errno == EINVAL
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fileno)


def test_mapping_ahead_of_use_is_the_mapping_of_every_use() -> None:
    memory = Memory.memfd(4096, "mapped")
    pages = memory.map()
    memory.write(0, b"here")
    assert pages[:4] == b"here"
    assert memory.map() is pages
    memory.release()
    with pytest.raises(OSError, match="no bytes"):
        Memory(4096, None).map()
