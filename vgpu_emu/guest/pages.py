"""The guest's page allocator, as far as the driver uses it: whole pages of guest RAM, in runs as long as it finds."""

from errno import ENOMEM

from sortedcontainers import SortedList

from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.resource import MemEntry

#: what is below belongs to firmware, kernel and queues; of a guest with no more memory than that, the lower half
FIRST_PAGE = 1 << 20
#: a memory entry has 32 bits for its length: so many whole pages
_LONGEST = (1 << 32) - PAGE_SIZE

#: [start, end) in bytes
Run = tuple[int, int]


class PageAllocator:
    """The first `size` bytes of memory, without the lowest ones.

    First fit: always the lowest free pages. Those of one object are not always one run.
    """

    def __init__(self, memory: GuestMemory, size: int) -> None:
        self.memory = memory
        pages = size // PAGE_SIZE
        end = pages * PAGE_SIZE
        #: bytes of memory before the first page
        self.first = FIRST_PAGE if end > FIRST_PAGE else -(-pages // 2) * PAGE_SIZE
        #: by their starts
        self._free: SortedList = SortedList()
        if end > self.first:
            self._free.add((self.first, end))
        self.free_bytes = end - self.first

    def allocate(self, size: int) -> list[Run]:
        """Pages for `size` bytes, a multiple of a page; they read as zero. Raises OSError: ENOMEM."""
        if size > self.free_bytes:
            raise OSError(ENOMEM, f"{size:#x} bytes of guest memory, {self.free_bytes:#x} are free")
        runs: list[Run] = []
        while size:
            start, end = self._free.pop(0)
            taken = min(end - start, size)
            if start + taken < end:
                self._free.add((start + taken, end))
            runs.append((start, start + taken))
            size -= taken
            self.free_bytes -= taken
        for start, end in runs:
            for view in self.memory.views(start, end - start, writable=True):
                view[:] = bytes(len(view))
        return runs

    def release(self, runs: list[Run]) -> None:
        """Pages that were allocated are free, one run with those next to them."""
        for start, end in runs:
            self.free_bytes += end - start
            first, last = start, end
            index = self._free.bisect_left((first, last))
            if index < len(self._free) and self._free[index][0] == last:
                last = self._free.pop(index)[1]
            if index and self._free[index - 1][1] == first:
                first = self._free.pop(index - 1)[0]
            self._free.add((first, last))


def entries_of(runs: list[Run]) -> list[MemEntry]:
    """The runs as a device is told of them: each as one entry, or as few as 32 bits allow."""
    return [
        MemEntry(addr=addr, length=min(end - addr, _LONGEST))
        for start, end in runs
        for addr in range(start, end, _LONGEST)
    ]


class RunsView:
    """The bytes of some runs as one stretch, from 0 on."""

    def __init__(self, memory: GuestMemory, runs: list[Run]) -> None:
        self.memory = memory
        self.runs = runs

    def read(self, offset: int, length: int) -> bytes:
        """Raises OSError: EFAULT where the guest has no memory."""
        return b"".join(self.memory.read(start, end - start) for start, end in self._pieces(offset, length))

    def write(self, offset: int, data: bytes) -> None:
        """Raises OSError like `read`."""
        done = 0
        for start, end in self._pieces(offset, len(data)):
            self.memory.write(start, data[done : done + end - start])
            done += end - start

    def _pieces(self, offset: int, length: int) -> list[Run]:
        pieces, place = [], 0
        for start, end in self.runs:
            first, last = max(offset, place), min(offset + length, place + end - start)
            if first < last:
                pieces.append((start + first - place, start + last - place))
            place += end - start
        return pieces
