"""A guest's memory that another process maps too: RAM, and above it the virtqueues, in one memfd."""

import mmap
from types import TracebackType
from typing import Self

from vgpu_emu.link.dma_arena import DmaArena
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.driver_queues import DriverQueues
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.virtqueues import BASE, QUEUE_SIZES
from vgpu_emu.link.vring import Vring
from vgpu_emu.memory import Memory as Pages
from vgpu_wire.vhost_user import Memory, MemoryRegion, VringAddr
from vgpu_wire.vring import RingFeature

#: where this process has the guest's address 0, as the device is told; it need not be true
_USER = 1 << 46
_RINGS = 1 << 16
_ARENA = 1 << 23
_ABOVE = len(QUEUE_SIZES) * _RINGS + _ARENA


class SharedMemory:
    """ram: bytes from the guest's address 0 on, whole pages. A context manager."""

    def __init__(self, ram: int) -> None:
        self.ram = ram
        self._file = Pages.memfd(ram + _ABOVE, "guest")
        fileno = self.fileno
        self._maps = [mmap.mmap(fileno, ram), mmap.mmap(fileno, _ABOVE, offset=ram)]
        self.guest = GuestMemory()
        self.guest.add(0, self._maps[0])
        self.guest.add(BASE, self._maps[1])
        self._vrings = {queue: Vring.at(BASE + queue * _RINGS, size) for queue, size in QUEUE_SIZES.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.guest.remove(0, self.ram)
        self.guest.remove(BASE, _ABOVE)
        for pages in self._maps:
            pages.close()
        self._file.release()

    @property
    def fileno(self) -> int:
        assert self._file.fileno is not None
        return self._file.fileno

    def table(self) -> Memory:
        """For SET_MEM_TABLE. Every region comes with the same descriptor."""
        regions = [
            MemoryRegion(guest_phys_addr=0, memory_size=self.ram, userspace_addr=_USER),
            MemoryRegion(guest_phys_addr=BASE, memory_size=_ABOVE, userspace_addr=_USER + BASE, mmap_offset=self.ram),
        ]
        return Memory(nregions=len(regions), regions=regions)

    def queues(self, features: int) -> DriverQueues:
        """Fresh virtqueues. features: the bits that were negotiated."""
        arena = DmaArena(BASE + len(QUEUE_SIZES) * _RINGS, _ARENA)
        indirect, event_idx = (bool(features >> bit & 1) for bit in (RingFeature.INDIRECT_DESC, RingFeature.EVENT_IDX))
        return DriverQueues(
            {
                queue: DriverQueue(self.guest, vring, arena, queue=queue, indirect_desc=indirect, event_idx=event_idx)
                for queue, vring in self._vrings.items()
            }
        )

    def size(self, queue: int) -> int:
        """Entries of a virtqueue."""
        return self._vrings[queue].size

    def address(self, queue: int) -> VringAddr:
        """For SET_VRING_ADDR."""
        vring = self._vrings[queue]
        return VringAddr(
            index=queue,
            desc_user_addr=_USER + vring.desc,
            used_user_addr=_USER + vring.used,
            avail_user_addr=_USER + vring.avail,
        )
