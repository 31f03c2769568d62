"""Guest physical memory: what an address in a descriptor or a memory entry stands for.

An address space holds regions, each over a real buffer that whoever added it keeps: a bytearray, or the mmap of a memfd
that another process maps too. Behind the regions, if asked for, sparse memory: pages that read as zero, made when they
are first touched, for the addresses of a capture whose memory nobody recorded.
"""

from bisect import bisect_right
from errno import EEXIST, EFAULT, EINVAL, ENOMEM
from mmap import mmap

from vgpu_emu.memory import PAGE_SIZE

Backing = bytes | bytearray | memoryview | mmap
#: an address has 64 bits
END = 1 << 64


class Region:
    """The addresses from `start` up to `end`, which is outside. view: their bytes."""

    __slots__ = ("end", "start", "view", "writable")

    def __init__(self, start: int, view: memoryview) -> None:
        self.start = start
        self.end = start + len(view)
        self.view = view
        self.writable = not view.readonly

    def __repr__(self) -> str:
        return f"[{self.start:#x}, {self.end:#x})"


class GuestMemory:
    """One guest's physical address space. sparse: bytes of sparse memory that it may back; 0: there is none.

    Every access raises OSError: EFAULT where there is no memory, where read-only memory would be written, and for a
    range that wraps around; ENOMEM where the sparse limit ends. An access of no bytes is none.
    """

    def __init__(self, *, sparse: int = 0) -> None:
        self.sparse = sparse
        #: bytes of sparse memory that were touched: whole pages
        self.sparse_used = 0
        #: another one after each change of regions, so that a user may keep what `locate` found
        self.version = 0
        self._starts: list[int] = []
        self._regions: list[Region] = []
        self._recent = Region(0, memoryview(b""))

    def __repr__(self) -> str:
        sparse = f", {self.sparse_used} of {self.sparse} sparse bytes" if self.sparse else ""
        return f"<GuestMemory {self._regions}{sparse}>"

    def add(self, address: int, backing: Backing) -> None:
        """Show `backing` at `address`; read-only memory stays so. Raises OSError: EINVAL where it is empty or does not
        fit into 64 bits, EEXIST where there is memory, touched sparse memory included.
        """
        view = memoryview(backing).cast("B")
        try:
            index = self._room(address, address + len(view))
        except OSError:
            # nothing here refers to what was not taken
            view.release()
            raise
        self._starts.insert(index, address)
        self._regions.insert(index, Region(address, view))
        self.version += 1

    def _room(self, start: int, end: int) -> int:
        """Where in the list of regions this one belongs. Raises OSError like `add`."""
        if not 0 <= start < end <= END:
            raise OSError(EINVAL, f"{end - start:#x} bytes at {start:#x}")
        index = bisect_right(self._starts, start)
        for neighbour in self._regions[max(index - 1, 0) : index + 1]:
            if neighbour.start < end and start < neighbour.end:
                raise OSError(EEXIST, f"[{start:#x}, {end:#x}) overlaps {neighbour}")
        return index

    def remove(self, address: int, size: int) -> None:
        """Take a region away. Raises OSError: EINVAL if none is exactly that.

        Nothing here refers to its backing any more; an mmap can be closed as soon as all views of it are gone.
        """
        index = bisect_right(self._starts, address) - 1
        if index < 0 or self._starts[index] != address or len(self._regions[index].view) != size:
            raise OSError(EINVAL, f"no region of {size:#x} bytes starts at {address:#x}")
        del self._starts[index]
        self._regions.pop(index).view.release()
        self._recent = Region(0, memoryview(b""))
        self.version += 1

    # most accesses are to the region of the last one, and then need no list

    def read(self, address: int, length: int) -> bytes:
        region, end = self._recent, address + length
        if region.start <= address <= end <= region.end:
            return bytes(region.view[address - region.start : end - region.start])
        return b"".join(self.views(address, length))

    def read_into(self, address: int, target: memoryview) -> None:
        """As `read`, without a copy in between."""
        region, end = self._recent, address + len(target)
        if region.start <= address <= end <= region.end:
            target[:] = region.view[address - region.start : end - region.start]
            return
        done = 0
        for view in self.views(address, len(target)):
            target[done : done + len(view)] = view
            done += len(view)

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """All of it or, with an error, nothing."""
        region, end = self._recent, address + len(data)
        if region.start <= address and end <= region.end and region.writable:
            region.view[address - region.start : end - region.start] = data
            return
        done = 0
        for view in self.views(address, len(data), writable=True):
            view[:] = data[done : done + len(view)]
            done += len(view)

    def views(self, address: int, length: int, *, writable: bool = False) -> list[memoryview]:
        """The memory itself, a piece for each region. While a view lives, its backing cannot be closed."""
        region, end = self._recent, address + length
        if region.start <= address < end <= region.end and region.writable >= writable:
            return [region.view[address - region.start : end - region.start]]
        found = []
        for region in self._cover(address, length, writable=writable):
            first, last = max(address, region.start), min(end, region.end)
            found.append(region.view[first - region.start : last - region.start])
        return found

    def require(self, address: int, length: int, *, writable: bool = False) -> None:
        """Nothing, or the error that an access would raise."""
        region, end = self._recent, address + length
        if not region.start <= address <= end <= region.end or region.writable < writable:
            self._cover(address, length, writable=writable)

    def locate(self, address: int, length: int) -> tuple[memoryview, int]:
        """A region's whole view, and where in it a writable range starts that must not be in two regions.

        Good until `version` changes; it does not keep the backing from being closed.
        """
        regions = self._cover(address, length, writable=True)
        if len(regions) != 1:
            raise OSError(EFAULT, f"[{address:#x}, +{length:#x}) is in {len(regions)} regions")
        return regions[0].view, address - regions[0].start

    def _cover(self, address: int, length: int, *, writable: bool = False) -> list[Region]:
        """The regions that hold the range, in order."""
        regions = self._search(address, address + length)
        if writable and not all(region.writable for region in regions):
            raise OSError(EFAULT, f"[{address:#x}, +{length:#x}) is read-only")
        return regions

    def _search(self, address: int, end: int) -> list[Region]:
        if not 0 <= address <= end <= END:
            raise OSError(EFAULT, f"[{address:#x}, {end:#x}) is no range of addresses")
        if address == end:
            return []
        regions, holes = self._walk(address, end)
        if holes:
            self._back(holes)
            regions, _ = self._walk(address, end)
        self._recent = regions[-1]
        return regions

    def _walk(self, address: int, end: int) -> tuple[list[Region], list[tuple[int, int]]]:
        """The regions in a range, and the holes between them."""
        regions, holes = [], []
        index = bisect_right(self._starts, address) - 1
        if index >= 0 and self._regions[index].end > address:
            regions.append(self._regions[index])
            address = regions[0].end
        for region in self._regions[index + 1 : bisect_right(self._starts, end - 1)]:
            if region.start > address:
                holes.append((address, region.start))
            regions.append(region)
            address = region.end
        if address < end:
            holes.append((address, end))
        return regions, holes

    def _back(self, holes: list[tuple[int, int]]) -> None:
        """Make sparse memory where there is none: all that is asked for, or nothing."""
        if not self.sparse:
            raise OSError(EFAULT, f"no memory at [{holes[0][0]:#x}, {holes[0][1]:#x})")
        pages = [self._pages(*hole) for hole in holes]
        needed = sum(end - start for start, end in pages)
        if self.sparse_used + needed > self.sparse:
            raise OSError(ENOMEM, f"{needed} sparse bytes, {self.sparse_used} of {self.sparse} are used")
        for start, end in pages:
            self.add(start, bytearray(end - start))
        self.sparse_used += needed

    def _pages(self, start: int, end: int) -> tuple[int, int]:
        """The whole pages around a hole, as far as they are not in its neighbours."""
        index = bisect_right(self._starts, start)
        before = self._regions[index - 1].end if index else 0
        after = self._starts[index] if index < len(self._starts) else END
        return max(before, start & -PAGE_SIZE), min(after, (end + PAGE_SIZE - 1) & -PAGE_SIZE)
