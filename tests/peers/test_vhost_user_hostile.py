"""A front-end that lies, breaks off or stops: a reason in one line, and nothing is left open or mapped.

Every test here ends with all descriptors closed and every page unmapped (nothing_left).
"""

import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
import trio.testing
from vhost_kit import FEATURES, PLACES, RAM, USER, F, Frontend, frontend

from vgpu_emu.peers.serving import ProtocolError
from vgpu_emu.peers.stream import PeerGoneError, StreamError
from vgpu_emu.peers.vhost_user.link import MAX_PAYLOAD
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ
from vgpu_wire.vhost_user import (
    MAX_REGIONS,
    U64,
    VRING_NOFD,
    Header,
    HeaderFlag,
    Memory,
    MemoryRegion,
    ProtocolFeature,
    VringAddr,
    VringState,
)

pytestmark = pytest.mark.usefixtures("nothing_left")
DISPLAY_INFO = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)
Attack = Callable[[Frontend], Awaitable[None]]


async def _ending(attack: Attack) -> tuple[Exception | None, list[str]]:
    """How a session ends in which this is done; the front-end itself does not close it."""
    async with frontend() as (peer, ending):
        await attack(peer)
        await ending.over.wait()
    return ending.error, ending.said


def header(request: int = 1, flags: int = 1, size: int = 0) -> bytes:
    return Header(request, flags, size).build()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (header(flags=0), "version 0"),
        (header(flags=2), "version 2"),
        (header(flags=3), "version 3"),
        (header(size=MAX_PAYLOAD + 1), "limit 4096"),
        (header(size=0xFFFFFFFF), "limit 4096"),
        (header(F.SET_FEATURES.value, size=4) + bytes(4), "VhostUserU64.value"),
        (header(F.SET_FEATURES.value, size=9) + bytes(9), "trailing"),
        (header(F.SET_MEM_TABLE.value, size=8) + b"\xff" * 8, "VhostUserMemory"),
        (header(F.SET_VRING_ADDR.value, size=39) + bytes(39), "log_guest_addr"),
        (header(F.GET_CONFIG.value, size=12) + bytes(4) + b"\xff" * 8, "VhostUserConfig"),
        (header(0), "request 0 "),
        (header(99), "request 99 "),
        (header(F.GET_INFLIGHT_FD.value, size=20) + bytes(20), "GET_INFLIGHT_FD is refused"),
        (header(F.POSTCOPY_ADVISE.value), "POSTCOPY_ADVISE is refused"),
        (header(F.GET_STATUS.value), "GET_STATUS is refused"),
        (header(F.GET_MAX_MEM_SLOTS.value), "GET_MAX_MEM_SLOTS is refused"),
        (header(F.SET_FEATURES.value, size=8) + b"\xff" * 8, "SET_FEATURES is refused"),
        (header(F.SET_PROTOCOL_FEATURES.value, size=8) + b"\xff" * 8, "SET_PROTOCOL_FEATURES is refused"),
        (header(F.SET_PROTOCOL_FEATURES.value, size=8) + U64(1 << 20).build(), "SET_PROTOCOL_FEATURES is refused"),
        (header(F.SET_VRING_NUM.value, size=8) + VringState(2, 4).build(), "there is no queue 2"),
        (header(F.GET_VRING_BASE.value, size=8) + VringState(0xFFFFFFFF, 0).build(), "there is no queue"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_message_that_breaks_the_protocol_ends_the_session(data: bytes, says: str) -> None:
    async def attack(peer: Frontend) -> None:
        await peer.stream.send(data)

    error, _ = await _ending(attack)
    assert isinstance(error, ProtocolError)
    assert says in str(error)
    assert "\n" not in str(error)


async def test_longest_payload_is_read() -> None:
    async def attack(peer: Frontend) -> None:
        await peer.stream.send(header(size=MAX_PAYLOAD) + bytes(MAX_PAYLOAD))
        await peer.receive()
        await peer.stream.send(header(flags=0))

    error, _ = await _ending(attack)
    assert "version 0" in str(error)


@pytest.mark.parametrize("data", [header()[:1], header()[:11], header(2, size=8), header(2, size=8) + bytes(7)])
async def test_front_end_that_dies_in_the_middle_of_a_message(data: bytes) -> None:
    async with frontend() as (peer, ending):
        file = os.memfd_create("sent")
        await peer.stream.send(data, [file])
        os.close(file)
    assert isinstance(ending.error, StreamError)
    assert "middle of a message" in str(ending.error)


async def test_front_end_that_dies_with_a_queue_running() -> None:
    async with frontend() as (peer, ending):
        await peer.set_up()
        channel = await peer.open_channel()
        peer.kick(DISPLAY_INFO)
        channel.close()
    assert isinstance(ending.error, PeerGoneError | StreamError)


async def test_descriptors_in_a_payload_are_refused() -> None:
    async def attack(peer: Frontend) -> None:
        await peer.stream.send(header(F.SET_VRING_KICK.value, size=8))
        await peer.stream.send(U64(0).build(), [peer.memfd])

    error, _ = await _ending(attack)
    assert isinstance(error, StreamError)


async def test_descriptors_of_a_message_that_has_none_are_closed() -> None:
    async with frontend() as (peer, _):
        await peer.send(F.SET_OWNER, fds=[peer.memfd] * 8)
        await peer.ask(F.GET_FEATURES)


async def test_more_descriptors_than_a_message_may_have_end_the_session() -> None:
    async def attack(peer: Frontend) -> None:
        await peer.stream.send(header(F.SET_OWNER.value), [peer.memfd] * 9)

    error, _ = await _ending(attack)
    assert "9, limit 8" in str(error)


def region(**fields: int) -> MemoryRegion:
    good = {"guest_phys_addr": 1 << 32, "memory_size": RAM, "userspace_addr": 1 << 40, "mmap_offset": 0}
    return MemoryRegion(**{**good, **fields})


@pytest.mark.parametrize(
    "bad",
    [
        region(memory_size=0),
        region(memory_size=2 * RAM),
        region(mmap_offset=4096),
        region(mmap_offset=(1 << 64) - 4096),
        region(guest_phys_addr=(1 << 64) - 4096),
        region(userspace_addr=(1 << 64) - 4096),
        region(guest_phys_addr=0),
        region(guest_phys_addr=RAM - 4096),
        region(userspace_addr=USER),
        region(userspace_addr=USER + RAM - 4096),
        region(guest_phys_addr=(1 << 32) + 1),
        region(memory_size=4097),
    ],
    ids=repr,
)
async def test_region_that_lies_is_refused_and_the_session_goes_on(bad: MemoryRegion) -> None:
    async with frontend() as (peer, ending):
        await peer.set_up()
        assert await peer.tell(F.SET_MEM_TABLE, Memory(2, 0, [peer.region, bad]), [peer.memfd] * 2) != 0
        await peer.share_memory()
        assert len(await peer.run(DISPLAY_INFO)) == 1
    assert any("SET_MEM_TABLE is refused" in line for line in ending.said)


async def test_region_that_is_right_is_taken() -> None:
    async with frontend() as (peer, _):
        await peer.set_up()
        assert await peer.tell(F.SET_MEM_TABLE, Memory(2, 0, [peer.region, region()]), [peer.memfd] * 2) == 0


async def test_table_with_more_regions_than_descriptors_is_refused() -> None:
    async with frontend() as (peer, _):
        await peer.negotiate()
        assert await peer.tell(F.SET_MEM_TABLE, Memory(2, 0, [peer.region, region()]), [peer.memfd]) != 0
        assert await peer.tell(F.SET_MEM_TABLE, Memory(1, 0, [peer.region]), [peer.memfd] * 2) != 0
        assert await peer.tell(F.SET_MEM_TABLE, Memory(2, 0, [peer.region] * 2), [peer.memfd] * 2) != 0


@pytest.mark.parametrize("count", [0, 1, MAX_REGIONS - 1, MAX_REGIONS])
async def test_as_many_regions_as_descriptors_can_come_are_mapped(count: int) -> None:
    async with frontend() as (peer, _):
        await peer.negotiate()
        regions = [MemoryRegion(number << 20, 4096, USER + (number << 20), 0) for number in range(count)]
        assert await peer.tell(F.SET_MEM_TABLE, Memory(count, 0, regions), [peer.memfd] * count) == 0


async def test_table_of_one_region_more_comes_with_too_many_descriptors() -> None:
    async def attack(peer: Frontend) -> None:
        regions = [MemoryRegion(number << 20, 4096, USER + (number << 20), 0) for number in range(MAX_REGIONS + 1)]
        await peer.send(F.SET_MEM_TABLE, Memory(len(regions), 0, regions), [peer.memfd] * len(regions))

    error, _ = await _ending(attack)
    assert "limit 8" in str(error)


async def test_file_that_is_no_memory_is_refused() -> None:
    async with frontend() as (peer, _):
        await peer.negotiate()
        assert await peer.tell(F.SET_MEM_TABLE, Memory(1, 0, [region()]), [peer.kicks[CONTROLQ]]) != 0


@pytest.mark.parametrize("request_", [F.SET_VRING_KICK, F.SET_VRING_CALL, F.SET_VRING_ERR])
async def test_descriptor_that_is_no_eventfd_is_refused(request_: F) -> None:
    async with frontend() as (peer, _):
        await peer.negotiate()
        assert await peer.tell(request_, U64(0), [peer.memfd]) != 0
        assert await peer.tell(request_, U64(0)) != 0
        assert await peer.tell(request_, U64(VRING_NOFD), [peer.kicks[CONTROLQ]]) != 0
        assert await peer.tell(request_, U64(7), [peer.kicks[CONTROLQ]]) != 0


@pytest.mark.parametrize("request_", [F.SET_BACKEND_REQ_FD, F.GPU_SET_SOCKET])
async def test_descriptor_that_is_no_stream_socket_is_refused(request_: F) -> None:
    async with frontend() as (peer, _):
        await peer.negotiate()
        assert await peer.tell(request_, fds=[peer.memfd]) != 0
        assert await peer.tell(request_) != 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            assert await peer.tell(request_, fds=[datagrams.fileno()]) != 0


async def test_queue_without_kicks_is_refused() -> None:
    async with frontend() as (peer, _):
        await peer.negotiate()
        assert await peer.tell(F.SET_VRING_KICK, U64(VRING_NOFD)) != 0


@pytest.mark.parametrize(
    "addresses",
    [
        VringAddr(0, 0, 0, 0, 0),
        VringAddr(0, 0, USER + RAM, USER, USER),
        VringAddr(0, 0, USER - 1, USER, USER),
        VringAddr(0, 0, USER, USER + 2048, (1 << 64) - 1),
    ],
    ids=repr,
)
async def test_ring_outside_of_memory_is_refused(addresses: VringAddr) -> None:
    async with frontend() as (peer, _):
        await peer.negotiate()
        await peer.share_memory()
        await peer.send(F.SET_VRING_NUM, VringState(0, 64))
        await peer.send(F.SET_VRING_ADDR, addresses)
        await peer.tell(F.SET_VRING_KICK, U64(0), [peer.kicks[CONTROLQ]])
        assert await peer.tell(F.SET_VRING_ENABLE, VringState(0, 1)) != 0


@pytest.mark.parametrize("size", [0, 3, 65, 1 << 16, 0xFFFFFFFF])
async def test_queue_of_a_size_that_none_has_needs_a_reset(size: int) -> None:
    async with frontend() as (peer, ending):
        await peer.negotiate()
        await peer.share_memory()
        vring = PLACES[CONTROLQ]
        await peer.send(F.SET_VRING_NUM, VringState(0, size))
        await peer.send(F.SET_VRING_ADDR, VringAddr(0, 0, USER + vring.desc, USER + vring.used, USER + vring.avail))
        await peer.tell(F.SET_VRING_KICK, U64(0), [peer.kicks[CONTROLQ]])
        await peer.tell(F.SET_VRING_ENABLE, VringState(0, 1))
    assert any("power of two" in line for line in ending.said)


async def test_memory_that_is_taken_away_under_a_queue_needs_a_reset() -> None:
    async with frontend() as (peer, ending):
        await peer.set_up()
        assert await peer.tell(F.SET_MEM_TABLE, Memory(0, 0, [])) == 0
        peer.kick(DISPLAY_INFO)
        await trio.lowlevel.wait_readable(peer.errors[CONTROLQ])
        os.eventfd_read(peer.errors[CONTROLQ])
    assert any("no memory" in line or "Bad address" in line or "ring" in line for line in ending.said)


async def test_unknown_request_that_wants_a_reply_gets_a_failure() -> None:
    async with frontend() as (peer, _):
        await peer.negotiate()
        assert await peer.tell(99) != 0
        assert await peer.tell(F.SET_INFLIGHT_FD, bytes(20)) != 0
        await peer.ask(F.GET_FEATURES)


async def test_reply_is_sent_only_to_who_negotiated_replies() -> None:
    async with frontend() as (peer, _):
        await peer.negotiate(protocol=1 << ProtocolFeature.CONFIG)
        await peer.send(F.SET_OWNER, flags=HeaderFlag.NEED_REPLY)
        assert await peer.ask(F.GET_QUEUE_NUM) == U64(2)


@pytest.mark.parametrize(
    "data", [header(9, 5, 8) + bytes(8), header(9, 1), header(9, 0), header(9, 5, MAX_PAYLOAD + 1), header(9, 5)[:5]]
)
async def test_channel_that_talks_nonsense_ends_the_session_or_the_channel(data: bytes) -> None:
    async with frontend() as (peer, ending):
        await peer.set_up()
        channel = await peer.open_channel()
        await channel.send(data)
        channel.close()
        await trio.testing.wait_all_tasks_blocked(0.005)
    assert isinstance(ending.error, ProtocolError | PeerGoneError)


async def test_driver_that_was_never_offered_features_is_refused() -> None:
    async def attack(peer: Frontend) -> None:
        await peer.send(F.SET_FEATURES, U64(FEATURES | 1 << 34))

    error, _ = await _ending(attack)
    assert "SET_FEATURES is refused" in str(error)


async def test_queue_before_features_needs_no_guess() -> None:
    """Nothing was negotiated: the queue is set up without any feature of rings, and harms nobody."""
    async with frontend() as (peer, _):
        await peer.send(F.SET_PROTOCOL_FEATURES, U64(1 << ProtocolFeature.REPLY_ACK))
        await peer.share_memory()
        await peer.start_queue()
        peer.kick(DISPLAY_INFO)
        await trio.testing.wait_all_tasks_blocked(0.005)
        await peer.ask(F.GET_FEATURES)


async def test_front_end_that_does_not_read_its_replies_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    async def attack(peer: Frontend) -> None:
        with suppress(StreamError, ProtocolError):
            while True:
                await peer.send(F.GET_SHMEM_CONFIG)

    error, _ = await _ending(attack)
    assert "not read" in str(error)


@pytest.mark.parametrize("data", [b"\1", header()[:11], header(2, size=8), header(2, size=8) + bytes(7)])
async def test_front_end_that_stops_within_a_message_is_given_up(
    autojump_clock: trio.testing.MockClock, data: bytes
) -> None:
    async def attack(peer: Frontend) -> None:
        await peer.stream.send(data)

    error, _ = await _ending(attack)
    assert "not gone on" in str(error)


async def test_front_end_that_says_nothing_may_do_so(autojump_clock: trio.testing.MockClock) -> None:
    async with frontend() as (peer, _):
        with trio.move_on_after(50):
            await peer.receive()
        await peer.ask(F.GET_FEATURES)
