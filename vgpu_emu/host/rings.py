"""When the GPU is done: rings that work takes time on, and fences behind that work.

A ring is (context, ring_idx). Time comes in as `now`, in seconds; nothing here reads a clock.
"""

from heapq import heappop, heappush
from itertools import count

from vgpu_wire.renderer_link import Fence, Signal

Ring = tuple[int, int]


def _timeline(of: Fence | Signal) -> Ring | None:
    return None if of.is_global else (of.ctx_id, of.ring_idx)


class Rings:
    """Work on one ring is done in order; rings do not wait for each other."""

    def __init__(self) -> None:
        self._busy_until: dict[Ring, float] = {}
        #: (when it is due, in which order it was asked for, what is then sent)
        self._fences: list[tuple[float, int, Signal]] = []
        self._order = count()

    def work(self, ring: Ring, seconds: float, now: float) -> None:
        """Work of this length behind all that is on the ring."""
        self._busy_until[ring] = max(now, self._busy_until.get(ring, 0.0)) + seconds

    def fence(self, fence: Fence, now: float) -> bool:
        """A fence behind all that is on its ring, or on any, and behind the fences before it: whether it is pending. It
        is signalled at its time."""
        if fence.is_global:
            work = max(self._busy_until.values(), default=0.0)
        else:
            work = self._busy_until.get((fence.ctx_id, fence.ring_idx), 0.0)
        # work that is gone with its context may have been what they waited for
        due = max([work, *(before for before, _, signal in self._fences if _timeline(signal) == _timeline(fence))])
        if due <= now:
            return False
        signal = Signal(
            ctx_id=fence.ctx_id, ring_idx=fence.ring_idx, is_global=fence.is_global, fence_id=fence.fence_id
        )
        heappush(self._fences, (due, next(self._order), signal))
        return True

    @property
    def next_due(self) -> float | None:
        """When the next fence is to be signalled, if one is pending."""
        return self._fences[0][0] if self._fences else None

    def due(self, now: float) -> list[Signal]:
        """The fences that are complete by now, each once, in their order."""
        complete = []
        while self._fences and self._fences[0][0] <= now:
            complete.append(heappop(self._fences)[2])
        return complete

    def forget_fences(self) -> None:
        """Nobody waits for them any more. The work goes on."""
        self._fences.clear()

    def forget(self, ctx_id: int) -> None:
        """A context is gone, and its work with it. Fences that are pending stay: somebody waits for them."""
        self._busy_until = {ring: until for ring, until in self._busy_until.items() if ring[0] != ctx_id}
