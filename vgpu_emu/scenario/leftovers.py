"""The end of a scenario: its programs exit, and then nobody may hold anything any more."""

import gc
import os
from collections.abc import Iterable
from contextlib import suppress

import trio

from vgpu_emu.guest.waiting import Op
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.scenario.insides import device_state, held_by_the_guest, held_for_the_guest
from vgpu_emu.scenario.steps import FOREVER
from vgpu_emu.scenario.world import World


async def exit_programs(world: World) -> list[str]:
    """The guest's programs end, as the kernel ends them: mappings, dma-bufs, files. What is left then, in words.

    Of a device that is dead or needs a reset nobody can say more.
    """
    if device_state(world.machine) != "works":
        return []
    machine = world.machine
    # what is not answered by then will be told
    with trio.move_on_after(FOREVER), suppress(DeviceError):
        await world.run(_exit(world))
        await machine.settle()
    await world.quiet()
    left = held_for_the_guest(machine, world.raw_resources, world.raw_contexts)
    return left + held_by_the_guest(machine, world.free_bytes)


def _exit(world: World) -> Op[None]:
    for vma in world.mappings:
        yield from vma.munmap()
    for dma_buf in world.dma_bufs:
        yield from dma_buf.close()
    world.machine.driver.console = None
    for file in world.files:
        yield from file.close()
    world.machine.driver.pages.release(world.foreign)


def unexpected(left: Iterable[str], expected: Iterable[str]) -> tuple[list[str], list[str]]:
    """What is left and was not expected; what was expected and is not left. Each expectation stands for one thing."""
    surplus, missing = list(left), []
    for words in expected:
        found = next((thing for thing in surplus if words in thing), None)
        if found is None:
            missing.append(words)
        else:
            surplus.remove(found)
    return surplus, missing


class Process:
    """What this process has open, counted before a run and after it. A mapping of a memfd keeps a descriptor of it."""

    def __init__(self) -> None:
        self._before = set(os.listdir("/proc/self/fd"))

    def left(self) -> list[str]:
        if not set(os.listdir("/proc/self/fd")) - self._before:
            return []
        # an exception that was caught may still hold a frame in a cycle
        gc.collect()
        return [f"an open file: {name}" for name in map(_file, set(os.listdir("/proc/self/fd")) - self._before) if name]


def _file(number: str) -> str:
    """What the descriptor is of; nothing of the one that was open to look."""
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except FileNotFoundError:
        return ""
