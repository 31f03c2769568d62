"""Every step there is; and the steps that are made of others, which is why they are here."""

from collections.abc import Iterator
from math import inf
from typing import Annotated, ClassVar

import trio
from msgspec import Meta

from vgpu_emu.scenario.outcome import Failed
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import Name, Seconds, Step
from vgpu_emu.scenario.steps_blob import Alloc, CreateBlob, Free, GemClose, Mmap, Munmap, Read, Write
from vgpu_emu.scenario.steps_context import (
    ContextInit,
    ExecBuffer,
    GetCaps,
    GetParam,
    SyncObjCreate,
    SyncObjDestroy,
    SyncObjWait,
    Wait,
    WaitFence,
)
from vgpu_emu.scenario.steps_driver import Close, GuestWrite, Open, Print, Probe, ReadEvent, StartConsole
from vgpu_emu.scenario.steps_host import HostChange, HostRead, HostWrite
from vgpu_emu.scenario.steps_image import (
    CreateDumb,
    ResourceCreate,
    ResourceInfo,
    TransferFromHost,
    TransferToHost,
)
from vgpu_emu.scenario.steps_kms import AddFb, Dirty, MoveCursor, PageFlip, RemoveFb, SetCrtc, SetCursor
from vgpu_emu.scenario.steps_prime import (
    ForeignExport,
    ForeignMove,
    PrimeClose,
    PrimeExport,
    PrimeImport,
    PrimeMap,
    PrimeUuid,
)
from vgpu_emu.scenario.steps_raw import Raw
from vgpu_emu.scenario.steps_vmm import Check, Plug, Rebind, RestartVmm, Screen, TakeSnapshot, Unplug
from vgpu_emu.scenario.steps_watched import Call, HostFails
from vgpu_emu.scenario.things import StepError
from vgpu_emu.scenario.world import World


class _Several(Step, frozen=True, kw_only=True):
    patience: ClassVar[float] = inf

    steps: "Annotated[list[AnyStep], Meta(min_length=1)]"

    def inner(self) -> Iterator[tuple[str, Step]]:
        for number, step in enumerate(self.steps):
            yield f"steps[{number}]", step


class Sequence(_Several, frozen=True, kw_only=True, tag="sequence"):
    """One step after the other; of use inside of parallel."""

    async def act(self, world: World) -> Given:
        for step in self.steps:
            await world.carry_out(step)
        return Given()


class Parallel(_Several, frozen=True, kw_only=True, tag="parallel"):
    """All steps at the same time, as programs side by side, until all are over. The seed chooses who comes first."""

    async def act(self, world: World) -> Given:
        failures: list[Failed] = []

        async def side_by_side(step: Step) -> None:
            try:
                await world.carry_out(step)
            except Failed as failed:
                failures.append(failed)

        async with trio.open_nursery() as nursery:
            for step in self.steps:
                nursery.start_soon(side_by_side, step)
        if failures:
            raise failures[0]
        return Given()


class Await(Step, frozen=True, kw_only=True, tag="await"):
    """The end of a call that hung in an earlier step, by the name of its result."""

    takes: ClassVar[dict[str, str]] = {"of": "*"}

    of: Name

    async def act(self, world: World) -> Given:
        if self.of not in world.pending:
            raise StepError("of", f"{self.of} is not the name of a call that hangs")
        return await world.pending[self.of].result()


class Sleep(Step, frozen=True, kw_only=True, tag="sleep"):
    """Time passes; what is due until then happens."""

    patience: ClassVar[float] = inf

    seconds: Seconds

    async def act(self, world: World) -> Given:
        await trio.sleep(self.seconds)
        return Given()


AnyStep = (
    AddFb
    | Alloc
    | Await
    | Call
    | Check
    | Close
    | ContextInit
    | CreateBlob
    | CreateDumb
    | Dirty
    | ExecBuffer
    | ForeignExport
    | ForeignMove
    | Free
    | GemClose
    | GetCaps
    | GetParam
    | GuestWrite
    | HostChange
    | HostFails
    | HostRead
    | HostWrite
    | Mmap
    | MoveCursor
    | Munmap
    | Open
    | PageFlip
    | Parallel
    | Plug
    | PrimeClose
    | PrimeExport
    | PrimeImport
    | PrimeMap
    | PrimeUuid
    | Print
    | Probe
    | Raw
    | Read
    | ReadEvent
    | Rebind
    | RemoveFb
    | ResourceCreate
    | ResourceInfo
    | RestartVmm
    | Screen
    | Sequence
    | SetCrtc
    | SetCursor
    | Sleep
    | StartConsole
    | SyncObjCreate
    | SyncObjDestroy
    | SyncObjWait
    | TakeSnapshot
    | TransferFromHost
    | TransferToHost
    | Unplug
    | Wait
    | WaitFence
    | Write
)
