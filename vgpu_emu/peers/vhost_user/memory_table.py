"""The memory table of a front-end: which descriptors are a guest's memory, at its addresses and at the front-end's own.

Ring addresses are counted in the front-end's ("user") addresses, all others in the guest's.
"""

import os
from collections.abc import Sequence
from errno import EEXIST, EFAULT, EINVAL

import msgspec

from vgpu_emu.link.guest_memory import END
from vgpu_emu.peers.guest_maps import GuestMaps
from vgpu_emu.peers.stream import Fds
from vgpu_wire.vhost_user import MemoryRegion


class _Mapped(msgspec.Struct, frozen=True):
    """A region, and the file that it is of: equal ones are the same memory."""

    region: MemoryRegion
    device: int
    inode: int


class MemoryTable:
    """maps: where regions are mapped. Whatever is refused leaves a table of which nothing is to be relied on."""

    def __init__(self, maps: GuestMaps) -> None:
        self._maps = maps
        #: by guest address
        self._mapped: dict[int, _Mapped] = {}

    def __len__(self) -> int:
        return len(self._mapped)

    def replace(self, regions: Sequence[MemoryRegion], fds: Fds) -> None:
        """SET_MEM_TABLE: what is in both tables stays mapped.

        Raises OSError: EINVAL for addresses that wrap around or are no pages, for a file that has not these bytes, and
        where the numbers of regions and descriptors differ; EEXIST for regions that overlap; what else keeps memory
        from being mapped.
        """
        if len(regions) != len(fds):
            raise OSError(EINVAL, f"{len(regions)} regions with {len(fds)} descriptors")
        if len({region.guest_phys_addr for region in regions}) != len(regions):
            raise OSError(EEXIST, "two regions at one guest address")
        numbers = [fds.take() for _ in regions]
        try:
            self._replace(regions, numbers)
        finally:
            for number in numbers:
                os.close(number)

    def _replace(self, regions: Sequence[MemoryRegion], numbers: Sequence[int]) -> None:
        wanted = [_mapped(region, number) for region, number in zip(regions, numbers, strict=True)]
        for old in [old for old in self._mapped.values() if old not in wanted]:
            self._drop(old)
        for new, number in zip(wanted, numbers, strict=True):
            if self._mapped.get(new.region.guest_phys_addr) != new:
                self._add(new, number)

    def guest_address(self, user_address: int) -> int:
        """Where the guest has what the front-end has there. Raises OSError: EFAULT where there is no memory."""
        for mapped in self._mapped.values():
            region = mapped.region
            if 0 <= user_address - region.userspace_addr < region.memory_size:
                return region.guest_phys_addr + user_address - region.userspace_addr
        raise OSError(EFAULT, f"no memory at the user address {user_address:#x}")

    def _add(self, new: _Mapped, number: int) -> None:
        region = new.region
        if region.userspace_addr + region.memory_size > END:
            raise OSError(EINVAL, f"{region.memory_size:#x} bytes at the user address {region.userspace_addr:#x}")
        for old in self._mapped.values():
            if _overlap(old.region, region):
                raise OSError(EEXIST, f"the user addresses at {region.userspace_addr:#x} are taken")
        self._maps.add(region.guest_phys_addr, region.memory_size, number, region.mmap_offset)
        self._mapped[region.guest_phys_addr] = new

    def _drop(self, old: _Mapped) -> None:
        del self._mapped[old.region.guest_phys_addr]
        self._maps.remove(old.region.guest_phys_addr, old.region.memory_size)


def _mapped(region: MemoryRegion, number: int) -> _Mapped:
    status = os.fstat(number)
    return _Mapped(region, status.st_dev, status.st_ino)


def _overlap(one: MemoryRegion, other: MemoryRegion) -> bool:
    return (
        one.userspace_addr < other.userspace_addr + other.memory_size
        and other.userspace_addr < one.userspace_addr + one.memory_size
    )
