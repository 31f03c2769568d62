"""Either side's queue in a small guest memory, what the other side may do to it, and what must hold all the same."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from vgpu_emu.fuzz.encoding import Reader
from vgpu_emu.fuzz.engines.naive import Naive, walk
from vgpu_emu.fuzz.engines.wanted import planted, wanted
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.descriptors import VringLimits
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.link.dma_arena import DmaArena
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import Vring, VringError
from vgpu_wire.vring import VringDesc

DEFECTS = wanted("queue")
BASE, SIZE = 0x10000, 0x8000
#: in the middle: an arena's blocks are of a power of two
_ARENA = BASE + SIZE // 2
#: so that what was copied can be told from zeros
_PATTERN = bytes((7 * i + i // 256) % 255 + 1 for i in range(SIZE))
_LIMITS = VringLimits(descriptors=64, bytes=1 << 16)
_DESC = VringDesc.layout.size


class Side:
    """memory: the guest's, all of it."""

    def __init__(self, entries: int) -> None:
        self.bytes = bytearray(_PATTERN)
        self.memory = GuestMemory()
        self.memory.add(BASE, self.bytes)
        self.vring = Vring.at(BASE, entries)
        for address, length, _ in self.vring.parts().values():
            self.memory.write(address, bytes(length))
        self.error: VringError | None = None

    def put(self, address: int, value: int, size: int) -> None:
        """The other side writes a number; outside of memory it cannot."""
        place = address - BASE
        if 0 <= place <= SIZE - size:
            self.bytes[place : place + size] = (value % (1 << size * 8)).to_bytes(size, "little")

    def poke(self, reader: Reader) -> None:
        place, data = reader.number() % SIZE, reader.block()[: SIZE // 4]
        self.bytes[place : place + len(data)] = data[: SIZE - place]

    def broken(self, error: VringError) -> None:
        """A queue that is broken stays so, for the same reason."""
        if self.error is not None and error.fault is not self.error.fault:
            raise Finding("I22", f"a queue that was broken ({self.error}) is broken in another way: {error}")
        self.error = error

    def untouched(self, before: bytes, but: Iterable[tuple[int, int]]) -> None:
        """Nothing was written except in these (address, length). Raises Finding."""
        expected = bytearray(before)
        for address, length in but:
            expected[address - BASE : address - BASE + length] = self.bytes[address - BASE : address - BASE + length]
        if expected != self.bytes:
            place = next(i for i in range(SIZE) if expected[i] != self.bytes[i])
            raise Finding("I31", f"the queue wrote at {BASE + place:#x}")

    @property
    def used_notes(self) -> list[tuple[int, int]]:
        """The device's fields for the driver, except for what was used: flags and avail_event."""
        address, length, _ = self.vring.parts()["used"]
        return [(address, 2), (address + length - 2, 2)]

    STEPS: ClassVar[tuple[Callable[..., None], ...]] = ()


class DeviceSide(Side):
    def __init__(self, entries: int, *, indirect_desc: bool, event_idx: bool) -> None:
        super().__init__(entries)
        queue = DeviceQueue(
            self.memory, self.vring, queue=0, indirect_desc=indirect_desc, event_idx=event_idx, limits=_LIMITS
        )
        self.queue = planted(DEFECTS, "queue", queue)
        self.in_flight: dict[int, Naive] = {}

    # -- the driver

    def describe(self, reader: Reader) -> None:
        """Small addresses are places in memory: an index past the table is in a table of its own."""
        place, address = self.vring.desc + _DESC * reader.byte(), reader.number()
        record = VringDesc(
            addr=BASE + address if address < SIZE else address,
            len=reader.number() % (1 << 32),
            flags=reader.byte(),
            next=reader.byte(),
        )
        self.memory.write(place, record.build())

    def head(self, reader: Reader) -> None:
        """An entry of the available ring, and one chain more."""
        index = int.from_bytes(self.memory.read(self.vring.avail + 2, 2), "little")
        self.put(self.vring.avail + 4 + 2 * (index % self.vring.size), reader.byte(), 2)
        self.put(self.vring.avail + 2, index + 1, 2)

    def index(self, reader: Reader) -> None:
        self.put(self.vring.avail + 2, reader.number(), 2)

    # -- the device

    def pop(self, _reader: Reader) -> None:
        chain = self._watched(lambda: [c for c in [self.queue.pop()] if c])
        self._check(chain)

    def pop_all(self, _reader: Reader) -> None:
        self._check(self._watched(self.queue.pop_all))

    def _watched(self, take: Callable[[], list[Chain]]) -> list[Chain]:
        before = bytes(self.bytes)
        try:
            return take()
        finally:
            self.untouched(before, self.used_notes)

    def _check(self, chains: list[Chain]) -> None:
        for chain in chains:
            naive = walk(bytes(self.bytes), BASE, self.vring.desc, chain.head)
            if (chain.readable, chain.capacity) != (naive.readable, naive.capacity):
                raise Finding("I6", f"head {chain.head} is not what its descriptors say")
            if chain.head in self.in_flight:
                raise Finding("I19", f"head {chain.head} came twice")
            self.in_flight[chain.head] = naive

    def push(self, reader: Reader) -> None:
        number, length = reader.byte(), reader.number()
        if not self.in_flight:
            return
        head = list(self.in_flight)[number % len(self.in_flight)]
        chain = self.in_flight.pop(head)
        before, (used, size, _) = bytes(self.bytes), self.vring.parts()["used"]
        try:
            self.queue.push(Used(head, 0, b"\xa5" * (length % (chain.capacity + 1))))
        finally:
            self.untouched(before, [*chain.writable, (used, size)])

    STEPS = (describe, head, pop_all, push, describe, Side.poke, index, pop)


class DriverSide(Side):
    def __init__(self, entries: int, *, indirect_desc: bool, event_idx: bool) -> None:
        super().__init__(entries)
        queue = DriverQueue(
            self.memory,
            self.vring,
            DmaArena(_ARENA, SIZE // 2),
            queue=0,
            indirect_desc=indirect_desc,
            event_idx=event_idx,
        )
        self.queue = planted(DEFECTS, "queue", queue)
        #: head -> bytes that the device may write
        self.in_flight: dict[int, int] = {}

    # -- the driver

    def add(self, reader: Reader) -> None:
        """Raises what a driver expects: no room."""
        readable = [bytes(1 + reader.byte()) for _ in range(1 + reader.byte() % 3)]
        writable = [1 + reader.byte() for _ in range(reader.byte() % 3)]
        try:
            head = self.queue.add(readable, writable)
        except OSError:
            return
        if head in self.in_flight:
            raise Finding("I8", f"head {head} is in flight, and given again")
        self.in_flight[head] = sum(writable)

    def kick(self, _reader: Reader) -> None:
        self.queue.kick()

    def get_used(self, _reader: Reader) -> None:
        for used in self.queue.get_used():
            capacity = self.in_flight.pop(used.head, None)
            if capacity is None:
                raise Finding("I19", f"head {used.head} is used, and was not in flight")
            if len(used.written) > capacity:
                raise Finding("I17", f"{len(used.written)} bytes were taken of an answer of {capacity}")
        if not self.in_flight and self.queue.num_free != self.vring.size:
            raise Finding("I10", f"{self.queue.num_free} descriptors of {self.vring.size} are free, and none in flight")

    # -- the device

    def use(self, reader: Reader) -> None:
        """An element of the used ring, and one more used."""
        index = int.from_bytes(self.memory.read(self.vring.used + 2, 2), "little")
        place = self.vring.used + 4 + 8 * (index % self.vring.size)
        self.put(place, reader.number(), 4)
        self.put(place + 4, reader.number(), 4)
        self.put(self.vring.used + 2, index + 1, 2)

    def index(self, reader: Reader) -> None:
        self.put(self.vring.used + 2, reader.number(), 2)

    STEPS = (add, use, get_used, Side.poke, add, kick, index)
