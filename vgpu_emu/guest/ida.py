"""Small numbers that are given out and taken back: always the lowest free one (lib/idr.c: ida_alloc, idr_alloc)."""

from heapq import heappop, heappush


class Ida:
    """Numbers from `first` on."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._free: list[int] = []

    def take(self) -> int:
        if self._free:
            return heappop(self._free)
        self._next += 1
        return self._next - 1

    def give_back(self, number: int) -> None:
        """A number that was taken, once."""
        heappush(self._free, number)
