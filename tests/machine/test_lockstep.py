"""The parties in lockstep: hangs are found, failing calls still send what they queued, trio gives the same bytes."""

from collections.abc import Awaitable, Callable
from errno import EINVAL, ENOSPC
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import PAGE, create, create_and_mmap, names, requests, said

from vgpu_emu.assembly import Config, size_only
from vgpu_emu.guest.driver import Op
from vgpu_emu.guest.file import HINT_DEFER_MAPPING, DrmFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.ids import GemHandle
from vgpu_emu.link.chain import Chain
from vgpu_emu.lockstep import Lockstep, WouldHangError
from vgpu_emu.machine import open_machine
from vgpu_emu.trace.log import Event, Log
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.control import CtrlType, HeaderOnly

pytestmark = pytest.mark.usefixtures("nothing_left")
SMALL = Config(host_visible=4 * PAGE, backing=size_only)


def deferred_without_room(file: DrmFile) -> Op[Vma]:
    """A mmap that Linux never returns from: the region is full, and the error of the deferred map is lost."""
    yield from create(file, blob_id=1, size=4 * PAGE)
    handle = yield from create(file, blob_id=2, blob_hints=HINT_DEFER_MAPPING)
    return (yield from file.mmap(file.map(handle), PAGE))


def test_call_that_linux_never_returns_from_would_hang() -> None:
    with Lockstep(SMALL) as pair, pytest.raises(WouldHangError, match="RESOURCE_MAP_BLOB of resource 3"):
        pair.run(deferred_without_room(DrmFile(pair.driver)))


async def test_call_that_linux_never_returns_from_hangs_in_virtual_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_machine(SMALL) as machine:
        start = trio.current_time()
        with trio.move_on_after(3600) as patience:
            await machine.run(deferred_without_room(DrmFile(machine.driver)))
        assert patience.cancelled_caught
        assert trio.current_time() - start == 3600


def test_failing_call_sends_what_it_queued() -> None:
    with Lockstep(SMALL) as pair:
        file = DrmFile(pair.driver)
        with pytest.raises(OSError, match="no hole") as refused:
            pair.run(create(file, size=5 * PAGE))
        assert refused.value.errno == ENOSPC
        assert names(requests(pair.log)) == ["CTX_CREATE", "SUBMIT_3D", "RESOURCE_CREATE_BLOB", "RESOURCE_UNREF"]
        assert pair.parts.device.resources == {}
        assert pair.driver.in_flight == 0


def test_what_is_open_at_the_end_is_closed() -> None:
    with Lockstep() as pair:
        pair.run(create_and_mmap(DrmFile(pair.driver)))
        assert pair.parts.leaks() == [
            f"dma-buf 1 ({next(iter(pair.parts.kernel.live.values())).memory!r})",
            f"mapping at 0x0 ({next(iter(pair.parts.region)).memory!r})",
        ]
    assert pair.parts.leaks() == []


def test_exception_inside_comes_out_and_closes_all_the_same() -> None:
    pair = Lockstep()

    def program() -> None:
        with pair:
            pair.run(create_and_mmap(DrmFile(pair.driver)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        program()
    assert pair.parts.leaks() == []


def test_any_command_can_be_sent_and_its_answer_had() -> None:
    with Lockstep() as pair:
        unknown = HeaderOnly(type=0x3F0)
        assert pair.run(pair.driver.command(unknown)) == HeaderOnly(type=CtrlType.RESP_ERR_UNSPEC.value).build()


# -- the same program on both

#: a program's step: what to do, and with which of the handles or mappings that are there
STEPS = st.tuples(
    st.sampled_from(["create", "create deferred", "create unmappable", "mmap", "munmap", "close", "reopen"]),
    st.integers(0, 7),
)


class Program:
    """A guest that does as the steps say, as far as it can."""

    def __init__(self, file: DrmFile) -> None:
        self.file = file
        self.handles: list[GemHandle] = []
        self.mappings: list[Vma] = []
        self.count = 0

    def step(self, what: str, which: int) -> Op[None]:
        if what.startswith("create"):
            yield from self._create(what, which)
        elif what == "mmap" and self.handles:
            handle = self.handles[which % len(self.handles)]
            self.mappings.append((yield from self.file.mmap(self.file.map(handle), PAGE)))
        elif what == "munmap" and self.mappings:
            yield from self.mappings.pop(which % len(self.mappings)).munmap()
        elif what == "close" and self.handles:
            yield from self.file.gem_close(self.handles.pop(which % len(self.handles)))
        elif what == "reopen":
            self.handles.clear()
            yield from self.file.close()
            self.file = DrmFile(self.file.driver)

    def _create(self, what: str, which: int) -> Op[None]:
        self.count += 1
        options = {"deferred": {"blob_hints": HINT_DEFER_MAPPING}, "unmappable": {"blob_flags": 2}}
        exporter, size = ExporterKind(1 + which % 5), (1 + which % 3) * PAGE
        handle = yield from create(
            self.file, exporter, blob_id=self.count, size=size, **options.get(what.partition(" ")[2], {})
        )
        self.handles.append(handle)


async def _do(steps: list[tuple[str, int]], driver: Any, run: Callable[[Op[Any]], Awaitable[object]]) -> list[object]:
    """What each step came to."""
    program, outcomes = Program(DrmFile(driver)), list[object]()
    for what, which in steps:
        try:
            await run(program.step(what, which))
            outcomes.append(None)
        except OSError as refused:
            outcomes.append(refused.errno)
        except (WouldHangError, trio.TooSlowError):
            outcomes.append("hangs")
        await run(driver.settle())
    return outcomes


def _in_lockstep(config: Config, steps: list[tuple[str, int]]) -> tuple[list[object], Log]:
    pair = Lockstep(config)

    async def run(op: Op[Any]) -> object:
        return pair.run(op)

    try:
        return trio.run(_do, steps, pair.driver, run), pair.log
    finally:
        pair.parts.close()


def _between_tasks(config: Config, steps: list[tuple[str, int]]) -> tuple[list[object], Log]:
    async def main() -> tuple[list[object], Log]:
        async with open_machine(config) as machine:

            async def run(op: Op[Any]) -> object:
                with trio.fail_after(1):
                    return await machine.run(op)

            return await _do(steps, machine.driver, run), machine.log

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@settings(max_examples=50)
@given(steps=st.lists(STEPS, max_size=25), profile=st.sampled_from(sorted(PROFILES)))
def test_lockstep_and_tasks_say_the_same_bytes(steps: list[tuple[str, int]], profile: str) -> None:
    config = Config(host_visible=4 * PAGE, backing=size_only, profile=PROFILES[profile])
    lockstep_outcomes, lockstep_log = _in_lockstep(config, steps)
    outcomes, log = _between_tasks(config, steps)
    assert outcomes == lockstep_outcomes
    assert said(log) == said(lockstep_log)
    assert set(outcomes) <= {None, EINVAL, ENOSPC, "hangs"}


def test_log_that_somebody_holds_stays_readable() -> None:
    with Lockstep() as machine:
        request = Chain(0, 0, bytes(24), 24)
        held = machine.log.events
        machine.submit(request)
        assert all(isinstance(event, Event) for event in held)
        machine.submit(request)
        assert len(machine.log.events) == len(held) > 4


def test_queue_that_a_gpu_does_not_have_is_no_chain_of_it() -> None:
    with Lockstep() as machine, pytest.raises(ValueError, match="queue 2; there are"):
        machine.submit(Chain(0, 2, bytes(24), 24))
