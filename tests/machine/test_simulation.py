"""The same seed, the same run; a hang is found at once, and says who waits for what."""

import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import trio
from support import PAGE, create_and_mmap

from vgpu_emu.assembly import Config, size_only
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.simulation import HangError, Simulation, explore
from vgpu_emu.trace.hashing import trace_hash
from vgpu_emu.trace.log import Log
from vgpu_wire.context_stream import ExporterKind, StreamWork
from vgpu_wire.control import CtrlFlag
from vgpu_wire.render import CmdSubmit, CtxCreate
from vgpu_wire.renderer_link import Close, Ioctl, Question

HERE = Path(__file__).parent
SMALL = Config(guest_memory=1 << 16, backing=size_only)


async def order_of_tasks(number: int = 5) -> list[int]:
    """In which order so many tasks come to run."""
    order: list[int] = []

    async def mark(task: int) -> None:
        await trio.lowlevel.checkpoint()
        order.append(task)

    async with trio.open_nursery() as nursery:
        for task in range(number):
            nursery.start_soon(mark, task)
    return order


# -- scheduling: if a release of trio changes what this rests on, these fail


def test_order_of_tasks_is_the_seeds() -> None:
    orders = [Simulation(seed).run(order_of_tasks) for seed in range(40)]
    assert [Simulation(seed).run(order_of_tasks) for seed in range(40)] == orders
    assert len({tuple(order) for order in orders}) > 20


def test_every_order_of_tasks_has_a_seed() -> None:
    """trio by itself reverses a batch of tasks or does not: two orders of three tasks, not six."""
    seen = {tuple(Simulation(seed).run(order_of_tasks, 3)) for seed in range(60)}
    assert seen == set(permutations(range(3)))


def scheduler() -> list[object]:
    run: Any = trio._core._run
    return [run._ALLOW_DETERMINISTIC_SCHEDULING, run._r, run._r.getstate()]


@pytest.mark.parametrize("fails", [False, True])
def test_scheduler_of_others_is_as_it_was(fails: bool) -> None:
    before = scheduler()

    async def main() -> None:
        assert scheduler() != before
        if fails:
            raise ZeroDivisionError

    if fails:
        with pytest.raises(ZeroDivisionError):
            Simulation(1).run(main)
    else:
        Simulation(1).run(main)
    assert scheduler() == before


@pytest.mark.parametrize("name", ["_ALLOW_DETERMINISTIC_SCHEDULING", "_r"])
def test_trio_that_cannot_be_seeded_is_said_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(trio._core._run, name)
    with pytest.raises(RuntimeError, match="cannot be seeded"):
        Simulation().run(order_of_tasks)


def test_random_numbers_of_one_purpose_are_not_those_of_another() -> None:
    simulation = Simulation(7)
    draws = {purpose: simulation.random(purpose).random() for purpose in ("faults", "weather", "scheduler")}
    assert len(set(draws.values())) == 3
    assert Simulation(7).random("faults").random() == draws["faults"]
    assert Simulation(8).random("faults").random() != draws["faults"]


# -- time


def test_time_is_virtual_and_starts_at_zero() -> None:
    async def main() -> tuple[float, float]:
        start = trio.current_time()
        await trio.sleep(86400)
        return start, trio.current_time()

    assert Simulation().run(main) == (0.0, 86400.0)


# -- a whole run, in other interpreters


async def life_of_buffers() -> Machine:
    """Three users side by side make, fill, fence and close buffers."""

    async def user(machine: Machine, number: int) -> None:
        file = DrmFile(machine.driver)
        for round_number in range(4):
            blob_id = number * 10 + round_number
            handle, vma = await machine.run(create_and_mmap(file, ExporterKind.WC, blob_id=blob_id))
            work = StreamWork(microseconds=1000 * number).build()
            await machine.run(file.execbuffer(work, bo_handles=[handle]))
            await machine.run(file.wait(handle))
            await machine.run(vma.munmap())
            await machine.run(file.gem_close(handle))
        await machine.run(file.close())

    async with open_machine(SMALL) as machine:
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(user, machine, number)
        await machine.settle()
    return machine


def whole_trace(seed: int) -> tuple[str, str]:
    """The trace hash, and every event as it is in the log, with its time."""
    events = Simulation(seed).run(life_of_buffers).log.events
    return trace_hash(events), repr(events)


if __name__ == "__main__":
    sys.stdout.write("\n".join(whole_trace(int(sys.argv[1]))))


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_seed_gives_the_same_trace_in_another_interpreter(hash_seed: str) -> None:
    program = [sys.executable, __file__, "5"]
    path = ":".join([str(HERE.parent), *sys.path])
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(program, env=environment, check=True, capture_output=True, text=True)
    assert tuple(ran.stdout.split("\n")) == whole_trace(5)


def test_seeds_give_different_traces() -> None:
    assert len({whole_trace(seed)[0] for seed in range(12)}) > 6


# -- hashes


def log_of(*calls: tuple[Any, ...], **fields: Any) -> str:
    log = Log()
    for call in calls:
        log.note(*call, **fields)
    return trace_hash(log.events)


def test_hash_is_that_of_what_each_party_did_not_of_who_was_first() -> None:
    assert log_of(("guest", "a"), ("vmm", "b")) == log_of(("vmm", "b"), ("guest", "a"))
    assert log_of(("guest", "a"), ("guest", "b")) != log_of(("guest", "b"), ("guest", "a"))
    assert log_of(("guest", "a")) != log_of(("vmm", "a"))
    assert log_of(("guest", "a"), ("vmm", "a")) != log_of(("guest", "a"), ("guest", "a"))


def test_process_ids_and_descriptor_numbers_do_not_count_and_all_else_does() -> None:
    assert log_of(("vmm", "started"), pid=7, fd=1) == log_of(("vmm", "started"), pid=8, fd=2)
    assert log_of(("vmm", "mapped"), offset=7) != log_of(("vmm", "mapped"), offset=8)


def message(data: bytes, *fds: int) -> str:
    log = Log()
    log.message("renderer", "vmm", "host", data, fds=fds)
    return trace_hash(log.events)


def test_descriptor_numbers_inside_of_questions_do_not_count() -> None:
    assert message(Close(fd=3).build()) == message(Close(fd=4).build())
    assert message(Ioctl(fd=3, request=1).build()) == message(Ioctl(fd=4, request=1).build())
    assert message(Ioctl(fd=3, request=1).build()) != message(Ioctl(fd=3, request=2).build())
    assert message(b"x", 3) == message(b"x", 4)
    assert message(b"x", 3) != message(b"x", 3, 4)


# -- hangs


async def test_machine_at_rest_waits_for_nothing() -> None:
    async with open_machine(SMALL) as machine:
        await machine.run(create_and_mmap(DrmFile(machine.driver)))
        assert list(machine.waits()) == []


def test_program_that_waits_for_ever_is_a_hang_and_says_where() -> None:
    async def waits_for_ever() -> None:
        await trio.Event().wait()

    with pytest.raises(HangError, match=r"waits in waits_for_ever, .*test_simulation.py:\d+") as hang:
        Simulation().run(waits_for_ever)
    assert len(hang.value.waits) == 1


def test_every_task_of_a_deadlock_is_named() -> None:
    async def one() -> None:
        await trio.Event().wait()

    async def other() -> None:
        await trio.Event().wait()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            nursery.start_soon(other)

    with pytest.raises(HangError) as hang:
        Simulation().run(main)
    assert ["one" in hang.value.waits[0], "other" in hang.value.waits[1]] == [True, True]


def test_hang_says_what_guest_and_vmm_wait_for() -> None:
    """The device gives no answer once the driver broke its rings."""

    async def main() -> None:
        async with open_machine(SMALL) as machine:
            machine.parts.device.fail("broken for this test")
            await machine.run(create_and_mmap(DrmFile(machine.driver)))

    with pytest.raises(HangError) as hang:
        Simulation().run(main)
    first, *others = hang.value.waits
    assert first == "the guest waits for the answer to RESOURCE_MAP_BLOB of resource 2"
    assert "the VMM has not answered RESOURCE_MAP_BLOB (chain 3 of the controlq)" in others
    assert others[-1] == "the device answers nothing: broken for this test"


def test_hang_names_the_fence_that_is_not_signalled() -> None:
    async def main() -> None:
        async with open_machine(SMALL) as machine:
            await machine.run(machine.driver.command(CtxCreate(ctx_id=1)))
            flags = int(CtrlFlag.FENCE | CtrlFlag.INFO_RING_IDX)
            work = StreamWork(microseconds=1000).build()
            fenced = CmdSubmit(ctx_id=1, ring_idx=2, flags=flags, fence_id=9, size=len(work), commands=work)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(machine.run, machine.driver.command(fenced))
                await trio.testing.wait_all_tasks_blocked()
                machine.parts.renderer.reset(Question())

    with pytest.raises(HangError, match="the VMM waits for the signal of fence 9 of context 1, ring 2"):
        Simulation().run(main)


def test_task_that_waits_for_all_others_to_block_is_no_hang() -> None:
    async def main() -> str:
        await trio.testing.wait_all_tasks_blocked(0.001)
        return "over"

    assert Simulation().run(main) == "over"


def test_time_limit_of_the_program_is_no_hang() -> None:
    async def main() -> bool:
        with trio.move_on_after(3600) as scope:
            await trio.sleep_forever()
        return scope.cancelled_caught

    assert Simulation().run(main)


def test_machine_that_hangs_is_closed() -> None:
    opened: list[Machine] = []

    async def main() -> None:
        async with open_machine(Config(guest_memory=PAGE)) as machine:
            opened.append(machine)
            await machine.run(create_and_mmap(DrmFile(machine.driver)))
            await trio.sleep_forever()

    with pytest.raises(HangError):
        Simulation().run(main)
    assert opened[0].parts.leaks() == []


# -- seeds


def test_first_seed_that_fails_is_found_with_what_it_raised() -> None:
    async def racy() -> None:
        assert await order_of_tasks(3) != [1, 2, 0]

    failure = explore(lambda seed: Simulation(seed).run(racy), range(100))
    assert failure is not None
    with pytest.raises(AssertionError):
        Simulation(failure.seed).run(racy)
    assert explore(lambda seed: Simulation(seed).run(racy), range(failure.seed)) is None
