"""The device side of the driver: command queues, response callbacks, ids (virtgpu_vq.c, virtgpu_kms.c).

A blocking call of the kernel is an `Op` here: a generator that yields a Wait where the kernel sleeps, and returns what
the call returns. Whoever runs it carries queued chains to the device and used chains back, then looks again.
"""

from collections.abc import Callable, Iterable, Sequence
from errno import ENOSPC
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from vgpu_emu.guest.drm_mm import DrmMm
from vgpu_emu.guest.fences import Fence, FenceDriver
from vgpu_emu.guest.ida import Ida
from vgpu_emu.guest.outputs import Outputs
from vgpu_emu.guest.pages import PageAllocator
from vgpu_emu.guest.transport import NO_CONFIG, ConfigSpace
from vgpu_emu.guest.waiting import Op, Wait, Workers, wait_for
from vgpu_emu.ids import ContextId, ResourceId
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.trace.log import GUEST, Log
from vgpu_wire.control import FIRST_ERROR, CtrlHdr
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature
from vgpu_wire.messages import type_name

if TYPE_CHECKING:
    from vgpu_emu.guest.console import Console
    from vgpu_emu.guest.gem import GemObject

__all__ = ["CURSORQ_SIZE", "QUEUE_SIZE", "Callback", "Capsets", "Driver", "Op", "Wait"]

#: DRM_FILE_PAGE_OFFSET_START in bytes: where mmap offsets of GEM objects begin
_FIRST_MMAP_OFFSET = 0x100000 << 12
#: a callback takes the response buffer: what the device wrote, then the zeros that were there before
Callback = Callable[[bytes], None]
_RESPONSE = CtrlHdr.layout.size
#: descriptors of the controlq and of the cursorq
QUEUE_SIZE = 256
CURSORQ_SIZE = 16


class _Pending(msgspec.Struct, frozen=True):
    command: int
    capacity: int
    descriptors: int
    callback: Callback | None
    objects: "Sequence[GemObject]"


class Capset(msgspec.Struct):
    """struct virtio_gpu_drv_capset: an id of 0 has not been answered."""

    id: int = 0
    max_version: int = 0
    max_size: int = 0


class Capsets(msgspec.Struct):
    """What the probe found out. mask: vgdev->capset_id_mask. cache: (id, version) -> bytes; None: not answered yet."""

    known: list[Capset] = msgspec.field(default_factory=list)
    mask: int = 0
    cache: dict[tuple[int, int], bytes | None] = msgspec.field(default_factory=dict)


class Driver:
    """One bound virtio-gpu device. region: its host visible region, None if it has none.

    config: its configuration space. memory: the guest's; objects are made of its first `memory_size` bytes, the RAM.
    indirect: VIRTIO_RING_F_INDIRECT_DESC: a request takes one descriptor, however many buffers it has.
    """

    def __init__(
        self,
        region: HostVisibleRegion | None,
        *,
        features: Iterable[Feature],
        log: Log,
        config: ConfigSpace = NO_CONFIG,
        memory: GuestMemory | None = None,
        memory_size: int = 0,
        indirect: bool = True,
    ) -> None:
        self.features = frozenset(features)
        self.region = region
        self.log = log
        self.config = config
        self.indirect = indirect
        self.mm = DrmMm(region.size if region is not None else 0)
        self.pages = PageAllocator(memory or GuestMemory(), memory_size)
        self.fences = FenceDriver()
        self.workers = Workers()
        self.capsets = Capsets()
        self.outputs = Outputs()
        self.console: Console | None = None
        #: open files, the console's own not counted (drm_device.open_count)
        self.open_count = 0
        #: drm_dev_unplug: nothing is sent any more
        self.unplugged = False
        #: chains that the device does not have yet
        self.available: list[Chain] = []
        self.free_descriptors = {CONTROLQ: QUEUE_SIZE, CURSORQ: CURSORQ_SIZE}
        self._pending: dict[tuple[int, int], _Pending] = {}
        self._heads = count()
        #: where in a DRM file an object can be mmapped -> the object
        self.mmap_offsets: dict[int, GemObject] = {}
        self._next_mmap_offset = _FIRST_MMAP_OFFSET
        # virtio_gpu_resource_id_get counts up from 1 and hands out the count plus 1; ids are never used again
        self._resource_ids = count(2)
        self._context_ids = Ida(1)

    def successor(self) -> "Driver":
        """The driver that the next bind makes. The count of resource ids is the module's, not the device's."""
        new = Driver(self.region, features=self.features, log=self.log, config=self.config, indirect=self.indirect)
        new.pages = self.pages
        new._resource_ids = self._resource_ids
        # so that an answer to the old driver is not taken for one to the new
        new._heads = self._heads
        return new

    def has(self, *features: Feature) -> bool:
        return self.features.issuperset(features)

    # -- queues

    def queue(
        self,
        request: CtrlHdr,
        callback: Callback | None = None,
        capacity: int = _RESPONSE,
        *,
        fence: Fence | None = None,
        objects: "Sequence[GemObject]" = (),
    ) -> Op[bool]:
        """virtio_gpu_queue_ctrl_sgs: make a request available; sleeps while the queue has too few free descriptors.

        fence: emitted when the request has its place in the queue, so that fence ids are in the queue's order; it is
        then among the fences of `objects`. These live at least until the answer. False: the device was unbound, and
        nothing is sent.
        """
        if self.unplugged:
            return False
        for gem in objects:
            gem.get()
        needed = self._descriptors(request, capacity)
        while self.free_descriptors[CONTROLQ] < needed:
            yield Wait(lambda: self.free_descriptors[CONTROLQ] >= needed, "room on the controlq")
        if fence is not None:
            request = self.fences.emit(fence, request)
            for gem in objects:
                gem.add_fence(fence)
        self._submit(CONTROLQ, request.build(), _Pending(request.type, capacity, needed, callback, objects))
        return True

    def queue_cursor(self, request: CtrlHdr) -> Op[None]:
        """virtio_gpu_queue_cursor: one descriptor, nothing for an answer."""
        if self.unplugged:
            return
        while not self.free_descriptors[CURSORQ]:
            yield Wait(lambda: self.free_descriptors[CURSORQ] > 0, "room on the cursorq")
        self._submit(CURSORQ, request.build(), _Pending(request.type, 0, 1, None, ()))

    def _descriptors(self, request: CtrlHdr, capacity: int) -> int:
        return 1 if self.indirect else len(buffers(request)) + (capacity > 0)

    def queue_bytes(self, queue: int, data: bytes, capacity: int) -> int:
        """Any bytes as a request, which no driver would send: the head of its chain. Nobody waits for the answer."""
        return self._submit(queue, data, _Pending(int.from_bytes(data[:4], "little"), capacity, 1, None, ()))

    def _submit(self, queue: int, data: bytes, pending: _Pending) -> int:
        head = next(self._heads)
        self._pending[queue, head] = pending
        self.free_descriptors[queue] -= pending.descriptors
        self.available.append(Chain(head, queue, data, pending.capacity))
        return head

    def take_available(self) -> list[Chain]:
        """What a kick hands to the device: every chain queued since the last one, in order."""
        chains, self.available = self.available, []
        return chains

    def complete(self, used: Used) -> None:
        """virtio_gpu_dequeue_ctrl_func, for one used chain. One that nobody waits for is noted and left alone."""
        pending = self._pending.pop((used.queue, used.head), None)
        if pending is None:
            self.log.note(GUEST, "spurious", head=used.head)
            return
        self.free_descriptors[used.queue] += pending.descriptors
        if used.queue == CONTROLQ:
            self._answered(pending, used.written[: pending.capacity].ljust(pending.capacity, b"\0"))
        for gem in pending.objects:
            # virtio_gpu_array_put_free_delayed: a reference is given back by a worker, as that may sleep
            self.workers.schedule(gem.put())
        if self.workers:
            self.workers.run()

    def _answered(self, pending: _Pending, buffer: bytes) -> None:
        if len(buffer) >= _RESPONSE:
            response = int.from_bytes(buffer[:4], "little")
            if response >= FIRST_ERROR:
                self._error(response, pending.command)
            self.fences.answered(buffer)
        if pending.callback is not None:
            pending.callback(buffer)

    def _error(self, response: int, command: int) -> None:
        """The line that Linux prints, and the same in words."""
        text = f"response {response:#x} (command {command:#x})"
        values = {"response": type_name(response), "command": type_name(command), "text": text}
        self.log.note(GUEST, "error_response", **values)

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    @property
    def unanswered(self) -> list[tuple[int, int, int]]:
        """(queue, head, command) of every request in flight, oldest first."""
        return [(queue, head, pending.command) for (queue, head), pending in self._pending.items()]

    def command(self, request: CtrlHdr, capacity: int = _RESPONSE) -> Op[bytes]:
        """Send any request and wait for its answer: the `capacity` bytes of the response buffer."""
        answer: list[bytes] = []
        yield from self.queue(request, answer.append, capacity)
        yield from wait_for(answer.__len__, "an answer")
        return answer[0]

    def settle(self) -> Op[None]:
        """Wait until the device has answered everything."""
        yield Wait(lambda: not self._pending, "every answer")

    # -- ids

    def new_mmap_offset(self, gem: "GemObject") -> int:
        """drm_gem_create_mmap_offset. Raises OSError: ENOSPC for an object of 0 pages."""
        if not gem.size:
            raise OSError(ENOSPC, "a GEM object of 0 pages")
        offset, self._next_mmap_offset = self._next_mmap_offset, self._next_mmap_offset + gem.size
        self.mmap_offsets[offset] = gem
        return offset

    def new_resource_id(self) -> ResourceId:
        return ResourceId(next(self._resource_ids))

    def new_context_id(self) -> ContextId:
        """The lowest free one from 1 on (ida_alloc, plus 1)."""
        return ContextId(self._context_ids.take())

    def free_context_id(self, ctx_id: ContextId) -> None:
        self._context_ids.give_back(ctx_id)


def buffers(request: CtrlHdr) -> tuple[int, ...]:
    """The device-readable buffers of a request, in bytes: the command, and what follows it (vbuf->data_buf)."""
    size, total = request.layout.size, len(request.build())
    return (size, total - size) if total > size else (size,)
