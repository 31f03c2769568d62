"""A program in the guest, and what it has: any target can carry out its calls (`calls.py`).

Their numbers choose among what it has, so that every sequence of calls means something.
"""

from typing import TYPE_CHECKING

import msgspec

from vgpu_emu.fuzz.actions import one_of
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.promising import Detached, Promise
from vgpu_emu.guest.fences import Fence
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.framebuffer import Framebuffer
from vgpu_emu.guest.imported import ForeignDmaBuf
from vgpu_emu.guest.outputs import Output
from vgpu_emu.guest.pages import Run
from vgpu_emu.guest.prime import DmaBuf
from vgpu_emu.guest.submit import SyncFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import GemHandle
from vgpu_wire.virtgpu_drm import EVENT_FENCE_SIGNALED

if TYPE_CHECKING:
    from vgpu_emu.fuzz.bench import Bench


#: a ring of a file's context; None: where all fences without a ring are
Timeline = tuple[DrmFile, int] | None


class SyncPoints(msgspec.Struct, eq=False):
    """A sync object, and what must be behind it: (point, fence), in order. None: signalled from the start."""

    file: DrmFile
    handle: int
    points: list[tuple[int, Fence | None]]

    def __repr__(self) -> str:
        return f"sync object {self.handle}"

    def add(self, point: int, fence: Fence) -> None:
        """Point 0 replaces all that there is; one that is not later than the last has the last one's number."""
        if not point:
            self.points.clear()
        self.points.append((max([point, *(number for number, _ in self.points)]), fence))

    def fences(self, point: int) -> list[Fence | None] | None:
        """Those of the first point that is not before this one, and of all before it; 0: all. None: there is none."""
        if not self.points or self.points[-1][0] < point:
            return None
        end = next((n + 1 for n, (number, _) in enumerate(self.points) if point and number >= point), len(self.points))
        return [fence for _, fence in self.points[:end]]


class Guest:
    """files, objects, vmas, fences, dma_bufs: what the program has, in the order in which it got it.

    foreign: buffers of other drivers. held: pages that others in the guest have. timelines: of its fences. polled: the
    fences of polled rings whose event it has not read.
    """

    def __init__(self, bench: "Bench") -> None:
        self.bench = bench
        self.files: list[DrmFile] = []
        self.objects: list[tuple[DrmFile, GemHandle]] = []
        self.vmas: list[Vma] = []
        self.fences: list[SyncFile] = []
        self.timelines: dict[Fence, Timeline] = {}
        self.syncs: list[SyncPoints] = []
        self.polled: list[tuple[DrmFile, Fence]] = []
        self.dma_bufs: list[DmaBuf] = []
        self.foreign: list[ForeignDmaBuf] = []
        self.held: list[Run] = []
        #: what the driver must send for the call that is being carried out
        self.promises: list[Promise | Detached] = []
        #: bytes of guest memory that nobody has at the start
        self.free_bytes = 0
        #: of the last blob on the host
        self.blob_id = 0

    @property
    def fresh(self) -> list[DrmFile]:
        """Files without a context."""
        return [file for file in self.files if not file.context_created]

    @property
    def framebuffers(self) -> list[Framebuffer]:
        return [framebuffer for file in self.files for framebuffer in file.framebuffers]

    @property
    def shown(self) -> list[Output]:
        return [output for output in self.bench.driver.outputs if output.primary.framebuffer is not None]

    @property
    def pointed(self) -> list[Output]:
        """Outputs with a cursor."""
        return [output for output in self.bench.driver.outputs if output.cursor.framebuffer is not None]

    @property
    def uses_device(self) -> bool:
        return bool(self.files or self.vmas or self.dma_bufs)

    def signals(self) -> None:
        """A fence that is signalled stands for work that is done."""
        world = self.bench.world
        if not self.fences or self.bench.meddled or world.pending:
            return
        if max(world.busy.values(), default=0.0) > world.now:
            return
        self.bench.judge.evaluated["I21"] += 1
        for sync in self.fences:
            if not sync.fence.signaled:
                raise Finding("I21", f"{sync.fence!r}: all work is done, and all is answered")

    def tells(self) -> None:
        """A file has an unread event for each fence of a polled ring that is signalled. Raises Finding."""
        if not self.polled:
            return
        self.bench.judge.evaluated["I21"] += 1
        for file in self.files:
            done = [fence for of, fence in self.polled if of is file and fence.signaled]
            if (told := file.events.count(EVENT_FENCE_SIGNALED)) != len(done):
                raise Finding("I21", f"{told} events of polled rings, and {len(done)} of their fences are signalled")

    def file(self, number: int) -> DrmFile:
        return one_of(self.files, number)

    def end(self) -> Op[None]:
        """The program exits: the kernel closes what it had."""
        for vma in self.vmas:
            yield from vma.munmap()
        for dma_buf in self.dma_bufs:
            yield from dma_buf.close()
        for file in self.files:
            yield from file.close()
        self.bench.driver.pages.release(self.held)
