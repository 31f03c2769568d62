"""The host visible shared memory region: the one place where guest and VMM touch the same memory.

The VMM puts memory into it, as KVM memory slots do; the guest reads and writes what is there. `offset` is always in
bytes from the start of the region.
"""

from collections.abc import Iterator
from errno import EEXIST, EFAULT, EINVAL

import msgspec
from sortedcontainers import SortedList

from vgpu_emu.memory import PAGE_SIZE, Memory


class Slot(msgspec.Struct, frozen=True):
    """`length` bytes of the region, backed by those of `memory` from `start` on."""

    offset: int
    length: int
    memory: Memory
    start: int = 0


class HostVisibleRegion:
    """`size` bytes; 0: the device has no such region. No step is linear in the number of mappings.

    page: bytes of a page of the host, which the VMM maps as a whole or not at all.
    """

    def __init__(self, size: int, page: int = PAGE_SIZE) -> None:
        self.size = size
        self.page = page
        #: by where they start (two of them, as a SortedDict takes ten times as long to make)
        self._slots: dict[int, Slot] = {}
        self._starts: SortedList = SortedList()
        #: where the last slot ends, or ended: nothing is behind it
        self._end = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter([self._slots[start] for start in self._starts])

    def overlapping(self, offset: int, length: int) -> Slot | None:
        """A slot that shares a byte with [offset, offset + length), if there is one."""
        if offset >= self._end:
            return None
        index = self._starts.bisect_left(offset + length)
        if not index:
            return None
        slot = self._slots[self._starts[index - 1]]
        return slot if slot.offset + slot.length > offset else None

    def map(self, offset: int, length: int, memory: Memory, start: int = 0) -> None:
        """Show `memory` from its byte `start` on. The region holds it until unmapped. Raises OSError: EINVAL where it
        does not fit, is not whole pages or the memory is shorter; EEXIST where a slot starts.

        Whether another slot is overlapped is for the VMM to ask before, or to `cut` it, as not every VMM asks.
        """
        if not 0 <= offset < offset + length <= self.size or offset % self.page or length % self.page:
            raise OSError(EINVAL, f"[{offset:#x}, +{length:#x}) in a region of {self.size:#x} bytes")
        if start < 0 or start % PAGE_SIZE:
            raise OSError(EINVAL, f"from {start:#x} on, which starts no page")
        if start + length > memory.size:
            raise OSError(EINVAL, f"{start + length:#x} bytes of a memory of {memory.size:#x}")
        if offset in self._slots:
            raise OSError(EEXIST, f"a slot starts at {offset:#x}")
        self._add(Slot(offset, length, memory.hold(), start))

    def place(self, slot: Slot) -> None:
        """Show a slot just as another process has it. Its memory is taken over, not held once more."""
        self._add(slot)

    def unmap(self, offset: int) -> None:
        """Raises OSError: EINVAL where no slot starts."""
        slot = self._slots.get(offset)
        if slot is None:
            raise OSError(EINVAL, f"no slot starts at {offset:#x}")
        self._drop(slot)
        slot.memory.release()

    def cut(self, offset: int, length: int) -> None:
        """Nothing is mapped in [offset, offset + length) any more, as after munmap: of a slot that reaches beyond, the
        rest stays. Whole pages."""
        while (slot := self.overlapping(offset, length)) is not None:
            self._drop(slot)
            behind = offset + length - slot.offset
            if slot.offset < offset:
                self._keep(slot, 0, offset - slot.offset)
            if behind < slot.length:
                self._keep(slot, behind, slot.length - behind)
            slot.memory.release()

    def _keep(self, slot: Slot, skip: int, length: int) -> None:
        self._add(Slot(slot.offset + skip, length, slot.memory.hold(), slot.start + skip))

    def _add(self, slot: Slot) -> None:
        if slot.offset not in self._slots:
            self._starts.add(slot.offset)
        self._slots[slot.offset] = slot
        self._end = max(self._end, slot.offset + slot.length)

    def _drop(self, slot: Slot) -> None:
        self._starts.remove(slot.offset)
        del self._slots[slot.offset]

    def clear(self) -> None:
        for offset in list(self._slots):
            self.unmap(offset)

    def read(self, offset: int, length: int) -> bytes:
        """What the guest loads. Raises OSError: EFAULT where nothing is mapped, ENODEV for memory without bytes."""
        slot = self._at(offset, length)
        return slot.memory.read(slot.start + offset - slot.offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """What the guest stores. Raises OSError like `read`."""
        slot = self._at(offset, len(data))
        slot.memory.write(slot.start + offset - slot.offset, data)

    def _at(self, offset: int, length: int) -> Slot:
        slot = self.overlapping(offset, 1)
        if slot is None or offset + length > slot.offset + slot.length:
            raise OSError(EFAULT, f"the VMM has mapped nothing at [{offset:#x}, +{length:#x})")
        return slot
