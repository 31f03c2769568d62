"""From the descriptors that a driver wrote to the buffers that they describe (virtio 1.4, 2.7.5).

What is used of a descriptor was read once. The work is bounded by the tables' sizes and `VringLimits`, and nothing is
read of the buffers themselves.
"""

import msgspec

from vgpu_emu.link.vring import DESC_SIZE, Fault, Rings, VringError
from vgpu_wire.vring import DescFlag, VringDesc

_descriptor = VringDesc.layout.packer.unpack_from
_NEXT, _WRITE, _INDIRECT = DescFlag.NEXT.value, DescFlag.WRITE.value, DescFlag.INDIRECT.value

#: a buffer in guest memory: address, bytes
Extent = tuple[int, int]


class VringLimits(msgspec.Struct, frozen=True):
    """descriptors: of one chain, and of an indirect table. bytes: of one chain, readable and writable together.

    Linux makes indirect tables longer than the queue, so its size is no limit; QEMU takes 1024 (VIRTQUEUE_MAX_SIZE).
    """

    descriptors: int = 1024
    bytes: int = 64 << 20


class Walker:
    """Walks the chains of one queue. indirect_desc: whether a chain may be in a table of its own."""

    def __init__(self, rings: Rings, limits: VringLimits, *, indirect_desc: bool) -> None:
        self.rings = rings
        self.limits = limits
        self.indirect_desc = indirect_desc

    def walk(self, head: int) -> tuple[list[Extent], list[Extent]]:
        """The readable and the writable buffers of a chain. Raises VringError; that they are in memory is not checked.

        head: an index into the descriptor table.
        """
        pair = self._pair(head)
        if pair is not None:
            return pair
        readable: list[Extent] = []
        writable: list[Extent] = []
        self._follow(self.rings.desc, self.rings.desc_at, self.rings.vring.size, head, readable, writable)
        self._check_bytes(readable, writable)
        return readable, writable

    def _pair(self, head: int) -> tuple[list[Extent], list[Extent]] | None:
        """The usual chain, a request and room for its answer, with nothing wrong; None: it is another one."""
        rings = self.rings
        address, length, flags, following = _descriptor(rings.desc, rings.desc_at + DESC_SIZE * head)
        if flags != _NEXT or not length or following >= rings.vring.size:
            return None
        first, room, last, _ = _descriptor(rings.desc, rings.desc_at + DESC_SIZE * following)
        is_good = last == _WRITE and room and length + room <= self.limits.bytes and self.limits.descriptors >= 2
        if not is_good or (first < address + length and address < first + room):
            return None
        return [(address, length)], [(first, room)]

    def _follow(
        self,
        table: memoryview | bytes,
        offset: int,
        size: int,
        index: int,
        readable: list[Extent],
        writable: list[Extent],
    ) -> None:
        """Collect the buffers from `index` on, in a table of `size` descriptors that starts at `offset`."""
        for _ in range(min(size, self.limits.descriptors - len(readable) - len(writable))):
            address, length, flags, following = _descriptor(table, offset + DESC_SIZE * index)
            if flags & _INDIRECT:
                inner = self._indirect(address, length, flags, nested=table is not self.rings.desc)
                return self._follow(inner, 0, length // DESC_SIZE, 0, readable, writable)
            if not length:
                raise VringError(Fault.EMPTY, f"at {address:#x}")
            if flags & _WRITE:
                writable.append((address, length))
            elif writable:
                raise VringError(Fault.ORDER, f"at {address:#x}")
            else:
                readable.append((address, length))
            if not flags & _NEXT:
                return None
            if following >= size:
                raise VringError(Fault.NEXT, f"{following} of {size}")
            index = following
        passed = len(readable) + len(writable)
        fault = Fault.LOOP if passed < self.limits.descriptors else Fault.DESCRIPTORS
        raise VringError(fault, f"it goes on after {passed}")

    def _indirect(self, address: int, length: int, flags: int, *, nested: bool) -> bytes:
        """The table that an indirect descriptor refers to, a copy; WRITE means nothing there."""
        if not self.indirect_desc:
            raise VringError(Fault.INDIRECT_FEATURE, f"a table at {address:#x}")
        if nested:
            raise VringError(Fault.INDIRECT_NESTED, f"a table at {address:#x}")
        if flags & _NEXT:
            raise VringError(Fault.INDIRECT_NEXT, f"a table at {address:#x}")
        if not length or length % DESC_SIZE:
            raise VringError(Fault.INDIRECT_LENGTH, f"{length} bytes")
        if length // DESC_SIZE > self.limits.descriptors:
            raise VringError(Fault.DESCRIPTORS, f"a table of {length // DESC_SIZE}")
        try:
            return self.rings.memory.read(address, length)
        except OSError as error:
            raise VringError(Fault.ADDRESS, f"indirect table: {error.strerror}") from None

    def _check_bytes(self, readable: list[Extent], writable: list[Extent]) -> None:
        if len(readable) == len(writable) == 1:
            (start, length), (first, capacity) = readable[0], writable[0]
            total, overlap = length + capacity, start < first + capacity and first < start + length
        else:
            total = sum([length for _, length in readable + writable])
            overlap = bool(writable) and _overlap(readable, writable)
        if total > self.limits.bytes:
            raise VringError(Fault.BYTES, f"{total}, limit {self.limits.bytes}")
        if overlap:
            raise VringError(Fault.OVERLAP, f"{len(writable)} writable buffers")


def _overlap(readable: list[Extent], writable: list[Extent]) -> bool:
    """Whether writable bytes are in two buffers. Readable ones may be: they are only read twice."""
    extents = [(start, start + length, False) for start, length in readable]
    extents += [(start, start + length, True) for start, length in writable]
    read_up_to = written_up_to = 0
    for start, end, is_written in sorted(extents):
        if start < written_up_to or (is_written and start < read_up_to):
            return True
        if is_written:
            written_up_to = end
        else:
            read_up_to = max(read_up_to, end)
    return False
