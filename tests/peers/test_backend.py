"""The device behind a driver's rings in shared memory, before any socket."""

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
import trio
import trio.testing
from backend_kit import CONFIG, FEATURES, RAM, RING_FEATURES, backend_with_guest
from msgspec.structs import replace

from vgpu_emu.ids import BlobId
from vgpu_emu.link.vring import Vring
from vgpu_emu.replaying import replay_capture
from vgpu_emu.trace.capture import Exchange, read_messages
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_wire.blob import BlobFlag, BlobMem, MapCache, ResourceCreateBlob, ResourceMapBlob, RespMapInfo
from vgpu_wire.context_stream import BlobTag, ExporterKind, StreamAlloc, StreamWork
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CURSORQ, Config, Feature
from vgpu_wire.display import Rect, ResourceFlush, RespDisplayInfo, SetScanout, UpdateCursor
from vgpu_wire.render import CmdSubmit, CtxCreate
from vgpu_wire.resource import (
    Format,
    MemEntry,
    ResourceAttachBacking,
    ResourceCreate2D,
    TransferToHost2D,
)

pytestmark = pytest.mark.usefixtures("nothing_left")
DISPLAY_INFO = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)
CONTEXT = CtxCreate(ctx_id=1)
MAPPABLE = BlobFlag.USE_MAPPABLE.value


def submit(stream: bytes, fence_id: int = 0) -> CmdSubmit:
    flags = CtrlFlag.FENCE.value if fence_id else 0
    return CmdSubmit(ctx_id=1, flags=flags, fence_id=fence_id, size=len(stream), commands=stream)


def blob(blob_id: int, resource_id: int = 1, size: int = 8192) -> ResourceCreateBlob:
    return ResourceCreateBlob(
        ctx_id=1,
        resource_id=resource_id,
        blob_mem=BlobMem.HOST3D.value,
        blob_flags=MAPPABLE,
        blob_id=blob_id,
        size=size,
    )


def types(answers: list[CtrlHdr]) -> list[str]:
    return [CtrlType(answer.type).name for answer in answers]


def exchanges(path: Path) -> list[Exchange]:
    items = read_messages(BytesIO(path.read_bytes()), path.name)
    return [item for item in items if isinstance(item, Exchange)]


async def test_driver_is_answered_and_interrupted() -> None:
    async with backend_with_guest() as (_, guest):
        guest.start()
        (answer,) = await guest.say(DISPLAY_INFO)
        assert isinstance(answer, RespDisplayInfo)
        assert answer.pmodes[0].r == Rect(width=1024, height=768)
        assert guest.ears.interrupts == [0]


async def test_kick_carries_many_requests_and_interrupts_once() -> None:
    async with backend_with_guest() as (_, guest):
        guest.start()
        assert len(await guest.say(*[DISPLAY_INFO] * 20)) == 20
        assert guest.ears.interrupts == [0]


async def test_driver_without_event_idx_and_indirect_descriptors_is_served() -> None:
    async with backend_with_guest() as (_, guest):
        guest.start(FEATURES)
        assert types(await guest.say(DISPLAY_INFO, DISPLAY_INFO)) == ["RESP_OK_DISPLAY_INFO"] * 2


async def test_queue_that_is_not_there_takes_no_kick() -> None:
    async with backend_with_guest() as (backend, guest):
        await backend.service(0)
        await backend.service(7)
        assert guest.ears.interrupts == []


@pytest.mark.parametrize(
    "features",
    [
        pytest.param(1 << 1, id="without VERSION_1"),
        pytest.param(1 << 32 | 1 << 40, id="a bit that is not offered"),
        pytest.param(1 << 32 | 1 << Feature.CONTEXT_INIT, id="CONTEXT_INIT without VIRGL"),
    ],
)
async def test_features_that_do_not_go_are_refused(features: int) -> None:
    async with backend_with_guest() as (backend, _):
        assert not backend.negotiate(features)
        assert backend.accepted == 0


async def test_features_that_are_left_out_are_not_offered() -> None:
    config = replace(CONFIG, features=frozenset({Feature.EDID}))
    async with backend_with_guest(config) as (backend, _):
        assert backend.offers == 1 << Feature.EDID | 1 << 32 | RING_FEATURES
        assert Config.parse(backend.config).num_capsets == 0
    async with backend_with_guest() as (backend, _):
        assert Config.parse(backend.config).num_capsets == 4


async def test_plugged_display_is_an_event_until_the_driver_clears_it() -> None:
    async with backend_with_guest() as (backend, _):
        backend.device.displays.plug(0, 640, 480)
        assert Config.parse(backend.config).events_read == 1
        backend.clear_events(1)
        assert Config.parse(backend.config).events_read == 0


async def test_fence_is_signalled_when_the_work_is_done(autojump_clock: trio.testing.MockClock) -> None:
    async with backend_with_guest() as (_, guest):
        guest.start()
        fenced = submit(b"", 5)
        assert (
            types(await guest.say(CONTEXT, submit(StreamWork(microseconds=2_000_000).build()), fenced))
            == ["RESP_OK_NODATA"] * 2
        )
        await trio.sleep(1.9)
        assert guest.heard() == []
        await trio.sleep(0.2)
        assert [answer.fence_id for answer in guest.heard()] == [5]
        assert guest.ears.interrupts == [0, 0]


async def test_nothing_that_was_due_is_answered_after_a_reset(autojump_clock: trio.testing.MockClock) -> None:
    async with backend_with_guest() as (backend, guest):
        guest.start()
        fenced = submit(b"", 5)
        await guest.say(CONTEXT, submit(StreamWork(microseconds=1000).build()), fenced)
        backend.reset()
        guest.start()
        await trio.sleep(1)
        assert guest.heard() == []
        assert types(await guest.say(DISPLAY_INFO)) == ["RESP_OK_DISPLAY_INFO"]


async def test_broken_ring_needs_a_reset_and_works_after_it() -> None:
    async with backend_with_guest() as (backend, guest):
        guest.start()
        guest.memory.write(guest.places[0].avail + 2, b"\xff\xff")
        await backend.service(0)
        assert backend.needs_reset
        assert guest.ears.changes == 1
        await backend.service(0)
        assert guest.ears.changes == 1
        assert guest.said.pop().startswith("the device needs a reset: more chains are available")
        backend.reset()
        assert not backend.needs_reset
        guest.start()
        assert types(await guest.say(DISPLAY_INFO)) == ["RESP_OK_DISPLAY_INFO"]


async def test_ring_outside_of_memory_needs_a_reset() -> None:
    async with backend_with_guest() as (backend, guest):
        assert backend.negotiate(FEATURES)
        backend.start_queue(0, Vring.at(RAM, 64))
        assert backend.needs_reset
        assert guest.ears.changes == 1
        assert guest.said.pop().startswith("the device needs a reset: a part of the queue is not in guest memory")


async def test_memory_that_goes_away_under_a_queue_needs_a_reset() -> None:
    async with backend_with_guest() as (backend, guest):
        guest.start()
        backend.maps.remove(0, RAM)
        await backend.service(0)
        assert backend.needs_reset
        assert "not in guest memory" in guest.said.pop()


async def test_stopped_queue_tells_where_it_was() -> None:
    async with backend_with_guest() as (backend, guest):
        guest.start()
        await guest.say(DISPLAY_INFO, DISPLAY_INFO, DISPLAY_INFO)
        assert backend.stop_queue(0) == 3
        assert backend.stop_queue(0) == 0


async def test_new_blob_says_which_one_it_is() -> None:
    async with backend_with_guest() as (backend, guest):
        guest.start()
        foreign = submit(struct.pack("<4I", 0x11110000, 2, 3, 4))
        answers = await guest.say(CONTEXT, foreign, blob(0x103), ResourceMapBlob(resource_id=1, offset=0x4000))
        assert isinstance(answers[-1], RespMapInfo)
        assert MapCache(answers[-1].map_info) is MapCache.CACHED
        assert backend.parts.region.read(0x4000, 16) == BlobTag(blob_id=0x103).build()


async def test_attribute_comes_from_the_option_or_from_the_exporter() -> None:
    config = replace(CONFIG, map_infos={BlobId(7): MapCache.UNCACHED})
    async with backend_with_guest(config) as (_, guest):
        guest.start()
        alloc = StreamAlloc(exporter=ExporterKind.WC.value, blob_id=8, size=4096).build()
        maps = [ResourceMapBlob(resource_id=number, offset=number << 16) for number in (1, 2)]
        answers = await guest.say(CONTEXT, submit(alloc), blob(7), blob(8, 2, 4096), *maps)
        infos = [MapCache(answer.map_info) for answer in answers if isinstance(answer, RespMapInfo)]
        assert infos == [MapCache.UNCACHED, MapCache.WC]


async def test_capture_is_replayed_without_a_difference(tmp_path: Path) -> None:
    capture = tmp_path / "run.jsonl"
    async with backend_with_guest(capture=capture) as (backend, guest):
        # as every driver does first
        backend.reset()
        guest.start()
        await guest.say(DISPLAY_INFO, CONTEXT, blob(3), ResourceMapBlob(resource_id=1, offset=0), b"\xff" * 24)
        await guest.say(UpdateCursor(type=CtrlType.MOVE_CURSOR.value), queue=CURSORQ)
        backend.reset()
        guest.start()
        await guest.say(DISPLAY_INFO)
    first, second = exchanges(capture), exchanges(tmp_path / "run.2.jsonl")
    assert [(each.order, each.queue) for each in first] == [(n, "controlq") for n in range(5)] + [(5, "cursorq")]
    assert [each.cmd for each in second] == ["GET_DISPLAY_INFO"]
    assert replay_capture(first, PROFILES["strict"]).differences == []


async def test_unanswered_request_is_captured_before_those_behind_it(tmp_path: Path) -> None:
    capture = tmp_path / "run.jsonl"
    async with backend_with_guest(capture=capture) as (_, guest):
        guest.start()
        fenced = submit(b"", 5)
        await guest.say(CONTEXT, submit(StreamWork(microseconds=10**9).build()), fenced, DISPLAY_INFO)
    assert [(each.order, bool(each.response)) for each in exchanges(capture)] == [
        (0, True),
        (1, True),
        (2, False),
        (3, True),
    ]


async def test_scanout_is_a_png(tmp_path: Path) -> None:
    width, height = 32, 16
    pixels = bytes(range(64)) * (width * height * 4 // 64)
    async with backend_with_guest(screenshots=tmp_path) as (backend, guest):
        guest.start()
        guest.memory.write(0x10000, pixels)
        rect = Rect(width=width, height=height)
        backing = [MemEntry(addr=0x10000, length=len(pixels))]
        answers = await guest.say(
            ResourceCreate2D(resource_id=1, format=Format.R8G8B8A8_UNORM.value, width=width, height=height),
            ResourceAttachBacking(resource_id=1, nr_entries=1, entries=backing),
            SetScanout(scanout_id=0, resource_id=1, r=rect),
            TransferToHost2D(resource_id=1, r=rect),
            ResourceFlush(resource_id=1, r=rect),
        )
        assert types(answers) == ["RESP_OK_NODATA"] * 5
        backend.reset()
    data = (tmp_path / "scanout-0.png").read_bytes()
    assert data[16:24] == struct.pack(">II", width, height)
    lines = zlib.decompress(data[data.index(b"IDAT") + 4 : -16])
    assert b"".join(lines[y * (4 * width + 1) + 1 :][: 4 * width] for y in range(height)) == pixels
    assert os.listdir(tmp_path) == ["scanout-0.png"]
