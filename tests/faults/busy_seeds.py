"""Busy guests under random faults: ``python busy_seeds.py FIRST COUNT``. One seed is one run; a seed that fails is told
with its plan, which fails without the seed's randomness, too."""

import sys
from collections import Counter
from contextlib import suppress
from random import Random

import trio
import trio.testing
from test_fault_matrix import answers_too_many, left, live, may_be_lost

from vgpu_emu.assembly import Config, size_only
from vgpu_emu.faults.drawing import draw
from vgpu_emu.faults.plan import CorruptBit, Drop, Duplicate, Fault, Reorder, Truncate
from vgpu_emu.guest.file import HINT_DEFER_MAPPING, DrmFile
from vgpu_emu.guest.probe import probe
from vgpu_emu.guest.vma import Vma
from vgpu_emu.ids import GemHandle
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.restarting import rebind, restart
from vgpu_emu.simulation import Simulation
from vgpu_emu.trace.hashing import trace_hash
from vgpu_wire.context_stream import ExporterKind, StreamAlloc, StreamWork

PAGE = 4096
#: in seconds; longer than a user's rounds take when nothing is lost
LONG = 1000.0
ROUNDS = 3
NEVER = Drop(skip=1 << 40)


async def user(machine: Machine, random: Random, number: int) -> None:
    """Rounds of a guest's program, with a file of its own; what is refused ends the round."""
    file = DrmFile(machine.driver)
    for turn in range(ROUNDS):
        if file.driver is not machine.driver:
            file = DrmFile(machine.driver)
        try:
            await round_of(machine, file, random, number * 100 + turn)
        except OSError:
            await trio.sleep(random.choice((0, 0.5)))
    await machine.run(file.close())


async def round_of(machine: Machine, file: DrmFile, random: Random, blob_id: int) -> None:
    size = random.choice((1, 2, 5)) * PAGE
    cmd = StreamAlloc(exporter=random.choice(list(ExporterKind)).value, blob_id=blob_id, size=size).build()
    hints = random.choice((0, 0, HINT_DEFER_MAPPING))
    create = file.resource_create_blob(size=size, blob_id=blob_id, cmd=cmd, blob_hints=hints)
    handle = await machine.run(create)
    dumb = await machine.run(file.create_dumb(16, 16)) if random.random() < 0.3 else None
    vma = await machine.run(file.mmap(file.map(handle), size))
    try:
        await touch(machine, file, random, handle, vma, b"%08d" % blob_id)
    finally:
        await machine.run(vma.munmap())
        await machine.run(file.gem_close(handle))
        if dumb is not None:
            await machine.run(file.gem_close(dumb.handle))


async def touch(machine: Machine, file: DrmFile, random: Random, handle: GemHandle, vma: Vma, text: bytes) -> None:
    """Write, work behind a fence, read."""
    has_bytes = machine.parts.config.backing is not size_only
    if has_bytes:
        vma.write(8, text)
    work = StreamWork(microseconds=random.choice((1, 1000, 100_000))).build()
    await machine.run(file.execbuffer(work, bo_handles=[handle]))
    if random.random() < 0.7:
        await machine.run(file.wait(handle))
    if has_bytes and not is_garbled(machine):
        assert vma.read(8, len(text)) == text, "another's bytes"


def is_garbled(machine: Machine) -> bool:
    """A request may have reached the device as another one."""
    return any(isinstance(fault, CorruptBit | Reorder | Truncate) for fault in fired(machine))


def fired(machine: Machine) -> list[Fault]:
    assert machine.injector is not None
    return machine.injector.fired


def plan_of(seed: int) -> list[Fault]:
    random = Simulation(seed).random("faults")
    return [*draw(random, random.choice((0, 1, 2, 3, 5, 8)))]


async def busy(seed: int) -> tuple[str, Machine]:
    """How it ended, and the machine. Raises AssertionError for a violation."""
    plan, random = plan_of(seed), Simulation(seed).random("program")
    backing = random.choice((size_only, size_only, Config().backing))
    config = Config(guest_memory=2 << 20, host_visible=1 << 18, backing=backing, virtqueues=random.random() < 0.3)
    if config.virtqueues:
        plan = [fault for fault in plan if not (isinstance(fault, Duplicate) and fault.answer)]
    async with open_machine(config, faults=plan or [NEVER]) as machine:
        ended = await work_and_look(machine, random)
    assert machine.parts.leaks() == []
    return ended, machine


async def work_and_look(machine: Machine, random: Random) -> str:
    injector = machine.injector
    assert injector is not None
    # a driver that is unbound meanwhile gets no answer
    with trio.move_on_after(LONG) as patience, suppress(OSError):
        await machine.run(probe(machine.driver))
        async with trio.open_nursery() as nursery:
            for number in range(2):
                nursery.start_soon(user, machine, random, number)
        await machine.settle()
    waits = tuple(machine.waits())
    lost = any(map(may_be_lost, fired(machine)))
    assert not patience.cancelled_caught or lost or machine.vmm.device.silent, f"a hang: {waits}"
    assert answers_too_many(machine) == {}
    injector.stop()
    await trio.sleep(LONG)
    if machine.vmm.lost is not None:
        return "host lost"
    await rebind(machine)
    await restart(machine)
    assert left(machine) == []
    assert await live(machine) == (None, ())
    assert left(machine) == []
    return "hang" if patience.cancelled_caught else "well"


def main(first: int, count: int) -> int:
    ends: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    for seed in range(first, first + count):
        try:
            ended, machine = Simulation(seed).run(busy, seed)
            if seed % 50 == 0:
                again = Simulation(seed).run(busy, seed)[1]
                assert trace_hash(again.log.events) == trace_hash(machine.log.events), "another trace"
        except BaseException as error:
            print(f"seed {seed}: {type(error).__name__}: {error}\n  plan {plan_of(seed)}", flush=True)
            ends["VIOLATION"] += 1
            if isinstance(error, KeyboardInterrupt):
                break
        else:
            ends[ended] += 1
            happened.update(type(fault).__name__ for fault in fired(machine))
    print(f"{count} seeds from {first}: {dict(ends)}\nfaults that happened: {dict(happened.most_common())}")
    return int(bool(ends["VIOLATION"]))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
