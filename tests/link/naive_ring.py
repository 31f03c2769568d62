"""A split virtqueue by hand: written and read byte by byte, slowly, from the pictures of virtio 1.4, 2.7 alone."""

from collections.abc import Callable, Sequence

NEXT, WRITE, INDIRECT = 1, 2, 4
#: where `Hand` puts its guest memory, and where buffers may be in it
BASE, BUFFERS, TABLE = 0x40000, 0x42000, 0x43000
SIZE = 0x4000
PATTERN = bytes((7 * i + i // 256) % 255 + 1 for i in range(SIZE))

#: address, length, flags, next
Descriptor = tuple[int, int, int, int]
READ: Descriptor = (BUFFERS, 32, 0, 0)
ANSWER: Descriptor = (BUFFERS + 64, 32, WRITE, 0)
#: head, readable bytes, writable buffers as (address, length)
NaiveChain = tuple[int, bytes, list[tuple[int, int]]]


def number(memory: bytes | bytearray, offset: int, size: int) -> int:
    return sum(memory[offset + i] << 8 * i for i in range(size))


class Hand:
    """16 KiB of guest memory with a queue in it, filled with a pattern."""

    def __init__(self, entries: int = 8, base: int = BASE) -> None:
        self.base = base
        self.entries = entries
        self.memory = bytearray(PATTERN)
        self.desc = base
        self.avail = base + 16 * entries
        self.used = (self.avail + 6 + 2 * entries + 3) // 4 * 4
        self.put(self.desc, bytes(16 * entries))
        self.put(self.avail, bytes(6 + 2 * entries))
        self.put(self.used, bytes(6 + 8 * entries))

    def put(self, address: int, data: bytes) -> None:
        for i, byte in enumerate(data):
            self.memory[address - self.base + i] = byte

    def get(self, address: int, length: int) -> bytes:
        return bytes(self.memory[address - self.base : address - self.base + length])

    def put_number(self, address: int, value: int, size: int) -> None:
        self.put(address, bytes(value >> 8 * i & 0xFF for i in range(size)))

    def put_descriptor(self, place: int, address: int, length: int, flags: int = 0, following: int = 0) -> None:
        for offset, size, value in ((0, 8, address), (8, 4, length), (12, 2, flags), (14, 2, following)):
            self.put_number(place + offset, value, size)

    def describe(self, index: int, address: int, length: int, flags: int = 0, following: int = 0) -> None:
        self.put_descriptor(self.desc + 16 * index, address, length, flags, following)

    def make_available(self, *heads: int, idx: int | None = None) -> None:
        """Write the available ring from its start, and its idx."""
        for place, head in enumerate(heads):
            self.put_number(self.avail + 4 + 2 * place, head, 2)
        self.put_number(self.avail + 2, len(heads) if idx is None else idx, 2)

    # -- and read

    def value(self, address: int, size: int) -> int:
        return number(self.memory, address - self.base, size)

    @property
    def used_idx(self) -> int:
        return self.value(self.used + 2, 2)

    def used_element(self, index: int) -> tuple[int, int]:
        place = self.used + 4 + 8 * (index % self.entries)
        return self.value(place, 4), self.value(place + 4, 4)

    def available(self, seen: int) -> list[NaiveChain]:
        """The chains from entry `seen` of the available ring on."""
        chains = []
        while seen != self.value(self.avail + 2, 2):
            chains.append(self.chain(self.value(self.avail + 4 + 2 * (seen % self.entries), 2)))
            seen = (seen + 1) % 65536
        return chains

    def chain(self, head: int) -> NaiveChain:
        readable, writable = b"", []
        for address, length, flags in self._descriptors(self.desc, head):
            if flags & WRITE:
                writable.append((address, length))
            else:
                readable += self.get(address, length)
        return head, readable, writable

    def _descriptors(self, table: int, index: int) -> Sequence[tuple[int, int, int]]:
        place = table + 16 * index
        address, length, flags = self.value(place, 8), self.value(place + 8, 4), self.value(place + 12, 2)
        if flags & INDIRECT:
            return self._descriptors(address, 0)
        rest = self._descriptors(table, self.value(place + 14, 2)) if flags & NEXT else []
        return [(address, length, flags), *rest]


#: puts something into a ring
Write = Callable[[Hand], None]


def direct(*descriptors: Descriptor) -> Write:
    """One chain, from descriptor 0 on."""

    def write(hand: Hand) -> None:
        for index, descriptor in enumerate(descriptors):
            hand.describe(index, *descriptor)
        hand.make_available(0)

    return write


def indirect(*descriptors: Descriptor, length: int | None = None, flags: int = 0) -> Write:
    """One chain in a table."""

    def write(hand: Hand) -> None:
        for index, descriptor in enumerate(descriptors):
            hand.put_descriptor(TABLE + 16 * index, *descriptor)
        hand.describe(0, TABLE, 16 * len(descriptors) if length is None else length, INDIRECT | flags)
        hand.make_available(0)

    return write


def available(*heads: int, idx: int) -> Write:
    """A buffer in each descriptor."""

    def write(hand: Hand) -> None:
        for index in range(hand.entries):
            hand.describe(index, BUFFERS + 16 * index, 16)
        hand.make_available(*heads, idx=idx)

    return write


def together(*writes: Write) -> Write:
    def write(hand: Hand) -> None:
        for each in writes:
            each(hand)

    return write
