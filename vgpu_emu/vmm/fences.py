"""Fences: answers that wait for the renderer, in the order of their timelines (virtio 1.4, 5.7.6.7).

Without INFO_RING_IDX there is one timeline for the whole device; with it, one for each (context, ring).
"""

from collections import deque
from collections.abc import Iterator

from msgspec.structs import replace

from vgpu_emu.link.chain import Used
from vgpu_emu.vmm.asking import Steps, ask
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.renderer_link import Answer, Fence, Signal

#: (ctx_id, ring_idx), or GLOBAL
Timeline = tuple[int, int]
GLOBAL: Timeline = (0, -1)
_UNSPEC = CtrlType.RESP_ERR_UNSPEC.value.to_bytes(4, "little")
_HEADER = CtrlHdr.layout.size


def timeline_of(signal: Signal) -> Timeline:
    return GLOBAL if signal.is_global else (signal.ctx_id, signal.ring_idx)


def _question(timeline: Timeline, fence_id: int) -> Fence:
    if timeline == GLOBAL:
        return Fence(fence_id=fence_id, is_global=1)
    return Fence(fence_id=fence_id, ctx_id=timeline[0], ring_idx=timeline[1])


class Fences:
    """Used chains that the driver may not see yet."""

    def __init__(self) -> None:
        #: the fence that the renderer is asked about, and whether its signal came before the answer
        self._asked: tuple[Timeline, int] | None = None
        self._is_early = False
        #: by timeline, in order: a fence, and what its signal releases
        self._parked: dict[Timeline, deque[tuple[int, list[Used]]]] = {}
        #: timelines with work that no signalled fence has covered yet
        self.busy: set[Timeline] = set()
        self.count = 0

    def ask(self, timeline: Timeline, fence_id: int) -> Steps[Answer]:
        """Make a fence behind the work of this timeline: the renderer's answer; its value: the fence is pending."""
        self._asked, self._is_early = (timeline, fence_id), False
        answer = yield from ask(_question(timeline, fence_id))
        self._asked = None
        return replace(answer, value=0) if self._is_early else answer

    def park(self, timeline: Timeline, fence_id: int, used: Used) -> None:
        self._parked.setdefault(timeline, deque()).append((fence_id, [used]))
        self.count += 1

    def follow(self, timeline: Timeline, used: Used) -> bool:
        """The fence of this chain is complete. Whether it still has to wait, for one before it whose signal is due."""
        parked = self._parked.get(timeline)
        if parked is None:
            return False
        parked[-1][1].append(used)
        self.count += 1
        return True

    def waits(self, timeline: Timeline) -> bool:
        """Whether a fence that comes now has to wait: for work, or for a fence before it."""
        return timeline in self._parked or (bool(self.busy) if timeline == GLOBAL else timeline in self.busy)

    def signal(self, timeline: Timeline, fence_id: int) -> list[Used]:
        """The renderer has completed this fence, and with it all before it on its timeline. One nobody waits for is
        nothing."""
        if self._asked == (timeline, fence_id):
            self._is_early = True
        parked = self._parked.get(timeline, deque())
        if all(waiting != fence_id for waiting, _chains in parked):
            return []
        released: list[Used] = []
        last = None
        while last != fence_id:
            last, chains = parked.popleft()
            released += chains
        self.count -= len(released)
        if not parked:
            del self._parked[timeline]
        return released

    def fail(self) -> list[Used]:
        """No fence will be signalled any more: everything that waits, with RESP_ERR_UNSPEC for an answer."""
        failed = [replace(used, written=(_UNSPEC + used.written[4:_HEADER])[: len(used.written)]) for *_, used in self]
        self.clear()
        # the one that is being asked about is not to be waited for
        self._is_early = True
        return failed

    def idle(self, timeline: Timeline) -> None:
        """The renderer says that nothing is left to do on this timeline."""
        self.busy = set() if timeline == GLOBAL else self.busy - {timeline}

    def clear(self) -> None:
        self._parked.clear()
        self.busy.clear()
        self.count = 0

    def __iter__(self) -> Iterator[tuple[Timeline, int, Used]]:
        """Everything that waits: its timeline, its fence, and the answer."""
        for timeline, parked in self._parked.items():
            for fence_id, chains in parked:
                yield from ((timeline, fence_id, used) for used in chains)
