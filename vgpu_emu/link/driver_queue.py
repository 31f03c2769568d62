"""The driver's side of a split virtqueue, as Linux has it (drivers/virtio/virtio_ring.c)."""

from collections.abc import Iterator, Sequence
from errno import EINVAL, EIO, ENOSPC
from itertools import accumulate

import msgspec

from vgpu_emu.link.chain import Used
from vgpu_emu.link.descriptors import Extent
from vgpu_emu.link.dma_arena import DmaArena
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import (
    AVAIL_EVENT,
    AVAIL_FLAGS,
    AVAIL_IDX,
    DESC_SIZE,
    USED_EVENT,
    USED_FLAGS,
    USED_IDX,
    WRAP,
    Fault,
    Rings,
    Vring,
    VringError,
    due,
)
from vgpu_wire.vring import AvailFlag, DescFlag, UsedFlag, VringDesc

_pack = VringDesc.layout.packer.pack
_NEXT, _WRITE, _INDIRECT = DescFlag.NEXT.value, DescFlag.WRITE.value, DescFlag.INDIRECT.value
_NO_INTERRUPT, _NO_NOTIFY = AvailFlag.NO_INTERRUPT.value, UsedFlag.NO_NOTIFY.value
#: buffers start at multiples of this
_ALIGN = 16

#: address, bytes, flags without NEXT
_Buffer = tuple[int, int, int]


class _Sent(msgspec.Struct, frozen=True):
    """A chain that the device has. descriptors: its entries of the table. block: the memory of all its buffers."""

    descriptors: list[int]
    writable: list[_Buffer]
    block: Extent


class DriverQueue:
    """A fresh queue: the rings are cleared. queue: its number. arena: where buffers and indirect tables are put.

    error: the VringError with which the device broke the queue; `add` is EIO from then on, `get_used` raises it again.
    """

    def __init__(
        self,
        memory: GuestMemory,
        vring: Vring,
        arena: DmaArena,
        *,
        queue: int,
        indirect_desc: bool = False,
        event_idx: bool = False,
    ) -> None:
        self.memory = memory
        self.arena = arena
        self.queue = queue
        self.indirect_desc = indirect_desc
        self.event_idx = event_idx
        self.rings = Rings(memory, vring)
        for address, length, _ in vring.parts().values():
            memory.write(address, bytes(length))
        self.error: VringError | None = None
        self._next_avail = 0
        self._next_used = 0
        #: chains added since the last kick
        self._added = 0
        #: free descriptors, the next one last
        self._free = list(range(vring.size - 1, -1, -1))
        self._sent: dict[int, _Sent] = {}

    def __repr__(self) -> str:
        return f"<DriverQueue {self.queue} {self.rings.vring} {self.num_free} free, {len(self._sent)} in flight>"

    @property
    def num_free(self) -> int:
        """Free descriptors (vq.num_free)."""
        return len(self._free)

    @property
    def in_flight(self) -> int:
        return len(self._sent)

    @property
    def is_used(self) -> bool:
        """Whether the used ring has something that `get_used` has not returned yet."""
        return self.rings.load(USED_IDX) != self._next_used

    def needs(self, buffers: int) -> int:
        """How many descriptors a chain of so many buffers takes: in an indirect table, one."""
        return 1 if self.indirect_desc and buffers > 1 else buffers

    # -- available chains

    def add(self, readable: Sequence[bytes], writable: Sequence[int] = ()) -> int:
        """virtqueue_add: make a chain available; its head. readable: buffers. writable: bytes of buffers for answers.

        Raises OSError: ENOSPC where too few descriptors are free, ENOMEM where the arena is full, EINVAL for no buffer
        or an empty one, EIO on a broken queue.
        """
        lengths = [*map(len, readable), *writable]
        if self.error is not None:
            raise OSError(EIO, f"the queue is broken: {self.error}")
        if not lengths or min(lengths) <= 0:
            raise OSError(EINVAL, f"buffers of {lengths} bytes")
        if self.needs(len(lengths)) > len(self._free):
            raise OSError(ENOSPC, f"{self.needs(len(lengths))} descriptors, {len(self._free)} are free")
        self.rings.refresh()
        # one block of memory: the buffers, and behind them room for the indirect table
        *places, end = accumulate([-(-length // _ALIGN) * _ALIGN for length in lengths], initial=0)
        size = end + DESC_SIZE * len(lengths)
        start = self.arena.alloc(size)
        flags = [0] * len(readable) + [_WRITE] * len(writable)
        chain = [(start + place, length, flag) for place, length, flag in zip(places, lengths, flags, strict=True)]
        for (address, _, _), data in zip(chain, readable, strict=False):
            self.memory.write(address, data)
        descriptors = self._describe(chain, start + end)
        self._sent[descriptors[0]] = _Sent(descriptors, chain[len(readable) :], (start, size))
        self._publish(descriptors[0])
        return descriptors[0]

    def _describe(self, chain: list[_Buffer], table: int) -> list[int]:
        """Fill descriptors, or an indirect table at `table` and one descriptor: those taken, the head first."""
        if self.needs(len(chain)) < len(chain):
            self.memory.write(table, b"".join(_linked(chain, range(1, len(chain)))))
            chain = [(table, DESC_SIZE * len(chain), _INDIRECT)]
        descriptors = [self._free.pop() for _ in chain]
        for index, descriptor in zip(descriptors, _linked(chain, descriptors[1:]), strict=True):
            self.rings.store_descriptor(index, descriptor)
        return descriptors

    def _publish(self, head: int) -> None:
        self.rings.store_head(self._next_avail, head)
        self._next_avail = (self._next_avail + 1) % WRAP
        self.rings.store(AVAIL_IDX, self._next_avail)
        self._added += 1

    def kick(self) -> bool:
        """virtqueue_kick_prepare: whether the device wants to be told of what was added since the last call."""
        added, self._added = self._added, 0
        if self.error is not None or not added:
            return False
        self.rings.refresh()
        self.rings.fence()
        if self.event_idx:
            return due(self.rings.load(AVAIL_EVENT), self._next_avail, added)
        return not self.rings.load(USED_FLAGS) & _NO_NOTIFY

    # -- used chains

    def get_used(self) -> list[Used]:
        """virtqueue_get_buf until nothing comes, then an interrupt is wanted again. `written` is cut to the capacity.

        Raises VringError: USED_IDX, USED_ID; what was used before that is returned first.
        """
        if self.error is not None:
            raise VringError(self.error.fault, self.error.detail)
        found: list[Used] = []
        try:
            self.rings.refresh()
            self._drain(found)
        except VringError as error:
            self.error = error
            if not found:
                raise
        return found

    def _drain(self, found: list[Used]) -> None:
        if not self.event_idx:
            self.rings.store(AVAIL_FLAGS, _NO_INTERRUPT)
        while count := self._used() or self._rest():
            elements = iter(self.rings.load_elements(self._next_used, count))
            for head, length in zip(elements, elements, strict=True):
                found.append(self._finish(head, length))
            self._next_used = (self._next_used + count) % WRAP

    def _used(self) -> int:
        count = (self.rings.load(USED_IDX) - self._next_used) % WRAP
        if count > len(self._sent):
            raise VringError(Fault.USED_IDX, f"{count}, {len(self._sent)} are in flight")
        return count

    def _rest(self) -> int:
        """Ask for an interrupt, then look again: for a chain used before the device saw that, none comes."""
        if self.event_idx:
            self.rings.store(USED_EVENT, self._next_used)
        else:
            self.rings.store(AVAIL_FLAGS, 0)
        self.rings.fence()
        return self._used()

    def _finish(self, head: int, length: int) -> Used:
        """detach_buf: the answer; buffers and descriptors are free again, the chain's own first."""
        sent = self._sent.pop(head, None)
        if sent is None:
            raise VringError(Fault.USED_ID, f"id {head}")
        written = b""
        for address, capacity, _ in sent.writable:
            written += self.memory.read(address, min(capacity, length - len(written)))
        self._free += reversed(sent.descriptors)
        self.arena.free(*sent.block)
        return Used(head, self.queue, written)


def _linked(chain: Sequence[_Buffer], following: Sequence[int]) -> Iterator[bytes]:
    """The descriptors of a chain. following: the index of each one's next."""
    for (address, length, flags), index in zip(chain, following, strict=False):
        yield _pack(address, length, flags | _NEXT, index)
    address, length, flags = chain[-1]
    yield _pack(address, length, flags, 0)
