"""A program in the guest: system calls that any target can carry out, and oracles on what the driver makes of answers.

Its numbers choose among what it has, so that every sequence of calls means something.
"""

from collections.abc import Callable
from errno import EINVAL
from typing import TYPE_CHECKING, Any

from vgpu_emu.fuzz import asking, idling, screens, sharing
from vgpu_emu.fuzz.actions import Call, one_of
from vgpu_emu.fuzz.driver_audit import Detached, Promise
from vgpu_emu.fuzz.model.judge import Finding
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.framebuffer import Framebuffer
from vgpu_emu.guest.imported import ForeignDmaBuf
from vgpu_emu.guest.ioctls_resource import Transfer
from vgpu_emu.guest.outputs import Output
from vgpu_emu.guest.pages import Run
from vgpu_emu.guest.prime import DmaBuf
from vgpu_emu.guest.submit import SyncFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import GemHandle
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.blob import BlobMem
from vgpu_wire.context_stream import StreamAlloc, StreamWork
from vgpu_wire.control import CtrlFlag, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import Box
from vgpu_wire.virtgpu_drm import BLOB_FLAG_HINT_DEFER_MAPPING, ContextParam, ExecbufFlag

if TYPE_CHECKING:
    from vgpu_emu.fuzz.bench import Bench

#: what a blob is for
BLOB_FLAGS = (1, 1, 1, 3, 7, 0)
#: bytes of a context's name, around what there is room for; 0: it has the process's
NAME_BYTES = (0, 0, 0, 5, 62, 63, 64, 65)
#: map_info -> the page protection that Linux makes of it (virtgpu_vram.c, virtio_gpu_vram_mmap); cached otherwise
PGPROT = {3: "writecombine", 2: "noncached"}

#: numbers of an execbuffer that mean work for longer than 16 bits of microseconds -> how long
LONG_WORK = {60: 0x10000, 61: 0x10001, 62: 100_000, 63: 2_100_000}


def work_of(number: int) -> int:
    """The microseconds that a number of an execbuffer means."""
    return LONG_WORK.get(number, 1 + number % 1000)


class Guest:
    """files, objects, vmas, fences, dma_bufs: what the program has, in the order in which it got it.

    foreign: buffers of other drivers. held: pages that others in the guest have.
    """

    def __init__(self, bench: "Bench") -> None:
        self.bench = bench
        self.files: list[DrmFile] = []
        self.objects: list[tuple[DrmFile, GemHandle]] = []
        self.vmas: list[Vma] = []
        self.fences: list[SyncFile] = []
        self.dma_bufs: list[DmaBuf] = []
        self.foreign: list[ForeignDmaBuf] = []
        self.held: list[Run] = []
        #: what the driver must send for the call that is being carried out
        self.promises: list[Promise | Detached] = []
        #: bytes of guest memory that nobody has at the start
        self.free_bytes = 0
        self._blob_ids = 0

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

    def call(self, step: Call) -> Op[None]:
        """Raises OSError for what the kernel refuses, Finding for what no kernel does."""
        self.promises.clear()
        op = CALLS[step.name](self, *padded(step))
        if op is not None:
            yield from op

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

    # -- calls

    def open(self) -> None:
        if len(self.files) < 3:
            self.files.append(DrmFile(self.bench.driver, "fuzz"))

    def unit(self, pages: int) -> int:
        """Bytes that a blob's size is a multiple of: mostly such as the device wants it."""
        world = self.bench.world
        aligned = world.has(Feature.BLOB_ALIGNMENT) and pages < 48
        return max(world.setup.blob_alignment, PAGE_SIZE) if aligned else PAGE_SIZE

    def _file(self, number: int) -> DrmFile:
        return one_of(self.files, number)

    def context_init(self, file: int, rings: int, capset: int, name: int) -> Op[None]:
        """The context of a file that has none yet: rings, and now and then a capset and a name."""
        owner = one_of(self.fresh or self.files, file)
        params: list[tuple[int, int | bytes]] = [(ContextParam.NUM_RINGS, rings % 66)]
        capset_id, length = 0, NAME_BYTES[name % len(NAME_BYTES)]
        if capset % 3 == 1:
            yield from asking.probed(self)
            capset_id = one_of(self.bench.world.setup.capsets, capset // 3)[0]
            params.append((ContextParam.CAPSET_ID, capset_id))
        if length:
            params.append((ContextParam.DEBUG_NAME, b"n" * length + b"\0"))
        members = {"nlen": min(length, 64)} if length else {}
        self.promises.append(Promise(CtrlType.CTX_CREATE, ctx_id=owner.ctx_id, context_init=capset_id, **members))
        yield from owner.context_init(params)

    def blob(self, file: int, pages: int, exporter: int, flags: int, hints: int, size: int) -> Op[None]:
        """A blob on the host, made with its memory: what a Vulkan driver does for an allocation."""
        self._blob_ids += 1
        length = (1 + pages % 4) * self.unit(pages)
        cmd = StreamAlloc(exporter=1 + exporter % 5, blob_id=self._blob_ids, size=length - (size % 2) * 100).build()
        owner = self._file(file)
        blob_flags = BLOB_FLAGS[flags % 6]
        members = {"blob_id": self._blob_ids, "size": length, "blob_flags": blob_flags, "ctx_id": owner.ctx_id}
        self.promises.append(Promise(CtrlType.RESOURCE_CREATE_BLOB, blob_mem=BlobMem.HOST3D.value, **members))
        op = owner.resource_create_blob(
            size=length,
            blob_id=self._blob_ids,
            blob_flags=blob_flags,
            cmd=cmd,
            blob_hints=BLOB_FLAG_HINT_DEFER_MAPPING if hints % 4 == 1 else 0,
        )
        self.objects.append((owner, (yield from op)))

    def guest_blob(self, file: int, pages: int) -> Op[None]:
        owner = self._file(file)
        op = owner.resource_create_blob(size=(1 + pages % 3) * self.unit(pages), blob_mem=BlobMem.GUEST.value)
        self.objects.append((owner, (yield from op)))

    def dumb(self, file: int, width: int, height: int) -> Op[None]:
        owner = self._file(file)
        width, height = 16 + width % 17, 16 + height % 17
        created: Any = yield from owner.create_dumb(width, height, 32)
        self.objects.append((owner, created.handle))
        if created.pitch < width * 4 or created.size < created.pitch * height:
            raise Finding("I6", f"{width}x{height} pixels are {created.size} bytes, {created.pitch} a line")

    def image(self, file: int, width: int, height: int) -> Op[None]:
        """A resource of a driver for 3D, with pages that hold its pixels."""
        owner = self._file(file)
        size = {"width": 1 + width % 32, "height": 1 + height % 32}
        if owner.driver.has(Feature.VIRGL):
            self.promises.append(Promise(CtrlType.RESOURCE_CREATE_3D, flags=CtrlFlag.FENCE.value, bind=2, **size))
        self.objects.append((owner, (yield from owner.resource_create(**size, bind=2, size=PAGE_SIZE))))

    def transfer(self, bo: int, x: int, y: int, width: int, height: int, to_host: int) -> Op[None]:
        """A box of an object, one way or the other."""
        owner, handle = one_of(self.objects, bo)
        box = Box(x=x % 16, y=y % 16, w=1 + width % 16, h=1 + height % 16, d=1)
        way = owner.transfer_to_host if to_host % 3 else owner.transfer_from_host
        resource_id = owner.object(handle).resource_id
        if owner.driver.has(Feature.VIRGL):
            kind = CtrlType.TRANSFER_TO_HOST_3D if to_host % 3 else CtrlType.TRANSFER_FROM_HOST_3D
            self.promises.append(Promise(kind, resource_id=resource_id, box=box, flags=CtrlFlag.FENCE.value))
        yield from way(handle, Transfer(box=box))

    def mmap(self, bo: int, pages: int, pgoff: int) -> Op[None]:
        owner, handle = one_of(self.objects, bo)
        gem = owner.object(handle)
        whole = pages % 4
        length, place = (gem.size, 0) if not whole else (whole * PAGE_SIZE, pgoff % 3 * PAGE_SIZE)
        before = len(self.vmas)
        try:
            self.vmas.append((yield from owner.mmap(owner.map(handle), length, place)))
        except OSError as refused:
            self._refused(int(gem.resource_id), refused, whole=not whole)
        if len(self.vmas) > before:
            self._mapped(self.vmas[-1], int(gem.resource_id))

    def _refused(self, resource_id: int, refused: OSError, *, whole: bool) -> None:
        """A whole blob that the device has mapped can be mapped by a program."""
        blob = self.bench.world.resources.get(resource_id)
        if self.bench.meddled or not whole or blob is None or blob.offset is None:
            return
        self.bench.judge.evaluated["I26"] += 1
        if refused.errno == EINVAL:
            raise Finding("I26", f"resource {resource_id} is mapped at {blob.offset:#x}, and mmap says {refused}")

    def _mapped(self, vma: Vma, resource_id: int) -> None:
        world, judge = self.bench.world, self.bench.judge
        blob = world.resources.get(resource_id)
        if blob is None or not blob.on_host or self.bench.meddled:
            return
        judge.evaluated["I2"] += 1
        if blob.offset is None or blob.map_info is None:
            raise Finding("I2", f"resource {resource_id} is {vma.pgprot.value}, and the device has not mapped it")
        wanted = PGPROT.get(blob.map_info, "cached")
        if vma.pgprot.value != wanted:
            raise Finding("I2", f"map_info {blob.map_info} is mapped {vma.pgprot.value}, not {wanted}")
        judge.evaluated["I4"] += 1
        if vma.start != blob.offset + vma.pgoff or not 0 <= vma.pgoff < vma.pgoff + vma.length <= blob.pages:
            raise Finding("I4", f"[{vma.start:#x}, +{vma.length:#x}) is not in resource {resource_id}")

    def store(self, mapping: int, place: int, value: int) -> None:
        """What is stored in one mapping is what every other mapping of the place has."""
        vma = one_of(self.vmas, mapping)
        at = place * 97 % max(vma.length - 8, 1)
        data = bytes([value % 251, at % 256] * 4)
        vma.write(at, data)
        contents = self.bench.contents(int(vma.vram.resource_id))
        if contents is not None:
            contents[vma.pgoff + at : vma.pgoff + at + 8] = data

    def load(self, mapping: int, place: int) -> None:
        vma = one_of(self.vmas, mapping)
        at = place * 97 % max(vma.length - 8, 1)
        contents = self.bench.contents(int(vma.vram.resource_id))
        data = vma.read(at, 8)
        if self.bench.meddled:
            return
        there = self.bench.world.resources.get(int(vma.vram.resource_id))
        if there is not None and there.stretches is not None:
            self.bench.judge.evaluated["I24"] += 1
            wanted = self.bench.world.gather(there, vma.pgoff + at, 8)
            if data != wanted:
                raise Finding("I24", f"resource {there.resource_id} has {wanted!r}, and the program sees {data!r}")
        if contents is None:
            return
        self.bench.judge.evaluated["I24"] += 1
        if data != contents[vma.pgoff + at : vma.pgoff + at + 8]:
            raise Finding("I24", f"resource {vma.vram.resource_id}: nobody stored {data!r} at {vma.pgoff + at:#x}")

    def munmap(self, mapping: int) -> Op[None]:
        vma = one_of(self.vmas, mapping)
        self.vmas.remove(vma)
        yield from vma.munmap()

    def close_handle(self, bo: int) -> Op[None]:
        owner, handle = one_of(self.objects, bo)
        self.objects.remove((owner, handle))
        self.promises.append(Detached(owner, [handle]))
        yield from owner.gem_close(handle)

    def close_file(self, file: int) -> Op[None]:
        closed = self._file(file)
        self.files.remove(closed)
        self.objects = [(owner, handle) for owner, handle in self.objects if owner is not closed]
        self.promises.append(Detached(closed, sorted(closed.handles)))
        yield from closed.close()

    def execbuffer(self, file: int, ring: int, microseconds: int, objects: int) -> Op[None]:
        owner = self._file(file)
        handles = [handle for of, handle in self.objects if of is owner][: objects % 3]
        used = [int(owner.object(handle).resource_id) for handle in handles]
        on_ring = ExecbufFlag.RING_IDX if owner.num_rings and ring % 3 else 0
        command = StreamWork(microseconds=work_of(microseconds)).build()
        ring_idx = ring % owner.num_rings if on_ring else 0
        flags = CtrlFlag.FENCE | (CtrlFlag.INFO_RING_IDX if on_ring else 0)
        members = {"ctx_id": owner.ctx_id, "commands": command, "flags": int(flags), "ring_idx": ring_idx}
        self.promises.append(Promise(CtrlType.SUBMIT_3D, **members))
        sync = yield from owner.execbuffer(
            command,
            flags=int(ExecbufFlag.FENCE_FD_OUT | on_ring),
            ring_idx=ring_idx,
            bo_handles=handles,
        )
        if sync is not None:
            self.fences.append(sync)
            self.bench.signalling.names(sync.fence.fence_id, used)

    def end(self) -> Op[None]:
        """The program exits: the kernel closes what it had."""
        for vma in self.vmas:
            yield from vma.munmap()
        for dma_buf in self.dma_bufs:
            yield from dma_buf.close()
        for file in self.files:
            yield from file.close()
        self.bench.driver.pages.release(self.held)


CALLS: dict[str, Callable[..., Op[None] | None]] = {
    "open": Guest.open,
    "context_init": Guest.context_init,
    "blob": Guest.blob,
    "guest_blob": Guest.guest_blob,
    "dumb": Guest.dumb,
    "mmap": Guest.mmap,
    "store": Guest.store,
    "load": Guest.load,
    "munmap": Guest.munmap,
    "close_handle": Guest.close_handle,
    "close_file": Guest.close_file,
    "execbuffer": Guest.execbuffer,
    "wait": idling.wait,
    "image": Guest.image,
    "transfer": Guest.transfer,
    **screens.CALLS,
    **sharing.CALLS,
    **asking.CALLS,
}
#: the numbers that a call takes, by their names
NUMBERS = {name: call.__code__.co_varnames[1 : call.__code__.co_argcount] for name, call in CALLS.items()}


def padded(step: Call) -> tuple[int, ...]:
    """The numbers that the call takes: 0 where the step has none."""
    count = len(NUMBERS[step.name])
    return (step.numbers + (0,) * count)[:count]


#: what a call needs at least one of
NEEDS: dict[str, str] = {
    **dict.fromkeys(("blob", "guest_blob", "dumb", "image", "execbuffer", "close_file"), "files"),
    **dict.fromkeys(("mmap", "close_handle", "wait", "transfer"), "objects"),
    **dict.fromkeys(("store", "load", "munmap"), "vmas"),
    "context_init": "fresh",
    **screens.NEEDS,
    **sharing.NEEDS,
    **asking.NEEDS,
}
