"""Rings that no honest driver writes: the queue is dead, its reason is named, and guest memory is as it was."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_ring import (
    ANSWER,
    BASE,
    BUFFERS,
    INDIRECT,
    NEXT,
    READ,
    SIZE,
    TABLE,
    WRITE,
    Hand,
    Write,
    available,
    direct,
    indirect,
    together,
)
from queue_kit import broken, queue_of

from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.descriptors import VringLimits
from vgpu_emu.link.vring import Fault, VringError

HOSTILE: dict[str, tuple[Fault, Write]] = {
    "idx jumps by one more than the queue has": (Fault.AVAIL_IDX, available(*range(8), idx=9)),
    "idx goes back": (Fault.AVAIL_IDX, available(idx=0xFFFF)),
    "idx jumps by half": (Fault.AVAIL_IDX, available(idx=0x8000)),
    "head behind the table": (Fault.HEAD, available(8, idx=1)),
    "head far away": (Fault.HEAD, available(0xFFFF, idx=1)),
    "next behind the table": (Fault.NEXT, direct((BUFFERS, 8, NEXT, 8))),
    "next far away": (Fault.NEXT, direct((BUFFERS, 8, NEXT, 0xFFFF))),
    "next behind the indirect table": (Fault.NEXT, indirect((BUFFERS, 8, NEXT, 2), READ)),
    "chain of one that follows itself": (Fault.DESCRIPTORS, direct((BUFFERS, 8, NEXT, 0))),
    "two that follow each other": (Fault.DESCRIPTORS, direct((BUFFERS, 8, NEXT, 1), (BUFFERS, 8, NEXT, 0))),
    "loop in an indirect table": (Fault.LOOP, indirect((BUFFERS, 8, NEXT, 1), (BUFFERS, 8, NEXT, 0))),
    "indirect table of one that follows itself": (Fault.LOOP, indirect((BUFFERS, 8, NEXT, 0))),
    "readable of no bytes": (Fault.EMPTY, direct((BUFFERS, 0, 0, 0))),
    "writable of no bytes": (Fault.EMPTY, direct((BUFFERS, 8, NEXT, 1), (BUFFERS + 8, 0, WRITE, 0))),
    "indirect of no bytes": (Fault.EMPTY, indirect((BUFFERS, 0, 0, 0))),
    "readable behind writable": (Fault.ORDER, direct((BUFFERS, 8, WRITE | NEXT, 1), READ)),
    "readable table behind a writable buffer": (
        Fault.ORDER,
        together(indirect(READ), direct((BUFFERS + 512, 8, WRITE | NEXT, 1), (TABLE, 16, INDIRECT, 0))),
    ),
    "answer over its own request": (Fault.OVERLAP, direct((BUFFERS, 32, NEXT, 1), (BUFFERS + 31, 32, WRITE, 0))),
    "answer in its own request": (Fault.OVERLAP, direct((BUFFERS, 32, NEXT, 1), (BUFFERS + 8, 8, WRITE, 0))),
    "request in its own answer": (Fault.OVERLAP, direct((BUFFERS + 8, 8, NEXT, 1), (BUFFERS, 32, WRITE, 0))),
    "the same buffer read and written": (Fault.OVERLAP, direct((BUFFERS, 8, NEXT, 1), (BUFFERS, 8, WRITE, 0))),
    "two answers over each other": (
        Fault.OVERLAP,
        direct((BUFFERS, 32, WRITE | NEXT, 1), (BUFFERS + 16, 32, WRITE, 0)),
    ),
    "answer over the first of two requests": (
        Fault.OVERLAP,
        direct((BUFFERS, 64, NEXT, 1), (BUFFERS + 8, 8, NEXT, 2), (BUFFERS + 32, 8, WRITE, 0)),
    ),
    "request at address 0": (Fault.ADDRESS, direct((0, 8, 0, 0))),
    "request one byte in front of memory": (Fault.ADDRESS, direct((BASE - 1, 8, 0, 0))),
    "request one byte too long for memory": (Fault.ADDRESS, direct((BASE + SIZE - 7, 8, 0, 0))),
    "answer one byte too long for memory": (Fault.ADDRESS, direct((BASE + SIZE - 7, 8, WRITE, 0))),
    "request that wraps around 64 bits": (Fault.ADDRESS, direct((0xFFFFFFFFFFFFFFF8, 16, 0, 0))),
    "answer that wraps around 64 bits": (Fault.ADDRESS, direct((0xFFFFFFFFFFFFFFFF, 2, WRITE, 0))),
    "indirect table outside of memory": (Fault.ADDRESS, direct((BASE + SIZE - 15, 16, INDIRECT, 0))),
    "request of 4 GiB": (Fault.BYTES, direct((BUFFERS, 0xFFFFFFFF, 0, 0))),
    "answer of 4 GiB": (Fault.BYTES, direct((BUFFERS, 0xFFFFFFFF, WRITE, 0))),
    "lengths whose sum is 2^32": (Fault.BYTES, direct((BUFFERS, 0xFFFFFFFF, NEXT, 1), (BUFFERS, 1, WRITE, 0))),
    "lengths whose sum is 2^32 + 8": (
        Fault.BYTES,
        direct((BUFFERS, 0x80000000, NEXT, 1), (BUFFERS, 0x80000000, NEXT, 2), (BUFFERS, 8, WRITE, 0)),
    ),
    "indirect table within an indirect table": (Fault.INDIRECT_NESTED, indirect((TABLE, 16, INDIRECT, 0))),
    "indirect and next": (Fault.INDIRECT_NEXT, indirect(READ, flags=NEXT)),
    "indirect table of no bytes": (Fault.INDIRECT_LENGTH, indirect(READ, length=0)),
    "indirect table of 8 bytes": (Fault.INDIRECT_LENGTH, indirect(READ, length=8)),
    "indirect table of 17 bytes": (Fault.INDIRECT_LENGTH, indirect(READ, length=17)),
    "indirect table of 4 GiB": (Fault.DESCRIPTORS, indirect(READ, length=0xFFFFFFF0)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_ring_kills_the_queue_and_nothing_else(name: str) -> None:
    fault, write = HOSTILE[name]
    hand = Hand()
    write(hand)
    queue, before = queue_of(hand), bytes(hand.memory)
    with broken(fault):
        queue.pop_all()
    assert hand.memory == before
    assert queue.error is not None


@pytest.mark.parametrize("name", HOSTILE)
def test_one_by_one_is_as_hostile_as_all_at_once(name: str) -> None:
    fault, write = HOSTILE[name]
    hand = Hand()
    write(hand)
    with broken(fault):
        queue_of(hand).pop()


def test_every_fault_of_a_chain_is_in_the_table() -> None:
    elsewhere = {Fault.QUEUE_SIZE, Fault.ALIGNMENT, Fault.RING_ADDRESS, Fault.IN_FLIGHT, Fault.INDIRECT_FEATURE}
    drivers = {Fault.USED_IDX, Fault.USED_ID}
    assert {fault for fault, _ in HOSTILE.values()} == set(Fault) - elsewhere - drivers


def test_dead_queue_stays_dead() -> None:
    hand = Hand()
    direct(READ)(hand)
    queue = queue_of(hand)
    chain = queue.pop()
    assert chain is not None
    hand.make_available(0, 8)
    with broken(Fault.HEAD):
        queue.pop_all()
    hand.make_available(0, 1)
    hand.describe(1, *ANSWER)
    before = bytes(hand.memory)
    with broken(Fault.HEAD):
        queue.pop()
    assert queue.push(Used(chain.head, 0, b"")) is False
    assert hand.memory == before
    again = queue_of(hand, next_avail=1).pop()
    assert again == Chain(1, 0, b"", 32)


def test_indirect_descriptor_needs_its_feature() -> None:
    hand = Hand()
    indirect(READ)(hand)
    with broken(Fault.INDIRECT_FEATURE):
        queue_of(hand, indirect=False).pop()


def test_head_that_is_in_flight_is_not_available() -> None:
    hand = Hand()
    direct(READ)(hand)
    queue = queue_of(hand)
    queue.pop_all()
    hand.make_available(0, 0)
    with broken(Fault.IN_FLIGHT):
        queue.pop_all()


def test_chains_before_the_hostile_one_are_given_first() -> None:
    hand = Hand()
    available(0, 1, 99, 2, idx=4)(hand)
    queue = queue_of(hand)
    assert [chain.head for chain in queue.pop_all()] == [0, 1]
    assert queue.push_all([Used(1, 0, b""), Used(0, 0, b"")])
    with broken(Fault.HEAD):
        queue.pop_all()
    assert (hand.used_idx, hand.used_element(0), hand.used_element(1)) == (2, (1, 0), (0, 0))


# -- any bytes


@given(st.binary(min_size=128, max_size=128), st.binary(min_size=16, max_size=16), st.integers(0, 9), st.data())
def test_any_bytes_are_chains_or_a_fault(table: bytes, heads: bytes, idx: int, data: st.DataObject) -> None:
    hand = Hand()
    plausible = st.tuples(st.integers(BUFFERS, BASE + SIZE), st.integers(0, 80), st.integers(0, 7), st.integers(0, 8))
    for index in range(8):
        place = hand.desc + 16 * index
        hand.put(place, table[16 * index : 16 * index + 16])
        if data.draw(st.booleans()):
            hand.put_descriptor(place, *data.draw(plausible))
    hand.make_available(*(byte % 9 for byte in heads[:8]), idx=idx)
    queue, before = queue_of(hand), bytes(hand.memory)
    try:
        chains = queue.pop_all()
    except VringError:
        chains = []
    if idx:
        assert hand.memory == before
    for chain in chains:
        head, readable, writable = hand.chain(chain.head)
        assert chain == Chain(head, 0, readable, sum(length for _, length in writable))


def test_hostile_lengths_allocate_nothing() -> None:
    tracemalloc.start()
    try:
        for write in (direct((BUFFERS, 0xFFFFFFFF, 0, 0)), indirect(READ, length=0xFFFFFFF0)):
            hand = Hand()
            write(hand)
            queue = queue_of(hand, VringLimits(bytes=1 << 32))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with pytest.raises(VringError):
                queue.pop()
            assert tracemalloc.get_traced_memory()[1] - before < 20_000
    finally:
        tracemalloc.stop()
