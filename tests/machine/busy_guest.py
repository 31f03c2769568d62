"""A guest program that never rests, and a clock that finds a hang at once."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
from support import create_and_mmap

from vgpu_emu.guest.file import DrmFile
from vgpu_emu.machine import Machine

Clock = trio.testing.MockClock
T = TypeVar("T")


def virtually(main: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Run it with a clock that jumps, so that a hang is found at once."""

    async def patiently() -> T:
        with trio.fail_after(3600):
            return await main(*arguments)

    return trio.run(patiently, clock=Clock(autojump_threshold=0))


async def busy(machine: Machine, rounds: int = 1000) -> None:
    """A guest program that makes, maps, fills and closes buffers."""
    file = DrmFile(machine.driver)
    for number in range(rounds):
        handle, vma = await machine.run(create_and_mmap(file, blob_id=number))
        vma.write(0, b"busy")
        await machine.run(vma.munmap())
        await machine.run(file.gem_close(handle))
