"""A real guest's memory in this process: descriptors that its VMM passed, mapped at guest physical addresses."""

import fcntl
import mmap
import os
import stat
from contextlib import suppress
from errno import EEXIST, EINVAL, ENOSPC

from vgpu_emu.link.guest_memory import END, GuestMemory

#: mappings at a time; each holds a descriptor. QEMU makes some ten, one for each stretch of RAM
MAX_MAPS = 256


class GuestMaps:
    """The mappings behind a GuestMemory: real ones, made and taken away as the VMM says. `close` takes all away."""

    def __init__(self, memory: GuestMemory) -> None:
        self.memory = memory
        #: address -> what is mapped there
        self._maps: dict[int, mmap.mmap] = {}
        #: address -> where in its file a mapping ends, of files that nothing keeps from being shortened
        self.shrinkable: dict[int, int] = {}
        #: addresses of mappings that their files have no bytes for any more
        self._lost: set[int] = set()

    def __len__(self) -> int:
        return len(self._maps)

    def add(self, address: int, size: int, fileno: int, offset: int, *, writable: bool = True) -> None:
        """Map `size` bytes of a file from `offset` on; the descriptor stays the caller's.

        Raises OSError: EINVAL for no whole pages, for what is no file or a shorter one; EEXIST where there is memory;
        ENOSPC beyond MAX_MAPS; what mmap refuses.
        """
        if len(self._maps) >= MAX_MAPS:
            raise OSError(ENOSPC, f"more than {MAX_MAPS} mappings")
        if address in self._maps:
            raise OSError(EEXIST, f"a mapping starts at {address:#x}")
        if not 0 < size <= END - address or (address | size | offset) % mmap.PAGESIZE:
            raise OSError(EINVAL, f"{size:#x} bytes at {address:#x}, offset {offset:#x}: no whole pages of 64 bits")
        sealed = _check_file(fileno, offset, size)
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        pages = mmap.mmap(fileno, size, prot=protection, offset=offset)
        try:
            self.memory.add(address, pages)
        except OSError:
            pages.close()
            raise
        self._maps[address] = pages
        if not sealed:
            self.shrinkable[address] = offset + size

    def remove(self, address: int, size: int) -> None:
        """Take a mapping away, with all that refers to it. Raises OSError: EINVAL if none is exactly that."""
        if address not in self._lost:
            self.memory.remove(address, size)
        elif len(self._maps[address]) != size:
            raise OSError(EINVAL, f"no mapping of {size:#x} bytes starts at {address:#x}")
        self._lost.discard(address)
        self.shrinkable.pop(address, None)
        self._maps.pop(address).close()

    def look_at_sizes(self) -> None:
        """Whoever passed a file may have shortened it since: then its mapping is no memory any more. To touch it would
        end this process. To be called before memory is used, if anything is `shrinkable`."""
        for address, end in list(self.shrinkable.items()):
            if self._maps[address].size() < end:
                self.memory.remove(address, len(self._maps[address]))
                del self.shrinkable[address]
                self._lost.add(address)

    def close(self) -> None:
        for address, pages in list(self._maps.items()):
            self.remove(address, len(pages))


def _check_file(fileno: int, offset: int, size: int) -> bool:
    """Whether the file keeps these bytes: to touch a page that it does not have would end this process (SIGBUS).

    Raises OSError: EINVAL if it does not have them now.
    """
    status = os.fstat(fileno)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(EINVAL, "the descriptor is no file with memory")
    if offset + size > status.st_size:
        raise OSError(EINVAL, f"[{offset:#x}, +{size:#x}) of a file of {status.st_size:#x} bytes")
    with suppress(OSError):
        # of a file that is no memfd, or cannot be sealed
        fcntl.fcntl(fileno, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    try:
        return bool(fcntl.fcntl(fileno, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK)
    except OSError:
        return False
