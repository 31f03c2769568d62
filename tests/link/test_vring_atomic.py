"""The far side of a ring may run on another CPU: it must never see a number that nobody stored."""

import mmap
import os

import pytest

from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import AVAIL_IDX, USED_IDX, Rings, Vring

LOADS = 400_000


@pytest.mark.parametrize("field", [AVAIL_IDX, USED_IDX])
def test_field_is_stored_whole(field: int) -> None:
    with mmap.mmap(-1, 4096) as pages:
        memory = GuestMemory()
        memory.add(0, pages)
        rings = Rings(memory, Vring.at(0, 16))
        rings.store(field, 0x0101)
        child = os.fork()
        if not child:
            while not pages[4095]:
                for _ in range(100):
                    rings.store(field, 0x0101)
            os._exit(0)
        seen = {rings.load(field) for _ in range(LOADS)}
        pages[4095] = 1
        os.waitpid(child, 0)
        memory.remove(0, 4096)
    assert seen == {0x0101}
