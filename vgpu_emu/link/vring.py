"""A split virtqueue's place in guest memory, what can be wrong with one, and the fields that its two sides share.

Each side reads what the other wrote when it pleases, so the order of accesses is the protocol, and every one of them
goes through `Rings`.
"""

from enum import Enum
from functools import lru_cache
from struct import Struct
from threading import Lock
from typing import Self

import msgspec

from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_wire.vring import (
    AVAIL_ALIGN,
    DESC_ALIGN,
    MAX_QUEUE_SIZE,
    USED_ALIGN,
    VringAvail,
    VringDesc,
    VringUsed,
    VringUsedElem,
)

DESC_SIZE, _AVAIL, _USED, _ELEM = (record.layout.size for record in (VringDesc, VringAvail, VringUsed, VringUsedElem))
#: of le16: what a ring's index, head and event index are
_INDEX = 2
_FIELD = Struct("<H")
#: ring indices count modulo this
WRAP = 1 << 16
#: the fields of `Rings.load` and `Rings.store`
AVAIL_FLAGS, AVAIL_IDX, USED_EVENT, USED_FLAGS, USED_IDX, AVAIL_EVENT = range(6)


class Fault(Enum):
    """What is wrong with a queue, its value in words. USED_* a driver finds, all others a device."""

    QUEUE_SIZE = f"the queue size is no power of two from 1 to {MAX_QUEUE_SIZE}"
    ALIGNMENT = "a part of the queue is misaligned"
    RING_ADDRESS = "a part of the queue is not in guest memory"
    AVAIL_IDX = "more chains are available than the queue has entries"
    HEAD = "a head is no index into the descriptor table"
    IN_FLIGHT = "a head is available again before it was used"
    NEXT = "next is no index into the table"
    LOOP = "the chain is longer than its table"
    DESCRIPTORS = "the chain has more descriptors than the device takes"
    BYTES = "the chain has more bytes than the device takes"
    EMPTY = "a descriptor has length 0"
    ADDRESS = "a buffer is not in guest memory"
    ORDER = "a device-readable buffer follows a device-writable one"
    OVERLAP = "a device-writable buffer overlaps another one of its chain"
    INDIRECT_FEATURE = "an indirect descriptor, and INDIRECT_DESC was not negotiated"
    INDIRECT_NEXT = "an indirect descriptor with NEXT"
    INDIRECT_NESTED = "an indirect descriptor in an indirect table"
    INDIRECT_LENGTH = "an indirect table has no whole number of descriptors, or none"
    USED_IDX = "more chains were used than are in flight"
    USED_ID = "a used chain is not in flight"


class VringError(ValueError):
    """The other side broke the queue: it stays broken until it is set up anew. A device answers with NEEDS_RESET."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault.value}: {detail}")
        self.fault = fault
        self.detail = detail


class Vring(msgspec.Struct, frozen=True):
    """Where a split virtqueue is. size: its entries. desc, avail, used: guest physical addresses of its parts."""

    size: int
    desc: int
    avail: int
    used: int

    @classmethod
    def at(cls, address: int, size: int) -> Self:
        """One part behind the other, each on the next multiple of its alignment."""
        avail = address + DESC_SIZE * size
        used = avail + _AVAIL + _INDEX * (size + 1)
        return cls(size, address, avail, (used + USED_ALIGN - 1) & -USED_ALIGN)

    def parts(self) -> dict[str, tuple[int, int, int]]:
        """desc, avail and used: address, bytes, alignment. The event indices are there with or without EVENT_IDX."""
        return {
            "desc": (self.desc, DESC_SIZE * self.size, DESC_ALIGN),
            "avail": (self.avail, _AVAIL + _INDEX * self.size + _INDEX, AVAIL_ALIGN),
            "used": (self.used, _USED + _ELEM * self.size + _INDEX, USED_ALIGN),
        }

    def check(self) -> None:
        """Raises VringError: QUEUE_SIZE, ALIGNMENT."""
        if not 0 < self.size <= MAX_QUEUE_SIZE or self.size & (self.size - 1):
            raise VringError(Fault.QUEUE_SIZE, str(self.size))
        for name, (address, _, alignment) in self.parts().items():
            if address % alignment:
                raise VringError(Fault.ALIGNMENT, f"{name} at {address:#x}, not a multiple of {alignment}")


def due(event: int, idx: int, added: int) -> bool:
    """vring_need_event: `idx` was just increased by `added`; did it step over the entry `event`?"""
    return (idx - event - 1) % WRAP < added


@lru_cache(maxsize=256)
def _array(letter: str, count: int) -> Struct:
    return Struct(f"<{count}{letter}")


class Rings:
    """The shared fields of one queue, for either side. Raises VringError like `Vring.check`; RING_ADDRESS.

    A store is seen by the far side, which may run on another CPU, whole and in order on a host with x86's memory
    model; `fence` is for a load that must not overtake it.
    """

    def __init__(self, memory: GuestMemory, vring: Vring) -> None:
        vring.check()
        self.memory = memory
        self.vring = vring
        self._version = -1
        self._lock = Lock()
        self.refresh()

    def refresh(self) -> None:
        """Find the parts again, if guest memory has changed since. Raises VringError: RING_ADDRESS."""
        if self._version == self.memory.version:
            return
        found = {}
        for name, (address, length, _) in self.vring.parts().items():
            try:
                found[name] = self.memory.locate(address, length)
            except OSError as error:
                raise VringError(Fault.RING_ADDRESS, f"{name}: {error.strerror}") from None
        self.desc, self.desc_at = found["desc"]
        (self._avail, avail), (self._used, used) = found["avail"], found["used"]
        self._heads_at, self._elements_at = avail + _AVAIL, used + _USED
        size = self.vring.size
        offsets = (avail, avail + _INDEX, self._heads_at + _INDEX * size)
        self._fields = [(self._avail, offset) for offset in offsets]
        offsets = (used, used + _INDEX, self._elements_at + _ELEM * size)
        self._fields += [(self._used, offset) for offset in offsets]
        self._version = self.memory.version

    def load(self, field: int) -> int:
        value: int = _FIELD.unpack_from(*self._fields[field])[0]
        return value

    def store(self, field: int, value: int) -> None:
        # pack_into stores zeros first, and the far side would see them
        view, offset = self._fields[field]
        view[offset : offset + _INDEX] = _FIELD.pack(value)

    def fence(self) -> None:
        """smp_mb: no load behind it is done before the stores in front of it. Taking a lock is a locked instruction."""
        with self._lock:
            pass

    def store_descriptor(self, index: int, descriptor: bytes) -> None:
        offset = self.desc_at + DESC_SIZE * index
        self.desc[offset : offset + DESC_SIZE] = descriptor

    def load_heads(self, index: int, count: int) -> tuple[int, ...]:
        """Entries of the available ring."""
        first = index % self.vring.size
        whole = min(count, self.vring.size - first)
        heads: tuple[int, ...] = _array("H", whole).unpack_from(self._avail, self._heads_at + _INDEX * first)
        return heads if whole == count else heads + self.load_heads(0, count - whole)

    def store_head(self, index: int, head: int) -> None:
        _FIELD.pack_into(self._avail, self._heads_at + _INDEX * (index % self.vring.size), head)

    def load_elements(self, index: int, count: int) -> tuple[int, ...]:
        """Entries of the used ring: id, len, id, len ..."""
        first = index % self.vring.size
        whole = min(count, self.vring.size - first)
        elements: tuple[int, ...] = _array("I", 2 * whole).unpack_from(self._used, self._elements_at + _ELEM * first)
        return elements if whole == count else elements + self.load_elements(0, count - whole)

    def store_elements(self, index: int, elements: list[int]) -> None:
        first = index % self.vring.size
        whole = min(len(elements) // 2, self.vring.size - first)
        _array("I", 2 * whole).pack_into(self._used, self._elements_at + _ELEM * first, *elements[: 2 * whole])
        if len(elements) > 2 * whole:
            self.store_elements(0, elements[2 * whole :])
