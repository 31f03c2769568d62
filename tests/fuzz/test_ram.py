"""Guest memory that is used again is as if it was new."""

import pytest

from vgpu_emu.fuzz import ram
from vgpu_emu.fuzz.core import Core
from vgpu_emu.fuzz.model.setup import Setup


def test_used_memory_is_cleared() -> None:
    new = bytes(ram.take_memory(1 << 18))
    used = ram.take_memory(1 << 18)
    used[:] = b"\xff" * len(used)
    ram.give_back(used)
    again = ram.take_memory(1 << 18)
    assert again is used
    assert again == new
    assert not any(again[: 1 << 17])
    assert again[1 << 17 :] == ram.pattern(1 << 17)


def test_no_word_of_the_pattern_is_another_one() -> None:
    data = ram.pattern(1 << 17)
    assert len({data[place : place + 4] for place in range(0, len(data), 4)}) == 1 << 15


def test_what_is_too_much_is_not_kept() -> None:
    # the limit is on all that is kept, and other tests have left some there
    big = [ram.take_memory(1 << 22) for _ in range(3)]
    for memory in big:
        ram.give_back(memory)
    again = [ram.take_memory(1 << 22) for _ in range(3)]
    assert len([memory for memory in again if any(memory is one for one in big)]) < 3


def test_machine_that_is_closed_has_no_memory_left() -> None:
    core = Core(Setup())
    core.close()
    assert not core.world.memory
    with pytest.raises(OSError, match="no memory at"):
        core.parts.memory.read(0, 1)
