"""Fences of the driver: struct dma_fence as virtio-gpu makes and signals them (virtgpu_fence.c).

One count of fence ids serves all timelines; a timeline is a dma-fence context. The device completes a fence by its id;
those before it in the same context are complete with it, in other contexts they are not.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec.structs import replace

from vgpu_emu.guest.waiting import Op, wait_for
from vgpu_wire.control import CtrlFlag, CtrlHdr

H = TypeVar("H", bound=CtrlHdr)
_FENCE, _RING = CtrlFlag.FENCE.value, CtrlFlag.INFO_RING_IDX.value
_HEADER = CtrlHdr.layout.size
#: where the low byte of the flags is: most answers have none, and are not parsed for that
_FLAGS_AT = 4
#: the context of all fences without a ring (vgdev->fence_drv.context)
DEVICE_CONTEXT = 1


class Fence:
    """struct virtio_gpu_fence. context: its timeline. ring_idx: told to the device; None: the device's one timeline.

    fence_id: 0 until it is emitted. then: called once when it is signalled.
    """

    def __init__(self, context: int = DEVICE_CONTEXT, ring_idx: int | None = None) -> None:
        self.context = context
        self.ring_idx = ring_idx
        self.fence_id = 0
        self.signaled = False
        self.then: Callable[[], None] | None = None

    def signal(self) -> None:
        self.signaled = True
        if self.then is not None:
            self.then()

    def __repr__(self) -> str:
        state = "signaled" if self.signaled else "pending" if self.fence_id else "not emitted"
        return f"<Fence {self.fence_id} of context {self.context}, {state}>"


class FenceDriver:
    """struct virtio_gpu_fence_driver"""

    def __init__(self) -> None:
        self.last_emitted = 0
        self._next_context = DEVICE_CONTEXT + 1
        self._by_id: dict[int, Fence] = {}
        #: context -> its emitted fences, oldest first
        self._contexts: dict[int, OrderedDict[int, Fence]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, fence_id: int) -> bool:
        """A fence that is emitted, and not signalled."""
        return fence_id in self._by_id

    def new_contexts(self, number: int) -> int:
        """dma_fence_context_alloc: the first of so many context numbers."""
        first, self._next_context = self._next_context, self._next_context + number
        return first

    def emit(self, fence: Fence, request: H) -> H:
        """virtio_gpu_fence_emit: the request that carries the fence, which has its id now."""
        self.last_emitted += 1
        fence.fence_id = self.last_emitted
        self._by_id[fence.fence_id] = fence
        self._contexts.setdefault(fence.context, OrderedDict())[fence.fence_id] = fence
        if fence.ring_idx is None:
            return replace(request, flags=_FENCE, fence_id=fence.fence_id)
        return replace(request, flags=_FENCE | _RING, fence_id=fence.fence_id, ring_idx=fence.ring_idx & 0xFF)

    def answered(self, buffer: bytes) -> None:
        """The fence that an answer carries, if it does: what the answer says, not what was asked, counts."""
        if buffer[_FLAGS_AT] & _FENCE:
            self.process(CtrlHdr.parse(buffer[:_HEADER]).fence_id)

    def process(self, fence_id: int) -> None:
        """virtio_gpu_fence_event_process: this fence, and those before it in its context. An unknown id is nothing."""
        fence = self._by_id.get(fence_id)
        if fence is None:
            return
        waiting = self._contexts[fence.context]
        while not fence.signaled:
            number, oldest = waiting.popitem(last=False)
            del self._by_id[number]
            oldest.signal()
        if not waiting:
            del self._contexts[fence.context]


def wait_for_fences(fences: Iterable[Fence], why: str, timeout: float | None = None) -> Op[bool]:
    """dma_fence_wait_timeout, for all of them: whether they were signalled in time."""
    pending = [fence for fence in fences if not fence.signaled]
    return (yield from wait_for(lambda: all(fence.signaled for fence in pending), why, timeout))
