"""What a running scenario knows: the machine, and what its names stand for."""

from collections.abc import Awaitable, Callable
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from trio import Nursery
from trio.lowlevel import Task, current_task

from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op, Wait
from vgpu_emu.machine import Machine
from vgpu_emu.scenario.things import Object

if TYPE_CHECKING:
    from vgpu_emu.guest.prime import DmaBuf
    from vgpu_emu.scenario.records import Scenario
    from vgpu_emu.scenario.steps import Step

T = TypeVar("T")
#: seconds after which a call that has not returned never will: no timeout of the driver is half as long
FOREVER = 600.0


class World:
    """files: every file that was opened. mappings, dma_bufs: what is given back at the end.

    raw_resources, raw_contexts: ids that raw messages gave, which no program gives back.
    """

    def __init__(self, machine: Machine, scenario: "Scenario", nursery: Nursery) -> None:
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
        self.is_probed = False
        #: carries out a step inside of another: (step, its path)
        self.carry_out: Callable[[Step, str], Awaitable[None]]
        #: by the task that sleeps: what it waits for
        self.waits: dict[Task, str] = {}

    # -- names

    def find(self, name: str, kind: type[T]) -> T:
        """What the name stands for. The decoder has seen that it is of this kind, if the step that gives it worked."""
        from vgpu_emu.scenario.steps import StepError

        thing = self.names.get(name)
        if not isinstance(thing, kind):
            raise StepError("of", f"{name} is nothing: the step that gives it failed, as it was expected to")
        return thing

    def file(self, name: str | None) -> DrmFile:
        """The file of this name; None: the one that is always there, opened when it is first used."""
        if name is not None:
            return self.find(name, DrmFile)
        if self._file is None or self._file.driver is not self.machine.driver:
            self._file = self.open("vgpu-emu")
        return self._file

    def open(self, comm: str) -> DrmFile:
        file = DrmFile(self.machine.driver, comm)
        self.files.append(file)
        return file

    def new_blob_id(self) -> int:
        return next(self._blob_ids)

    def resource_id(self, name: str) -> int:
        return self.find(name, Object).resource_id

    def objects(self, names: list[str]) -> list[GemObject]:
        return [self.find(name, Object).gem for name in names]

    # -- running

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
        """Until nobody has anything to do at this time."""
        from trio.testing import wait_all_tasks_blocked

        await wait_all_tasks_blocked()

    async def interrupts(self) -> None:
        """The guest's interrupt handler: takes every answer as it comes, whether or not a call waits for it."""

        def never() -> Op[None]:
            yield Wait(lambda: False, "interrupts")

        await self.machine.run(never())
