"""Both queues from the driver's side: names of chains, what waits for room, and what can never be sent."""

import mmap

import pytest

from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.virtqueues import QUEUE_SIZES, Virtqueues
from vgpu_wire.device import CONTROLQ, CURSORQ

SIZE = QUEUE_SIZES[CURSORQ]


@pytest.fixture
def queues() -> Virtqueues:
    memory = GuestMemory()
    memory.add(0, mmap.mmap(-1, 4096))
    return Virtqueues(memory)


def chain(head: int, queue: int = CURSORQ, readable: bytes = b"request", capacity: int = 24) -> Chain:
    return Chain(head, queue, readable, capacity)


def answer(queues: Virtqueues) -> list[int]:
    """The device answers everything it is given: the heads that it saw."""
    chains = queues.pop()
    queues.push([Used(c.head, c.queue, b"") for c in chains])
    return [c.head for c in chains]


def test_chains_keep_their_senders_heads(queues: Virtqueues) -> None:
    assert queues.driver.add([chain(700), chain(5, CONTROLQ)]) == [CONTROLQ, CURSORQ]
    assert sorted(queues.driver.in_flight) == [(CONTROLQ, 5), (CURSORQ, 700)]
    assert answer(queues) == [5, 700]
    assert queues.used() == [Used(5, CONTROLQ, b""), Used(700, CURSORQ, b"")]
    assert queues.driver.in_flight == []


@pytest.mark.parametrize("number", [SIZE - 1, SIZE, SIZE + 1])
def test_what_finds_no_descriptor_waits_until_something_is_used(queues: Virtqueues, number: int) -> None:
    queues.add([chain(head) for head in range(number)])
    assert answer(queues) == list(range(min(number, SIZE)))
    assert len(queues.used()) == min(number, SIZE)
    queues.add([])
    assert answer(queues) == list(range(min(number, SIZE), number))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [(chain(1, readable=b"", capacity=0), "buffers of"), (chain(1, readable=bytes(1 << 24)), "bytes of DMA memory")],
)
def test_chain_that_can_never_be_sent_is_refused_and_forgotten(queues: Virtqueues, wrong: Chain, why: str) -> None:
    with pytest.raises(OSError, match=why):
        queues.add([wrong])
    queues.add([chain(2)])
    assert answer(queues) == [2]


def test_request_without_bytes_has_no_readable_buffer(queues: Virtqueues) -> None:
    queues.add([chain(1, readable=b"")])
    assert queues.pop() == [Chain(1, CURSORQ, b"", 24)]
