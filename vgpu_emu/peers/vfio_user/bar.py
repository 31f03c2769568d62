"""The host visible region as a PCI BAR: one memfd, which the VMM maps once, and a blob is a range of it while mapped.

vfio-user cannot put other memory into a BAR later. So it is the blob that moves: when the guest maps it its bytes go
into the BAR, and whoever holds its memory, the exporter as well as the scanouts, reads and writes them there; when it
is unmapped they go back. A blob that is mapped twice, as some VMMs allow, is kept where it was mapped last.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator
from errno import ENXIO

import msgspec

from vgpu_emu.link.region import HostVisibleRegion, Slot
from vgpu_emu.memory import Memory


class _Piece(msgspec.Struct, frozen=True):
    """`length` bytes from `start` on are at `place` in a file that is mapped as `pages`."""

    start: int
    length: int
    place: int
    pages: mmap.mmap
    fileno: int


class Bar(HostVisibleRegion):
    """size: a power of two, of whole pages. fileno: what the VMM maps. `close` when all memory made here is gone."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.fileno = os.memfd_create("host visible region", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.truncate(self.fileno, size)
        fcntl.fcntl(self.fileno, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.pages = mmap.mmap(self.fileno, size)

    def close(self) -> None:
        self.pages.close()
        os.close(self.fileno)

    def _add(self, slot: Slot) -> None:
        super()._add(slot)
        if isinstance(slot.memory, BlobMemory):
            slot.memory.enter(_Piece(slot.start, slot.length, slot.offset, self.pages, self.fileno))

    def _drop(self, slot: Slot) -> None:
        super()._drop(slot)
        if isinstance(slot.memory, BlobMemory):
            slot.memory.leave(slot.offset)
            # nothing of it is for the next guest mapping to see
            self.pages.madvise(mmap.MADV_REMOVE, slot.offset, slot.length)


class BlobMemory(Memory):
    """Memory that may be in a BAR, as a whole or in parts."""

    def __init__(self, size: int, fileno: int | None) -> None:
        super().__init__(size, fileno)
        #: where its bytes are, the newest first; what is in none of them is in its own memfd
        self._pieces: list[_Piece] = []

    def enter(self, piece: _Piece) -> None:
        for start, length in self._touched(piece.start, piece.length):
            place = piece.place + start - piece.start
            piece.pages[place : place + length] = self.read(start, length)
        self._pieces.insert(0, piece)

    def leave(self, place: int) -> None:
        """The piece that starts there in the BAR is none any more."""
        piece = next(piece for piece in self._pieces if piece.place == place)
        self._pieces.remove(piece)
        for start, length in _extents(piece.fileno, piece.place, piece.length):
            self.write(piece.start + start - piece.place, piece.pages[start : start + length])

    def _touched(self, start: int, length: int) -> Iterator[tuple[int, int]]:
        """Ranges outside of which there are only zeros."""
        if self._pieces or self.fileno is None:
            return iter([(start, length)])
        return _extents(self.fileno, start, length)

    def read(self, offset: int, length: int) -> bytes:
        if not self._pieces:
            return super().read(offset, length)
        return b"".join([pages[place : place + size] for pages, place, size in self._ranges(offset, length)])

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        if not self._pieces:
            return super().write(offset, data)
        done = 0
        for pages, place, size in self._ranges(offset, len(data)):
            pages[place : place + size] = bytes(data[done : done + size])
            done += size
        return None

    def _ranges(self, offset: int, length: int) -> Iterator[tuple[mmap.mmap, int, int]]:
        """Where a range of bytes is: the mapping, the place in it, how many. Raises OSError: ENXIO out of bounds."""
        own = self._access(offset, length)
        end = offset + length
        while offset < end:
            piece = next((p for p in self._pieces if p.start <= offset < p.start + p.length), None)
            starts = [p.start for p in self._pieces if p.start > offset]
            if piece is None:
                size = min([end, *starts]) - offset
                yield own, offset, size
            else:
                size = min([end, piece.start + piece.length, *starts]) - offset
                yield piece.pages, piece.place + offset - piece.start, size
            offset += size


def _extents(fileno: int, start: int, length: int) -> Iterator[tuple[int, int]]:
    """The stretches of a memfd's range that have pages; the rest is zeros."""
    place, end = start, start + length
    while place < end:
        try:
            first = os.lseek(fileno, place, os.SEEK_DATA)
        except OSError as nothing:
            if nothing.errno != ENXIO:
                raise
            return
        if first >= end:
            return
        place = min(os.lseek(fileno, first, os.SEEK_HOLE), end)
        yield first, place - first
