"""A vhost-user back-end, by hand: set-up, requests over shared rings, blobs, and the order in which things stop."""

import mmap
import os

import pytest
import trio
import trio.testing
from vhost_kit import CONFIG, FEATURES, PLACES, RAM, USER, F, Frontend, frontend

from vgpu_emu.peers.stream import FdStream, PeerGoneError
from vgpu_emu.peers.vhost_user.link import Message, receive_message, send_message
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.context_stream import BlobTag, StreamWork
from vgpu_wire.control import CtrlFlag, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, CURSORQ, ShmId
from vgpu_wire.display import ResourceFlush
from vgpu_wire.render import CmdSubmit, CtxCreate
from vgpu_wire.resource import Format, ResourceCreate2D
from vgpu_wire.vhost_user import (
    U64,
    BackendRequest,
    ConfigSpace,
    HeaderFlag,
    Memory,
    MemoryRegion,
    Mmap,
    ProtocolFeature,
    ShmemConfig,
    VringState,
)

pytestmark = pytest.mark.usefixtures("nothing_left")
DISPLAY_INFO = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)
OK = CtrlType.RESP_OK_NODATA.value
SIZE = 8192
CREATE = ResourceCreateBlob(
    ctx_id=1,
    resource_id=7,
    blob_mem=BlobMem.HOST3D.value,
    blob_flags=BlobFlag.USE_MAPPABLE.value,
    blob_id=0x103,
    size=SIZE,
)
MAP = ResourceMapBlob(resource_id=7, offset=0x10000)


async def answer(channel: FdStream, message: Message, value: int = 0) -> None:
    await send_message(channel, message.request, U64(value), flags=HeaderFlag.REPLY)


async def test_offers_and_shapes() -> None:
    async with frontend() as (peer, _):
        assert await peer.ask(F.GET_FEATURES) == U64(FEATURES | 1 << 30)
        offered = await peer.ask(F.GET_PROTOCOL_FEATURES)
        assert isinstance(offered, U64)
        assert offered.value >> ProtocolFeature.SHMEM_MAP & 1
        assert not offered.value >> ProtocolFeature.GET_VRING_BASE_INFLIGHT & 3
        assert await peer.ask(F.GET_QUEUE_NUM) == U64(2)
        shmem = await peer.ask(F.GET_SHMEM_CONFIG)
        assert isinstance(shmem, ShmemConfig)
        assert (shmem.nregions, shmem.memory_sizes[ShmId.HOST_VISIBLE]) == (1, CONFIG.host_visible)


async def test_device_without_a_region_offers_no_mapping() -> None:
    from msgspec.structs import replace

    async with frontend(replace(CONFIG, host_visible=0)) as (peer, _):
        offered = await peer.ask(F.GET_PROTOCOL_FEATURES)
        assert isinstance(offered, U64)
        assert not offered.value >> ProtocolFeature.SHMEM_MAP & 1


async def test_configuration_space_has_zeros_behind_what_the_device_has() -> None:
    async with frontend() as (peer, _):
        space = await peer.ask(F.GET_CONFIG, ConfigSpace(0, 32, 0, bytes(32)))
        assert isinstance(space, ConfigSpace)
        assert space.region == bytes(8) + bytes([1, 0, 0, 0, 4, 0, 0, 0, 0, 0x10, 0, 0]) + bytes(12)
        await peer.send(F.GET_CONFIG, ConfigSpace(240, 32, 0, bytes(32)))
        assert (await peer.receive()).payload == b""


async def test_requests_are_answered_over_the_rings() -> None:
    async with frontend() as (peer, _):
        await peer.set_up()
        answers = await peer.run(DISPLAY_INFO, ResourceCreate2D(resource_id=1, format=1, width=4, height=4))
        assert [message.type for message in answers] == [CtrlType.RESP_OK_DISPLAY_INFO, OK]


async def test_request_that_was_there_before_the_first_kick_is_found() -> None:
    async with frontend() as (peer, _):
        await peer.set_up()
        assert await peer.ask(F.GET_VRING_BASE, VringState(CONTROLQ, 0)) == VringState(CONTROLQ, 0)
        peer.queues[CONTROLQ].add([DISPLAY_INFO.build()], [4096])
        peer.queues[CONTROLQ].kick()
        await peer.start_queue()
        assert len(await peer.answers()) == 1


async def test_queue_goes_on_where_it_stopped() -> None:
    async with frontend() as (peer, _):
        await peer.set_up()
        await peer.run(ResourceCreate2D(resource_id=1, format=Format.B8G8R8X8_UNORM.value, width=4, height=4))
        assert await peer.ask(F.GET_VRING_BASE, VringState(CONTROLQ, 0)) == VringState(CONTROLQ, 1)
        peer.kick(ResourceFlush(resource_id=1))
        await peer.start_queue(base=1)
        assert [message.type for message in await peer.answers()] == [OK]


async def test_stopped_queue_takes_nothing() -> None:
    async with frontend() as (peer, _):
        await peer.set_up()
        assert await peer.tell(F.SET_VRING_ENABLE, VringState(CONTROLQ, 0)) == 0
        peer.kick(DISPLAY_INFO)
        assert await peer.ask(F.GET_VRING_BASE, VringState(CONTROLQ, 0)) == VringState(CONTROLQ, 0)


async def test_fence_is_signalled_before_its_queue_stops() -> None:
    """All in flight is answered before the base is; nobody waits for the hour that the work would take."""
    work = StreamWork(microseconds=3_600_000_000).build()
    fenced = CmdSubmit(ctx_id=1, flags=CtrlFlag.FENCE.value, fence_id=1, size=len(work), commands=work)
    async with frontend() as (peer, _):
        await peer.set_up()
        assert [m.type for m in await peer.run(CtxCreate(ctx_id=1))] == [OK]
        peer.kick(fenced)
        await trio.testing.wait_all_tasks_blocked()
        assert await peer.ask(F.GET_VRING_BASE, VringState(CONTROLQ, 0)) == VringState(CONTROLQ, 2)
        answers = await peer.answers()
        assert [(m.type, m.fence_id) for m in answers] == [(OK, 1)]


async def _blob(peer: Frontend) -> FdStream:
    """A device with a blob, and the channel on which its mapping will be asked for."""
    await peer.set_up()
    channel = await peer.open_channel()
    assert [m.type for m in await peer.run(CtxCreate(ctx_id=1), CREATE)] == [OK, OK]
    return channel


async def test_mapped_memory_is_the_dma_bufs_own() -> None:
    async with frontend() as (peer, _):
        channel = await _blob(peer)
        peer.kick(MAP)
        request = await receive_message(channel)
        with request.fds as fds:
            asked = Mmap(shmid=1, fd_offset=0, shm_offset=0x10000, len=SIZE, flags=1)
            assert (request.request, request.parse(Mmap)) == (BackendRequest.SHMEM_MAP, asked)
            fileno = fds.take()
        with mmap.mmap(fileno, SIZE) as pages:
            os.close(fileno)
            assert BlobTag.parse(pages[:16]).blob_id == 0x103
        await answer(channel, request)
        assert [m.type for m in await peer.answers()] == [CtrlType.RESP_OK_MAP_INFO]
        peer.kick(ResourceUnmapBlob(resource_id=7))
        request = await receive_message(channel)
        assert (request.request, request.parse(Mmap), len(request.fds)) == (BackendRequest.SHMEM_UNMAP, asked, 0)
        await answer(channel, request)
        assert [m.type for m in await peer.answers()] == [OK]
        channel.close()


async def test_mapping_that_the_front_end_refuses_is_an_error_for_the_guest() -> None:
    async with frontend() as (peer, _):
        channel = await _blob(peer)
        peer.kick(MAP)
        async with trio.open_nursery() as nursery:

            async def refuse() -> None:
                """The mapping; what is then taken back was not there either."""
                for _ in range(2):
                    message = await receive_message(channel)
                    message.fds.close()
                    await answer(channel, message, 12)

            nursery.start_soon(refuse)
            assert [m.type for m in await peer.answers()] == [CtrlType.RESP_ERR_UNSPEC]
            nursery.cancel_scope.cancel()
        channel.close()


async def test_memory_table_is_taken_while_a_mapping_waits_for_its_answer() -> None:
    """QEMU tells of the memory that a mapping has brought before it answers the mapping."""
    async with frontend() as (peer, _):
        channel = await _blob(peer)
        peer.kick(MAP)
        request = await receive_message(channel)
        with request.fds as fds:
            table = Memory(2, 0, [peer.region, MemoryRegion(0xFC_0000_0000, SIZE, USER + (1 << 32), 0)])
            fileno = fds.take()
            assert await peer.tell(F.SET_MEM_TABLE, table, [peer.memfd, fileno]) == 0
            os.close(fileno)
        await answer(channel, request)
        assert [m.type for m in await peer.answers()] == [CtrlType.RESP_OK_MAP_INFO]
        channel.close()


async def test_queue_stops_while_a_mapping_waits_for_its_answer() -> None:
    """A front-end that waits for the queue to stop answers nothing: the guest is answered without it."""
    async with frontend() as (peer, _):
        channel = await _blob(peer)
        peer.kick(MAP)
        request = await receive_message(channel)
        request.fds.close()
        assert await peer.ask(F.GET_VRING_BASE, VringState(CONTROLQ, 0)) == VringState(CONTROLQ, 3)
        assert [m.type for m in await peer.answers()] == [CtrlType.RESP_OK_MAP_INFO]
        await answer(channel, request)
        peer.kick(ResourceUnmapBlob(resource_id=7))
        await peer.start_queue(base=3)
        request = await receive_message(channel)
        assert request.request == BackendRequest.SHMEM_UNMAP
        await answer(channel, request)
        assert [m.type for m in await peer.answers()] == [OK]
        channel.close()


@pytest.mark.parametrize("told", [True, False])
async def test_reset_forgets_mappings_without_a_word(told: bool) -> None:
    """The front-end drops them itself. One that does not tell of the reset starts the queue over."""
    async with frontend() as (peer, _):
        channel = await _blob(peer)
        peer.kick(MAP)
        request = await receive_message(channel)
        request.fds.close()
        await answer(channel, request)
        await peer.answers()
        await peer.ask(F.GET_VRING_BASE, VringState(CONTROLQ, 0))
        if told:
            assert await peer.tell(F.RESET_DEVICE) == 0
        await peer.send(F.SET_FEATURES, U64(FEATURES | 1 << 30))
        peer.queues.clear()
        peer.maps.memory.write(0, bytes(0x10000))
        await peer.start_queue()
        assert [m.type for m in await peer.run(CtxCreate(ctx_id=1), CREATE)] == [OK, OK]
        peer.kick(MAP)
        request = await receive_message(channel)
        request.fds.close()
        assert request.request == BackendRequest.SHMEM_MAP
        await answer(channel, request)
        await peer.answers()
        channel.close()


async def test_regions_that_stay_in_the_table_stay_mapped() -> None:
    async with frontend() as (peer, _):
        await peer.set_up()
        more = os.memfd_create("more", os.MFD_CLOEXEC)
        os.truncate(more, RAM)
        table = Memory(2, 0, [peer.region, MemoryRegion(1 << 32, RAM, USER + RAM, 0)])
        assert await peer.tell(F.SET_MEM_TABLE, table, [peer.memfd, more]) == 0
        assert len(await peer.run(DISPLAY_INFO)) == 1
        assert await peer.tell(F.SET_MEM_TABLE, Memory(1, 0, [peer.region]), [peer.memfd]) == 0
        os.close(more)
        assert len(await peer.run(DISPLAY_INFO)) == 1


async def test_driver_that_breaks_its_ring_is_told_by_the_error_eventfd() -> None:
    async with frontend() as (peer, ending):
        await peer.set_up()
        peer.maps.memory.write(PLACES[CONTROLQ].avail + 2, (5000).to_bytes(2, "little"))
        os.eventfd_write(peer.kicks[CONTROLQ], 1)
        await trio.lowlevel.wait_readable(peer.errors[CONTROLQ])
        os.eventfd_read(peer.errors[CONTROLQ])
        assert any("5000" in line for line in ending.said)


async def test_both_queues_are_served() -> None:
    async with frontend() as (peer, _):
        await peer.set_up()
        await peer.start_queue(CURSORQ)
        peer.kick(HeaderOnly(type=CtrlType.MOVE_CURSOR.value), queue=CURSORQ)
        await peer.answers(CURSORQ)


async def test_features_that_qemu_carries_out_itself_do_no_harm() -> None:
    async with frontend() as (peer, _):
        await peer.negotiate(features=FEATURES | 1 << 40)
        await peer.share_memory()
        await peer.start_queue()
        assert len(await peer.run(DISPLAY_INFO)) == 1


async def test_front_end_that_closes_the_connection_has_ended_the_session() -> None:
    async with frontend() as (peer, ending):
        await peer.set_up()
    assert isinstance(ending.error, PeerGoneError)


async def test_driver_clears_its_events() -> None:
    async with frontend() as (peer, _):
        await peer.negotiate()
        assert await peer.tell(F.SET_CONFIG, ConfigSpace(4, 4, 0, b"\1\0\0\0")) == 0
        space = await peer.ask(F.GET_CONFIG, ConfigSpace(0, 20, 0, bytes(20)))
        assert isinstance(space, ConfigSpace)
        whole = space.region[:4] + b"\1\0\0\0" + space.region[8:]
        assert await peer.tell(F.SET_CONFIG, ConfigSpace(0, 20, 0, whole)) == 0
        assert await peer.tell(F.SET_CONFIG, ConfigSpace(8, 4, 0, bytes(4))) != 0
        assert await peer.tell(F.SET_CONFIG, ConfigSpace(240, 32, 0, bytes(32))) != 0
