"""The allocator of the host visible region: drm_mm in its default mode (drivers/gpu/drm/drm_mm.c, DRM_MM_INSERT_BEST).

The smallest hole that is large enough is taken, of equal ones the youngest; the node goes to its lower end.
"""

from errno import ENOSPC
from typing import NamedTuple

from sortedcontainers import SortedList


class _Hole(NamedTuple):
    size: int
    #: negative, so that of equal holes the youngest sorts first
    age: int
    start: int


class DrmMm:
    """Nodes in [0, size). Every step is logarithmic in the number of holes."""

    def __init__(self, size: int) -> None:
        #: start -> size
        self.nodes: dict[int, int] = {}
        self._holes: SortedList = SortedList()
        self._starting: dict[int, _Hole] = {}
        self._ending: dict[int, _Hole] = {}
        self._age = 0
        if size:
            self._add(0, size)

    def insert(self, size: int) -> int:
        """The start of a new node of `size` bytes. Raises OSError: ENOSPC if no hole is large enough."""
        index = self._holes.bisect_left((size,))
        if index == len(self._holes):
            raise OSError(ENOSPC, f"no hole of {size:#x} bytes in the host visible region")
        hole: _Hole = self._holes[index]
        self._take(hole)
        self.nodes[hole.start] = size
        if hole.size > size:
            self._add(hole.start + size, hole.size - size)
        return hole.start

    def remove(self, start: int) -> None:
        """The node at `start` becomes a hole, one with the holes next to it."""
        end = start + self.nodes.pop(start)
        if before := self._ending.get(start):
            start = before.start
            self._take(before)
        if behind := self._starting.get(end):
            end += behind.size
            self._take(behind)
        self._add(start, end - start)

    def _add(self, start: int, size: int) -> None:
        self._age -= 1
        hole = _Hole(size, self._age, start)
        self._holes.add(hole)
        self._starting[start] = self._ending[start + size] = hole

    def _take(self, hole: _Hole) -> None:
        self._holes.remove(hole)
        del self._starting[hole.start], self._ending[hole.start + hole.size]
