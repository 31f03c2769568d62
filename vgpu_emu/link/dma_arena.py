"""A driver's share of guest memory: blocks for its requests, responses and indirect tables.

A buddy allocator that merges late: blocks of a power of two go from list to list, and free neighbours are joined only
when nothing fits. So the usual case, blocks of the same few sizes again and again, costs a list's append and pop.
"""

from errno import ENOMEM

#: bytes of the smallest block; what every block is aligned to, if the arena is
_SMALLEST = 6


class DmaArena:
    """Guest physical addresses [address, address + size). size: a power of two, of 64 bytes at least."""

    def __init__(self, address: int, size: int) -> None:
        if size & (size - 1) or size < 1 << _SMALLEST:
            raise ValueError(f"an arena of {size} bytes")
        self.address = address
        self.size = size
        #: order -> offsets of free blocks of 2^order bytes
        self._free: list[list[int]] = [[] for _ in range(size.bit_length())]
        self._free[-1].append(0)

    def alloc(self, length: int) -> int:
        """The address of `length` bytes. Raises OSError: ENOMEM."""
        order = max(_SMALLEST, (length - 1).bit_length())
        if order < len(self._free) and self._free[order]:
            return self.address + self._free[order].pop()
        offset = self._split(order)
        if offset is None:
            self._merge()
            offset = self._split(order)
        if offset is None:
            raise OSError(ENOMEM, f"{length} bytes of DMA memory")
        return self.address + offset

    def free(self, address: int, length: int) -> None:
        """Give back what `alloc(length)` gave."""
        self._free[max(_SMALLEST, (length - 1).bit_length())].append(address - self.address)

    def _split(self, order: int) -> int | None:
        """Take a block of this order from the smallest that has one; the rest of that stays free."""
        found = next((larger for larger in range(order, len(self._free)) if self._free[larger]), None)
        if found is None:
            return None
        offset = self._free[found].pop()
        for smaller in range(order, found):
            self._free[smaller].append(offset + (1 << smaller))
        return offset

    def _merge(self) -> None:
        """Join every free block with its buddy if that is free, from the smallest up."""
        for order in range(_SMALLEST, len(self._free) - 1):
            blocks = set(self._free[order])
            pairs = {offset & ~(1 << order) for offset in blocks if offset ^ (1 << order) in blocks}
            self._free[order] = sorted(offset for offset in blocks if offset & ~(1 << order) not in pairs)
            self._free[order + 1] += sorted(pairs)
