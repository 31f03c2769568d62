"""Driver and device on one queue: whatever is sent arrives, byte for byte, and is answered once."""

import os
from errno import EINVAL, EIO, ENOMEM, ENOSPC
from mmap import mmap

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive_ring import Hand
from test_guest_memory import errno_of

from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.link.dma_arena import DmaArena
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import AVAIL_IDX, USED_IDX, Fault, Vring, VringError

#: the queue is in front of the arena, and a quarter of the memory behind it is nobody's
BASE, ARENA, ARENA_SIZE = 0x80000, 0x82000, 0x1000


class Pair:
    """Both sides of a queue in a naive reader's memory. start: of all indices."""

    def __init__(
        self,
        entries: int = 4,
        *,
        indirect: bool = False,
        event_idx: bool = False,
        start: int = 0,
        driver: type[DriverQueue] = DriverQueue,
        device: type[DeviceQueue] = DeviceQueue,
    ) -> None:
        self.hand = Hand(entries, BASE)
        memory, vring = GuestMemory(), Vring(entries, self.hand.desc, self.hand.avail, self.hand.used)
        memory.add(BASE, self.hand.memory)
        self.arena = DmaArena(ARENA, ARENA_SIZE)
        self.driver = driver(memory, vring, self.arena, queue=1, indirect_desc=indirect, event_idx=event_idx)
        # as if `start` chains had come and gone; a driver starts at 0, and to make 2^16 of them takes long
        self.driver._next_avail = self.driver._next_used = start
        self.driver.rings.store(AVAIL_IDX, start)
        self.driver.rings.store(USED_IDX, start)
        self.device = device(memory, vring, queue=1, indirect_desc=indirect, event_idx=event_idx, next_avail=start)


class Conversation(Pair):
    """Steps that check themselves: against the naive reader, and against what was sent."""

    def __init__(self, entries: int, indirect: bool, event_idx: bool, start: int) -> None:
        super().__init__(entries, indirect=indirect, event_idx=event_idx, start=start)
        self.free = entries
        self.seen = start
        #: heads with the device; answers that the driver has not seen; descriptors that a chain has
        self.popped: list[Chain] = []
        self.answered: list[Used] = []
        self.taken: dict[int, int] = {}

    def add(self, readable: list[bytes], writable: list[int]) -> None:
        buffers = len(readable) + len(writable)
        needed = min(buffers, 1) if self.driver.indirect_desc else buffers
        if not buffers or needed > self.free:
            before = bytes(self.hand.memory)
            assert errno_of(lambda: self.driver.add(readable, writable)) == (ENOSPC if buffers else EINVAL)
            assert self.hand.memory == before
            return
        head = self.driver.add(readable, writable)
        self.free -= needed
        self.taken[head] = needed
        assert self.driver.num_free == self.free
        made, sent, answers = self.hand.available(self.seen)[-1]
        assert (made, sent, [length for _, length in answers]) == (head, b"".join(readable), writable)

    def pop(self, all_at_once: bool) -> None:
        naive = self.hand.available(self.seen)
        chains = self.device.pop_all() if all_at_once else [c for c in [self.device.pop()] if c is not None]
        assert len(chains) == (len(naive) if all_at_once else min(len(naive), 1))
        for chain, (head, readable, writable) in zip(chains, naive, strict=False):
            assert chain == Chain(head, 1, readable, sum(length for _, length in writable))
        self.seen = (self.seen + len(chains)) % 65536
        self.popped += chains

    def push(self, picks: list[tuple[int, bytes]]) -> None:
        """Answer some chains, in any order: nothing changes but their buffers and the used ring."""
        expected, batch = bytearray(self.hand.memory), list[Used]()
        for pick, data in picks[: len(self.popped)]:
            chain = self.popped.pop(pick % len(self.popped))
            batch.append(Used(chain.head, 1, data[: chain.capacity]))
            left = batch[-1].written
            for address, length in self.hand.chain(chain.head)[2]:
                part, left = left[:length], left[length:]
                expected[address - BASE : address - BASE + len(part)] = part
        first = self.hand.used_idx
        self.device.push_all(batch)
        start, end = self.hand.used - BASE, self.hand.used - BASE + 6 + 8 * self.hand.entries
        assert self.hand.memory[:start] == expected[:start]
        assert self.hand.memory[end:] == expected[end:]
        assert self.hand.used_idx == (first + len(batch)) % 65536
        for place, used in enumerate(batch):
            assert self.hand.used_element(first + place) == (used.head, len(used.written))
        self.answered += batch

    def collect(self) -> None:
        assert self.driver.get_used() == self.answered
        self.free += sum(self.taken.pop(used.head) for used in self.answered)
        self.answered = []
        assert self.driver.num_free == self.free


BUFFERS = st.tuples(st.lists(st.binary(min_size=1, max_size=40), max_size=3), st.lists(st.integers(1, 40), max_size=3))
STEPS = st.one_of(
    st.tuples(st.just("add"), BUFFERS),
    st.tuples(st.just("add"), BUFFERS),
    st.tuples(st.just("pop"), st.tuples(st.booleans())),
    st.tuples(st.just("push"), st.tuples(st.lists(st.tuples(st.integers(0, 7), st.binary(max_size=130)), max_size=4))),
    st.tuples(st.just("collect"), st.just(())),
)


ENTRIES, STARTS = st.sampled_from([1, 2, 4, 8]), st.sampled_from([0, 65534])


@settings(max_examples=200)
@given(ENTRIES, st.booleans(), st.booleans(), STARTS, st.lists(STEPS, max_size=40))
@example(4, True, True, 65535, [("add", ([b"x"], [8])), ("add", ([b"y"], [8])), ("pop", (True,)), ("pop", (True,))])
def test_any_conversation_arrives_and_is_answered_once(
    entries: int, indirect: bool, event_idx: bool, start: int, steps: list[tuple[str, tuple[object, ...]]]
) -> None:
    talk = Conversation(entries, indirect, event_idx, start)
    for name, arguments in steps:
        getattr(talk, name)(*arguments)
    talk.pop(True)
    talk.push([(0, b"last")] * len(talk.popped))
    talk.collect()
    assert (talk.free, talk.driver.in_flight, talk.device.in_flight) == (entries, 0, 0)
    assert talk.arena.alloc(ARENA_SIZE) == ARENA


def test_indices_wrap_around_16_bits() -> None:
    pair = Pair(256, event_idx=True)
    for batch in range(0, 66_000, 60):
        heads = [pair.driver.add([b"request"], [8]) for _ in range(60)]
        assert [chain.head for chain in pair.device.pop_all()] == heads
        pair.device.push_all([Used(head, 1, b"answer %d" % (head % 10)) for head in heads])
        assert [used.head for used in pair.driver.get_used()] == heads
        assert pair.hand.used_idx == (batch + 60) % 65536


@pytest.mark.parametrize(("indirect", "chains"), [(False, 2), (True, 7)])
def test_queue_that_is_full_says_so(indirect: bool, chains: int) -> None:
    """A chain of three takes three descriptors of seven, or one that refers to a table."""
    pair = Pair(8, indirect=indirect)
    pair.driver.add([b"x"])
    heads = [pair.driver.add([b"header", b"payload"], [24]) for _ in range(chains)]
    assert pair.driver.num_free == 7 - chains * pair.driver.needs(3)
    assert errno_of(lambda: pair.driver.add([b"header", b"payload"], [24])) == ENOSPC
    pair.device.pop_all()
    pair.device.push(Used(heads[0], 1, b"answer"))
    pair.driver.get_used()
    assert pair.driver.add([b"header", b"payload"], [24]) == heads[0]


def test_single_buffer_needs_no_table() -> None:
    pair = Pair(8, indirect=True)
    head = pair.driver.add([b"cursor"])
    assert pair.hand.value(pair.hand.desc + 16 * head + 12, 2) == 0
    assert pair.device.pop() == Chain(head, 1, b"cursor", 0)


@pytest.mark.parametrize(("readable", "writable"), [([], []), ([b""], [8]), ([b"x"], [0]), ([b"x"], [-1])])
def test_driver_adds_no_empty_buffers(readable: list[bytes], writable: list[int]) -> None:
    assert errno_of(lambda: Pair().driver.add(readable, writable)) == EINVAL


def test_full_arena_leaves_the_queue_as_it_was() -> None:
    pair = Pair()
    before = bytes(pair.hand.memory)
    assert errno_of(lambda: pair.driver.add([bytes(ARENA_SIZE)])) == ENOMEM
    assert pair.driver.num_free == 4
    assert pair.hand.memory == before


def test_answer_that_is_longer_than_its_buffers_is_the_devices_bug() -> None:
    pair = Pair()
    head = pair.driver.add([b"x"], [4, 4])
    pair.device.pop()
    with pytest.raises(ValueError, match="1 bytes too many"):
        pair.device.push(Used(head, 1, b"123456789"))


def test_chain_is_answered_once() -> None:
    pair = Pair()
    head = pair.driver.add([b"x"], [4])
    pair.device.pop()
    pair.device.push(Used(head, 1, b"1234"))
    with pytest.raises(ValueError, match="not in flight"):
        pair.device.push(Used(head, 1, b"1234"))


# -- a device that breaks the queue


def _used_by_hand(pair: Pair, *elements: tuple[int, int]) -> None:
    for place, (head, length) in enumerate(elements):
        pair.hand.put_number(pair.hand.used + 4 + 8 * place, head, 4)
        pair.hand.put_number(pair.hand.used + 8 + 8 * place, length, 4)
    pair.hand.put_number(pair.hand.used + 2, len(elements), 2)


def test_used_length_beyond_the_capacity_is_cut() -> None:
    pair = Pair()
    head = pair.driver.add([b"x"], [4, 4])
    pair.hand.put(pair.hand.chain(head)[2][0][0], b"abcd")
    pair.hand.put(pair.hand.chain(head)[2][1][0], b"efgh")
    _used_by_hand(pair, (head, 0xFFFFFFFF))
    assert pair.driver.get_used() == [Used(head, 1, b"abcdefgh")]


@pytest.mark.parametrize(
    ("elements", "fault"),
    [
        ([(3, 0)], Fault.USED_ID),
        ([(0xFFFFFFFF, 0)], Fault.USED_ID),
        ([(0, 0), (1, 0), (2, 0)], Fault.USED_IDX),
    ],
)
def test_device_that_breaks_the_queue_is_found_out(elements: list[tuple[int, int]], fault: Fault) -> None:
    pair = Pair()
    assert [pair.driver.add([b"x"]), pair.driver.add([b"y"])] == [0, 1]
    _used_by_hand(pair, *elements)
    for _ in range(2):
        with pytest.raises(VringError) as broken:
            pair.driver.get_used()
        assert broken.value.fault is fault
    assert errno_of(lambda: pair.driver.add([b"z"])) == EIO
    assert pair.driver.kick() is False


def test_answers_before_the_broken_one_are_seen() -> None:
    pair = Pair()
    for _ in range(2):
        pair.driver.add([b"x"])
    _used_by_hand(pair, (1, 0), (1, 0))
    assert pair.driver.get_used() == [Used(1, 1, b"")]
    with pytest.raises(VringError):
        pair.driver.get_used()


# -- memory that two processes share


@pytest.mark.usefixtures("nothing_left")
def test_two_processes_share_the_memory_of_a_memfd() -> None:
    """The driver's address space and the device's are two, each with its own mapping, as over a vhost-user socket."""
    fd = os.memfd_create("ram")
    os.truncate(fd, 0x10000)
    with mmap(fd, 0x10000) as ours, mmap(fd, 0x10000) as theirs:
        guest, back_end, vring = GuestMemory(), GuestMemory(), Vring.at(0x1000, 8)
        guest.add(0, ours)
        driver = DriverQueue(guest, vring, DmaArena(0x8000, 0x4000), queue=0, event_idx=True)
        back_end.add(0, theirs)
        device = DeviceQueue(back_end, vring, queue=0, event_idx=True)
        head = driver.add([b"request"], [16])
        assert driver.kick()
        assert device.pop_all() == [Chain(head, 0, b"request", 16)]
        # the table of regions is sent anew while the queue is live
        back_end.remove(0, 0x10000)
        with mmap(fd, 0x8000) as low, mmap(fd, 0x8000, offset=0x8000) as high:
            back_end.add(0, low)
            back_end.add(0x8000, high)
            assert device.push(Used(head, 0, b"answer"))
            assert driver.get_used() == [Used(head, 0, b"answer")]
            back_end.remove(0, 0x8000)
            back_end.remove(0x8000, 0x8000)
        guest.remove(0, 0x10000)
    os.close(fd)


def test_buffer_may_lie_in_two_regions() -> None:
    pair = Pair()
    pair.hand.describe(0, BASE - 4, 8)
    pair.hand.make_available(0)
    pair.device.memory.add(BASE - 8, bytearray(b"in front"))
    chain = pair.device.pop()
    assert chain is not None
    assert chain.readable == b"ront" + pair.hand.get(BASE, 4)


def test_later_life_of_a_queue_goes_on_where_the_last_one_stopped() -> None:
    pair = Pair(event_idx=True)
    heads = [pair.driver.add([b"x"], [8]) for _ in range(2)]
    assert pair.device.pop() is not None
    pair.device.push(Used(heads[0], 1, b"first"))
    vring = pair.device.rings.vring
    device = DeviceQueue(pair.device.memory, vring, queue=1, event_idx=True, next_avail=pair.device.next_avail)
    assert [chain.head for chain in device.pop_all()] == heads[1:]
    device.push(Used(heads[1], 1, b"second"))
    assert pair.driver.get_used() == [Used(heads[0], 1, b"first"), Used(heads[1], 1, b"second")]
