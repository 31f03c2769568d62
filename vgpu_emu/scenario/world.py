"""What a running scenario knows: the machine, and what its names stand for."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from errno import EBADF
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from trio import Nursery
from trio.lowlevel import Task, current_task

from vgpu_emu.guest.driver import Driver
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.pages import Run
from vgpu_emu.guest.probe import probe
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op, Wait
from vgpu_emu.machine import Machine
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.scenario.things import StepError, resource_of
from vgpu_emu.shell import DriverShell

if TYPE_CHECKING:
    from vgpu_emu.guest.prime import DmaBuf
    from vgpu_emu.scenario.carrying import Running
    from vgpu_emu.scenario.records import Scenario
    from vgpu_emu.scenario.steps import Step

T = TypeVar("T")
#: the name of the file that is always there
PROGRAM = "program"
_NOTHING = "{} is nothing: the step that gives it failed, as it was expected to"


class World:
    """files: every file that was opened. mappings, dma_bufs: what is given back at the end.

    raw_resources, raw_contexts: ids that raw messages gave, which no program gives back.
    """

    def __init__(self, machine: DriverShell, scenario: "Scenario", nursery: Nursery) -> None:
        self.machine = machine
        self.nursery = nursery
        self.scenario = scenario
        self.log = machine.log
        self.names: dict[str, Any] = {}
        self.files: list[DrmFile] = []
        self.mappings: list[Vma] = []
        self.dma_bufs: list[DmaBuf] = []
        self.raw_resources: set[int] = set()
        self.raw_contexts: set[int] = set()
        #: bytes of guest memory that were free before the first step
        self.free_bytes = machine.driver.pages.free_bytes
        self._file: DrmFile | None = None
        self._blob_ids = count(1)
        self.foreign: list[Run] = []
        self._probed: list[Driver] = []
        #: steps that hang, by the name of what they would give
        self.pending: dict[str, Running] = {}
        #: step, by its identity -> its path in the file
        self.paths: dict[int, str] = {}
        #: paths of steps that are not inside of others
        self.top = {f"step[{number}]" for number in range(len(scenario.step))}
        for number, step in enumerate(scenario.step):
            self._enter(step, f"step[{number}]")
        #: carries out a step inside of another
        self.carry_out: Callable[[Step], Awaitable[None]]

    def _enter(self, step: "Step", path: str) -> None:
        self.paths[id(step)] = path
        for inside, inner in step.inner():
            self._enter(inner, f"{path}.{inside}")
        #: by the task that sleeps: what it waits for
        self.waits: dict[Task, str] = {}

    @property
    def inside(self) -> Machine:
        """The machine, for a look into VMM and host."""
        if not isinstance(self.machine, Machine):
            raise StepError("do", "a real device has no insides to look at")
        return self.machine

    # -- names

    def find_any(self, name: str, *kinds: type[Any]) -> Any:
        """As `find`, of any of these kinds."""
        found = [kind for kind in kinds if isinstance(self.names.get(name), kind)]
        return self.find(name, found[0] if found else kinds[0])

    def find(self, name: str, kind: type[T]) -> T:
        """What the name stands for. The decoder has seen that it is of this kind, if the step that gives it worked.

        Raises OSError: EBADF if it is, or belongs to, a file that is closed.
        """
        thing = self.names.get(name)
        if not isinstance(thing, kind):
            raise StepError("of", _NOTHING.format(name))
        file = thing if isinstance(thing, DrmFile) else getattr(thing, "file", None)
        if isinstance(file, DrmFile) and not file.is_open:
            raise OSError(EBADF, "the file is closed")
        return thing

    def resource_id(self, name: str) -> int:
        """Of an object that has this name, or had, if its file is closed."""
        resource_id = resource_of(self.names.get(name))
        if resource_id is None:
            raise StepError("of", _NOTHING.format(name))
        return resource_id

    def file(self, name: str | None) -> DrmFile:
        """The file of this name; None: the one that is always there, opened when it is needed."""
        if name not in {None, PROGRAM}:
            return self.find(str(name), DrmFile)
        if self._file is None or not self._file.is_open or self._file.driver is not self.machine.driver:
            self._file = self.open("vgpu-emu")
        return self._file

    def open(self, comm: str) -> DrmFile:
        file = DrmFile(self.machine.driver, comm)
        self.files.append(file)
        return file

    def new_blob_id(self) -> int:
        return next(self._blob_ids)

    def foreign_pages(self, size: int) -> list[Run]:
        """Guest memory of another driver, which the scenario holds to its end."""
        runs = self.machine.driver.pages.allocate(size)
        self.foreign += runs
        return runs

    # -- running

    def probed(self, *, again: bool = False) -> Op[None]:
        """The driver has found out what the device has."""
        if again or self.machine.driver not in self._probed:
            self._probed.append(self.machine.driver)
            yield from probe(self.machine.driver)

    def send(self, queue: int, data: bytes, capacity: int) -> int:
        """A request that no driver sends: the head of its chain."""
        head = self.machine.driver.queue_bytes(queue, data, capacity)
        self.machine.port.send(self.machine.driver.take_available())
        return head

    async def run(self, op: Op[T]) -> T:
        """A call of the guest. What it waits for is known while it sleeps."""
        task = current_task()
        try:
            return await self.machine.run(self._watch(op, task))
        finally:
            self.waits.pop(task, None)

    def _watch(self, op: Op[T], task: Task) -> Op[T]:
        answer: bool | None = None
        while True:
            try:
                wait = next(op) if answer is None else op.send(answer)
            except StopIteration as done:
                value: T = done.value
                return value
            self.waits[task] = wait.why
            answer = yield wait

    async def quiet(self) -> None:
        """Until nobody has anything to do at this time. A real device has, until it has answered everything."""
        from trio.testing import wait_all_tasks_blocked

        if not isinstance(self.machine, Machine):
            with suppress(DeviceError):
                await self.machine.settle()
        await wait_all_tasks_blocked()

    async def interrupts(self) -> None:
        """The guest's interrupt handler: takes every answer as it comes, whether or not a call waits for it."""

        def never() -> Op[None]:
            yield Wait(lambda: False, "interrupts")

        while True:
            # the handler of an unbound driver ends, and the next driver has one of its own
            try:
                with suppress(OSError):
                    await self.machine.run(never())
            except DeviceError:
                # the step that waits for the device has it, too
                return
