"""Where a device draws the line: limits, the place of a queue, and what looks hostile and is allowed."""

import pytest
from naive_ring import (
    ANSWER,
    BASE,
    BUFFERS,
    INDIRECT,
    NEXT,
    SIZE,
    TABLE,
    WRITE,
    Hand,
    available,
    direct,
    indirect,
)
from queue_kit import broken, queue_of

from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.descriptors import VringLimits
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import Fault, Vring

# -- what looks hostile and is not


def test_two_requests_may_be_the_same_bytes() -> None:
    hand = Hand()
    direct((BUFFERS, 8, NEXT, 1), (BUFFERS, 8, NEXT, 2), ANSWER)(hand)
    assert queue_of(hand).pop() == Chain(0, 0, hand.get(BUFFERS, 8) * 2, 32)


def test_buffers_may_touch() -> None:
    hand = Hand()
    direct((BUFFERS + 8, 8, NEXT, 1), (BUFFERS, 8, WRITE | NEXT, 2), (BUFFERS + 16, 8, WRITE, 0))(hand)
    queue = queue_of(hand)
    assert queue.pop() == Chain(0, 0, hand.get(BUFFERS + 8, 8), 16)
    queue.push(Used(0, 0, b"12345678abcd"))
    assert hand.get(BUFFERS, 8) + hand.get(BUFFERS + 16, 4) == b"12345678abcd"


def test_table_may_follow_ordinary_descriptors_and_its_write_flag_means_nothing() -> None:
    hand = Hand()
    indirect((BUFFERS + 8, 8, NEXT, 2), (0, 0, 0, 0), ANSWER)(hand)
    hand.describe(0, BUFFERS, 8, NEXT, 5)
    hand.describe(5, TABLE, 48, INDIRECT | WRITE)
    assert queue_of(hand).pop() == Chain(0, 0, hand.get(BUFFERS, 16), 32)


def test_unknown_flags_mean_nothing() -> None:
    hand = Hand()
    direct((BUFFERS, 8, 0xFFF8 | NEXT, 1), (BUFFERS + 8, 8, 0xFFF8 | WRITE, 7))(hand)
    assert queue_of(hand).pop() == Chain(0, 0, hand.get(BUFFERS, 8), 8)


# -- limits


@pytest.mark.parametrize(("count", "fits"), [(5, True), (6, True), (7, False)])
@pytest.mark.parametrize("in_table", [False, True])
def test_chain_has_a_limit_of_descriptors(count: int, fits: bool, in_table: bool) -> None:
    chain = [(BUFFERS + 8 * i, 8, NEXT if i < count - 1 else 0, i + 1) for i in range(count)]
    hand = Hand()
    (indirect if in_table else direct)(*chain)(hand)
    if fits:
        popped = queue_of(hand).pop()
        assert popped is not None
        assert popped.readable == hand.get(BUFFERS, 8 * count)
    else:
        with broken(Fault.DESCRIPTORS):
            queue_of(hand).pop()


@pytest.mark.parametrize(("count", "fits"), [(4, True), (5, True), (6, False)])
def test_limit_of_descriptors_counts_both_tables(count: int, fits: bool) -> None:
    hand = Hand()
    indirect(*[(BUFFERS + 8 * i, 8, NEXT if i < count - 1 else 0, i + 1) for i in range(count)])(hand)
    hand.describe(1, TABLE, 16 * count, INDIRECT)
    hand.describe(0, BUFFERS, 8, NEXT, 1)
    if fits:
        assert queue_of(hand).pop() is not None
    else:
        with broken(Fault.DESCRIPTORS):
            queue_of(hand).pop()


def test_loop_is_found_after_one_round() -> None:
    hand = Hand()
    direct((BUFFERS, 8, NEXT, 1), (BUFFERS, 8, NEXT, 0))(hand)
    with broken(Fault.LOOP):
        queue_of(hand, VringLimits()).pop()


@pytest.mark.parametrize(("answer", "fits"), [(223, True), (224, True), (225, False)])
def test_chain_has_a_limit_of_bytes(answer: int, fits: bool) -> None:
    hand = Hand()
    direct((BUFFERS, 16, NEXT, 1), (BUFFERS + 16, 16, NEXT, 2), (BUFFERS + 32, answer, WRITE, 0))(hand)
    if fits:
        assert queue_of(hand).pop() == Chain(0, 0, hand.get(BUFFERS, 32), answer)
    else:
        with broken(Fault.BYTES):
            queue_of(hand).pop()


@pytest.mark.parametrize(("idx", "fits"), [(7, True), (8, True), (9, False)])
def test_no_more_chains_are_available_than_the_queue_has_entries(idx: int, fits: bool) -> None:
    hand = Hand()
    available(*range(8), idx=idx)(hand)
    if fits:
        assert len(queue_of(hand).pop_all()) == idx
    else:
        with broken(Fault.AVAIL_IDX):
            queue_of(hand).pop_all()


def test_one_call_copies_little_more_than_one_chain_may_have() -> None:
    hand = Hand()
    for index in range(8):
        hand.describe(index, BUFFERS, 100)
    hand.make_available(*range(8))
    queue = queue_of(hand)
    assert [len(queue.pop_all()) for _ in range(4)] == [3, 3, 2, 0]


# -- where the queue is


@pytest.mark.parametrize(
    ("size", "fits"), [(0, False), (1, True), (2, True), (3, False), (4, True), (12, False), (256, True), (-8, False)]
)
def test_queue_size_is_a_power_of_two(size: int, fits: bool) -> None:
    hand = Hand()
    hand.entries = size
    if fits:
        queue_of(hand)
    else:
        with broken(Fault.QUEUE_SIZE):
            queue_of(hand)


@pytest.mark.parametrize(("size", "fits"), [(16384, True), (32768, True), (65536, False)])
def test_queue_has_no_more_than_32768_entries(size: int, fits: bool) -> None:
    memory = GuestMemory()
    memory.add(BASE, bytearray(2 << 20))
    if fits:
        DeviceQueue(memory, Vring.at(BASE, size), queue=0)
    else:
        with broken(Fault.QUEUE_SIZE):
            DeviceQueue(memory, Vring.at(BASE, size), queue=0)


@pytest.mark.parametrize(("part", "by"), [("desc", 8), ("desc", 1), ("avail", 1), ("used", 2), ("used", 1)])
def test_parts_are_aligned(part: str, by: int) -> None:
    hand = Hand()
    setattr(hand, part, getattr(hand, part) + by)
    with broken(Fault.ALIGNMENT):
        queue_of(hand)


@pytest.mark.parametrize("part", ["desc", "avail", "used"])
def test_parts_are_in_guest_memory(part: str) -> None:
    bytes_of = {"desc": 8 * 16, "avail": 6 + 8 * 2, "used": 6 + 8 * 8}
    last = (BASE + SIZE - bytes_of[part]) & -16
    for address, fits in ((last, True), (last + 16, False), (0, False), ((1 << 64) - 16, False)):
        hand = Hand()
        setattr(hand, part, address)
        if fits:
            queue_of(hand)
        else:
            with broken(Fault.RING_ADDRESS):
                queue_of(hand)


def test_queue_in_read_only_memory_is_none() -> None:
    memory = GuestMemory()
    memory.add(BASE, bytes(SIZE))
    with broken(Fault.RING_ADDRESS):
        DeviceQueue(memory, Vring.at(BASE, 8), queue=0)


def test_answer_into_read_only_memory_is_refused() -> None:
    hand = Hand()
    direct((0x1000, 8, WRITE, 0))(hand)
    queue = queue_of(hand)
    queue.memory.add(0x1000, b"firmware")
    with broken(Fault.ADDRESS):
        queue.pop()


def test_memory_that_goes_away_takes_the_queue_with_it() -> None:
    hand = Hand()
    queue = queue_of(hand)
    queue.memory.remove(BASE, SIZE)
    with broken(Fault.RING_ADDRESS):
        queue.pop()


def test_answer_whose_memory_went_away_kills_the_queue() -> None:
    hand = Hand()
    direct((0x1000, 8, WRITE, 0))(hand)
    queue = queue_of(hand)
    queue.memory.add(0x1000, bytearray(8))
    queue.pop()
    queue.memory.remove(0x1000, 8)
    with broken(Fault.ADDRESS):
        queue.push(Used(0, 0, b"answer"))
    assert hand.used_idx == 0
