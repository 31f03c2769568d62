"""The client's memory windows (DMA_MAP, DMA_UNMAP): those with a descriptor are guest memory, others only reserved.

QEMU makes windows for all that a device could reach, some of it without a descriptor: a ROM, say. Those are for
messages to the client (DMA_READ), which nothing here needs.
"""

import os
from errno import EEXIST, EINVAL, ENOSPC

from vgpu_emu.link.guest_memory import END
from vgpu_emu.peers.guest_maps import MAX_MAPS, GuestMaps
from vgpu_emu.peers.stream import Fds
from vgpu_wire.vfio_user import DmaFlag, DmaMap, DmaUnmap

_NEEDS_FD = DmaFlag.MMAP | DmaFlag.FILE_IO


class DmaWindows:
    """maps: where the guest's memory is."""

    def __init__(self, maps: GuestMaps) -> None:
        self._maps = maps
        #: address -> size, and whether there is memory
        self._windows: dict[int, tuple[int, bool]] = {}

    def map(self, request: DmaMap, fds: Fds) -> None:
        """Raises OSError: EEXIST over another window; EINVAL for a range that wraps, a descriptor that is missing or
        does not have what was said; ENOSPC for too many."""
        start, end = request.address, request.address + request.size
        if not start < end <= END or len(fds) > 1 or (request.flags & _NEEDS_FD and not fds):
            raise OSError(EINVAL, f"a window of {request.size:#x} bytes at {start:#x}, {len(fds)} descriptors")
        if any(start < at + size and at < end for at, (size, _) in self._windows.items()):
            raise OSError(EEXIST, f"there is a window in [{start:#x}, {end:#x})")
        if len(self._windows) >= MAX_MAPS:
            raise OSError(ENOSPC, f"more than {MAX_MAPS} windows")
        is_memory = bool(fds)
        if is_memory:
            self._add(request, fds.take())
        self._windows[start] = (request.size, is_memory)

    def _add(self, request: DmaMap, fileno: int) -> None:
        writable = bool(request.flags & DmaFlag.WRITE)
        try:
            self._maps.add(request.address, request.size, fileno, request.offset, writable=writable)
        finally:
            os.close(fileno)

    def unmap(self, request: DmaUnmap) -> None:
        """Raises OSError: EINVAL if there is not exactly that window."""
        size, is_memory = self._windows.get(request.address, (0, False))
        if not size or size != request.size:
            raise OSError(EINVAL, f"no window of {request.size:#x} bytes at {request.address:#x}")
        if is_memory:
            self._maps.remove(request.address, size)
        del self._windows[request.address]
