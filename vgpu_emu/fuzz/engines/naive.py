"""A descriptor chain read slowly, from the picture in virtio 1.4, 2.7.5: what the fast code is compared with."""

from typing import NamedTuple

from vgpu_wire.vring import DescFlag, VringDesc

_SIZE = VringDesc.layout.size


class Naive(NamedTuple):
    """readable: bytes. writable: address and bytes of each buffer."""

    readable: bytes
    writable: list[tuple[int, int]]

    @property
    def capacity(self) -> int:
        return sum(length for _, length in self.writable)


def walk(memory: bytes, base: int, table: int, head: int) -> Naive:
    """A chain that is known to be good. memory: of the guest, which starts at `base`. table: where descriptors are."""
    readable = b""
    writable: list[tuple[int, int]] = []
    while True:
        place = table - base + _SIZE * head
        descriptor = VringDesc.parse(memory[place : place + _SIZE])
        if descriptor.flags & DescFlag.INDIRECT:
            inner = walk(memory, base, descriptor.addr, 0)
            return Naive(readable + inner.readable, writable + inner.writable)
        if descriptor.flags & DescFlag.WRITE:
            writable.append((descriptor.addr, descriptor.len))
        else:
            readable += memory[descriptor.addr - base : descriptor.addr - base + descriptor.len]
        if not descriptor.flags & DescFlag.NEXT:
            return Naive(readable, writable)
        head = descriptor.next
