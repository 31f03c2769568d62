"""Guest memory read into a buffer: as `read`, piece by piece where regions meet, and not at all where there is none."""

from errno import EFAULT

import pytest

from vgpu_emu.link.guest_memory import GuestMemory


@pytest.fixture
def memory() -> GuestMemory:
    memory = GuestMemory()
    memory.add(0x1000, bytes(range(16)))
    memory.add(0x1010, bytearray(range(16, 48)))
    return memory


@pytest.mark.parametrize(
    ("address", "length"), [(0x1000, 16), (0x1004, 3), (0x100C, 8), (0x1000, 48), (0x102F, 1), (0, 0)]
)
def test_it_is_what_read_gives(memory: GuestMemory, address: int, length: int) -> None:
    buffer = bytearray(b"\xee" * (length + 2))
    memory.read_into(address, memoryview(buffer)[1:-1])
    assert buffer == b"\xee" + memory.read(address, length) + b"\xee"


@pytest.mark.parametrize(("address", "length"), [(0xFFF, 2), (0x102F, 2), (0x5000, 1), (2**64 - 1, 4)])
def test_nothing_is_written_where_a_part_is_no_memory(memory: GuestMemory, address: int, length: int) -> None:
    buffer = bytearray(length)
    with pytest.raises(OSError, match="0x") as refused:
        memory.read_into(address, memoryview(buffer))
    assert refused.value.errno == EFAULT
    assert buffer == bytes(length)
