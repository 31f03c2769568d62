"""The device side of the driver: command queues, response callbacks, ids (virtgpu_vq.c, virtgpu_kms.c).

A blocking call of the kernel is an `Op` here: a generator that yields a Wait where the kernel sleeps, and returns what
the call returns. Whoever runs it carries queued chains to the device and used chains back, then looks again.
"""

from collections.abc import Callable, Generator, Iterable
from errno import ENOSPC
from itertools import count
from typing import TYPE_CHECKING, TypeVar

import msgspec

from vgpu_emu.guest.drm_mm import DrmMm
from vgpu_emu.ids import ContextId, ResourceId
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.trace.log import GUEST, Log
from vgpu_wire.control import FIRST_ERROR, CtrlHdr
from vgpu_wire.device import CONTROLQ, Feature
from vgpu_wire.messages import type_name

if TYPE_CHECKING:
    from vgpu_emu.guest.vram import VramObject

#: DRM_FILE_PAGE_OFFSET_START in bytes: where mmap offsets of GEM objects begin
_FIRST_MMAP_OFFSET = 0x100000 << 12
#: a callback takes the response buffer: what the device wrote, then the zeros that were there before
Callback = Callable[[bytes], None]
_RESPONSE = CtrlHdr.layout.size
#: entries of the controlq
QUEUE_SIZE = 256


class Wait(msgspec.Struct, frozen=True):
    """The kernel sleeps here until `ready()`. why: what it waits for, in words."""

    ready: Callable[[], object]
    why: str


T = TypeVar("T")
Op = Generator[Wait, None, T]


class _Pending(msgspec.Struct, frozen=True):
    command: int
    capacity: int
    callback: Callback | None


class Driver:
    """One bound virtio-gpu device. region: its host visible region, None if it has none."""

    def __init__(self, region: HostVisibleRegion | None, *, features: Iterable[Feature], log: Log) -> None:
        self.features = frozenset(features)
        self.region = region
        self.log = log
        self.mm = DrmMm(region.size if region is not None else 0)
        #: chains that the device does not have yet
        self.available: list[Chain] = []
        self._pending: dict[int, _Pending] = {}
        self._heads = count()
        #: where in a DRM file an object can be mmapped -> the object
        self.mmap_offsets: dict[int, VramObject] = {}
        self._next_mmap_offset = _FIRST_MMAP_OFFSET
        # virtio_gpu_resource_id_get counts up from 1 and hands out the count plus 1; ids are never used again
        self._resource_ids = count(2)
        self._context_ids: set[ContextId] = set()

    # -- queues

    def queue(self, request: CtrlHdr, callback: Callback | None = None, capacity: int = _RESPONSE) -> Op[None]:
        """virtio_gpu_queue_ctrl_buffer: make a request available; sleeps while the queue is full."""
        if len(self._pending) >= QUEUE_SIZE:
            yield Wait(lambda: len(self._pending) < QUEUE_SIZE, "room on the controlq")
        head = next(self._heads)
        self._pending[head] = _Pending(request.type, capacity, callback)
        self.available.append(Chain(head, CONTROLQ, request.build(), capacity))

    def take_available(self) -> list[Chain]:
        """What a kick hands to the device: every chain queued since the last one, in order."""
        chains, self.available = self.available, []
        return chains

    def complete(self, used: Used) -> None:
        """virtio_gpu_dequeue_ctrl_func, for one used chain. One that nobody waits for is noted and left alone."""
        pending = self._pending.pop(used.head, None)
        if pending is None:
            self.log.note(GUEST, "spurious", head=used.head)
            return
        buffer = used.written[: pending.capacity].ljust(pending.capacity, b"\0")
        response = int.from_bytes(buffer[:4], "little")
        if response >= FIRST_ERROR:
            self.log.note(GUEST, "error_response", response=type_name(response), command=type_name(pending.command))
        if pending.callback is not None:
            pending.callback(buffer)

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def command(self, request: CtrlHdr, capacity: int = _RESPONSE) -> Op[bytes]:
        """Send any request and wait for its answer: the `capacity` bytes of the response buffer."""
        answer: list[bytes] = []
        yield from self.queue(request, answer.append, capacity)
        yield Wait(answer.__len__, "an answer")
        return answer[0]

    def settle(self) -> Op[None]:
        """Wait until the device has answered everything."""
        yield Wait(lambda: not self._pending, "every answer")

    # -- ids

    def new_mmap_offset(self, vram: "VramObject") -> int:
        """drm_gem_create_mmap_offset. Raises OSError: ENOSPC for an object of 0 pages."""
        if not vram.size:
            raise OSError(ENOSPC, "a GEM object of 0 pages")
        offset, self._next_mmap_offset = self._next_mmap_offset, self._next_mmap_offset + vram.size
        self.mmap_offsets[offset] = vram
        return offset

    def new_resource_id(self) -> ResourceId:
        return ResourceId(next(self._resource_ids))

    def new_context_id(self) -> ContextId:
        """The lowest free one from 1 on (ida_alloc, plus 1)."""
        ctx_id = next(ContextId(n) for n in count(1) if n not in self._context_ids)
        self._context_ids.add(ctx_id)
        return ctx_id

    def free_context_id(self, ctx_id: ContextId) -> None:
        self._context_ids.remove(ctx_id)
