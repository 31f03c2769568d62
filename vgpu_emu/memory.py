"""The memory behind a buffer: real pages of a memfd, or a size alone.

A Memory is held by whoever refers to it (dma-buf, descriptor in flight, mapping) and is gone with the last holder.
"""

import fcntl
import mmap
import os
from collections.abc import Iterable
from errno import EACCES, EFBIG, EINVAL, ENODEV, ENXIO
from typing import NamedTuple, Self

from vgpu_emu.ids import Fd

PAGE_SIZE = 4096


class Memory:
    """`size` bytes that read as zero until written. `fileno` is the memfd; None: a size-only backing without bytes.

    writable: the descriptor is open for writing; of one that is not, a mapping for writing is EACCES.
    """

    def __init__(self, size: int, fileno: int | None, *, writable: bool = True) -> None:
        self.size = size
        self.fileno = fileno
        self.writable = writable
        self.holders = 1
        self._pages: mmap.mmap | None = None

    @classmethod
    def memfd(cls, size: int, name: str) -> Self:
        """Real memory, sealed against a change of size. Raises OSError (EMFILE, ENOMEM, EFBIG) as the kernel does."""
        if size >= 1 << 63:
            raise OSError(EFBIG, f"a file of {size:#x} bytes")
        fileno = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.truncate(fileno, size)
            fcntl.fcntl(fileno, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        except OSError:
            os.close(fileno)
            raise
        return cls(size, fileno)

    @classmethod
    def received(cls, fileno: int) -> Self:
        """The memory of a descriptor from another process, which is taken over: closed here with the last holder, or
        at once with OSError: EINVAL for anything but a memfd whose size is sealed against shrinking.

        A file that can shrink kills who reads what is gone from it (SIGBUS).
        """
        try:
            if not fcntl.fcntl(fileno, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
                raise OSError(EINVAL, "a memfd that can shrink")
            return cls(os.lseek(fileno, 0, os.SEEK_END), fileno)
        except OSError:
            os.close(fileno)
            raise

    @property
    def identity(self) -> tuple[int, int]:
        """Tells this memory from every other, in whichever process it is looked at."""
        if self.fileno is None:
            return 0, id(self)
        file = os.fstat(self.fileno)
        return file.st_dev, file.st_ino

    def hold(self) -> Self:
        if not self.holders:
            raise ValueError("this memory is gone")
        self.holders += 1
        return self

    def release(self) -> None:
        """One holder less. The last one closes the memfd."""
        if not self.holders:
            raise ValueError("released more often than held")
        self.holders -= 1
        if self.holders:
            return
        if self._pages is not None:
            self._pages.close()
        if self.fileno is not None:
            os.close(self.fileno)
            self.fileno = None

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`. Raises OSError: ENXIO out of bounds, ENODEV for a size-only backing."""
        pages = self._access(offset, length)
        return pages[offset : offset + length]

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Raises OSError like `read`; EACCES if it is not writable."""
        if not self.writable:
            raise OSError(EACCES, "the descriptor is open for reading only")
        pages = self._access(offset, len(data))
        pages[offset : offset + len(data)] = bytes(data)

    def _access(self, offset: int, length: int) -> mmap.mmap:
        if not 0 <= offset <= offset + length <= self.size:
            raise OSError(ENXIO, f"[{offset:#x}, +{length:#x}) is outside of {self.size:#x} bytes")
        return self._pages or self.map()

    def map(self) -> mmap.mmap:
        """All of it in the address space of this process, until the last holder is gone; `read` and `write` do it when
        they need it. Raises OSError: ENODEV for a size-only backing, ENOMEM."""
        if self._pages is None:
            if self.fileno is None:
                raise OSError(ENODEV, "a size-only backing has no bytes")
            access = mmap.ACCESS_WRITE if self.writable else mmap.ACCESS_READ
            self._pages = mmap.mmap(self.fileno, self.size, access=access)
        return self._pages

    def __repr__(self) -> str:
        kind = "size-only" if self.fileno is None else f"memfd {self.fileno}"
        return f"<Memory {self.size:#x} bytes, {kind}, {self.holders} holders>"


class PassedFd(NamedTuple):
    """A file descriptor on its way from one process to another: its number in the receiver's table, and its memory.

    The receiver holds the memory from then on.
    """

    fd: Fd
    memory: Memory


def let_go(fds: Iterable[PassedFd]) -> None:
    """Release the memory of descriptors that nobody will use."""
    for passed in fds:
        passed.memory.release()
