"""Every command of virtio 1.4 succeeds: bytes in, bytes out. The bytes are packed here, not by the codec."""

import struct
from typing import NamedTuple
from uuid import UUID

import pytest
from device_kit import Prepare, Rig

from vgpu_emu.assembly import Config
from vgpu_emu.drive.requests import PAGE, attach, guest_blob, submit
from vgpu_emu.vmm.command import Capset
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlType
from vgpu_wire.device import CONTROLQ, CURSORQ
from vgpu_wire.messages import is_response
from vgpu_wire.render import CtxCreate, CtxResource, ResourceCreate3D
from vgpu_wire.resource import Format, ResourceCreate2D

CONFIG = Config(
    scanouts=((1024, 768), (800, 600)),
    guest_memory=1 << 20,
    capsets={1: Capset(1, b"virgl"), 4: Capset(7, b"venus caps")},
)
#: struct virtio_gpu_rect, le32 each
RECT = struct.pack("<4I", 2, 1, 4, 3)
BGRA, RGBA = 1, 67


def header(number: int, *, ctx_id: int = 0) -> bytes:
    """le32 type, flags; le64 fence_id; le32 ctx_id; u8 ring_idx, padding[3]"""
    return struct.pack("<IIQIB3x", number, 0, 0, ctx_id, 0)


def body(number: int, *words: int, ctx_id: int = 0) -> bytes:
    """A request of le32 members."""
    return header(number, ctx_id=ctx_id) + struct.pack(f"<{len(words)}I", *words)


NODATA = header(0x1100)


class Success(NamedTuple):
    """A request that is in order once `prepare` has run, and its whole answer; None: see the test of its own."""

    command: CtrlType
    request: bytes
    response: bytes | None = NODATA
    prepare: Prepare = lambda rig: None

    @property
    def queue(self) -> int:
        return CURSORQ if self.command >= 0x300 else CONTROLQ


def image(rig: Rig) -> None:
    rig.image(5, 16, 8)


def bare_image(rig: Rig) -> None:
    rig.ok(ResourceCreate2D(resource_id=5, format=Format.R8G8B8A8_UNORM.value, width=16, height=8))


def cursor_image(rig: Rig) -> None:
    rig.image(5, 64, 64)


def context(rig: Rig) -> None:
    rig.ok(CtxCreate(ctx_id=1))


def volume(rig: Rig) -> None:
    context(rig)
    rig.ok(ResourceCreate3D(resource_id=5, target=2, format=BGRA, bind=2, width=16, height=8, depth=1, array_size=1))
    rig.ok(attach(5, (0, 16 * 8 * 4)))


def attached_volume(rig: Rig) -> None:
    volume(rig)
    rig.ok(CtxResource(ctx_id=1, resource_id=5))


def object_9(rig: Rig) -> None:
    context(rig)
    rig.ok(submit(1, StreamAlloc(exporter=ExporterKind.WC.value, blob_id=9, size=PAGE)))


def blob(rig: Rig) -> None:
    rig.blob(5)


def mapped_blob(rig: Rig) -> None:
    rig.blob(5)
    rig.raw(header(0x208) + struct.pack("<IIQ", 5, 0, 0))


def display_info() -> bytes:
    modes = [(0, 0, 1024, 768, 1, 0), (0, 0, 800, 600, 1, 0)] + [(0,) * 6] * 14
    return header(0x1101) + b"".join(struct.pack("<6I", *mode) for mode in modes)


ALLOC_9 = struct.pack("<HHIQQ", 1, 6, 2, 9, PAGE)
BOX = struct.pack("<6I", 2, 1, 0, 4, 3, 1)
SUCCESSES = (
    Success(CtrlType.GET_DISPLAY_INFO, header(0x100), display_info()),
    Success(CtrlType.RESOURCE_CREATE_2D, body(0x101, 5, RGBA, 16, 8)),
    Success(CtrlType.RESOURCE_UNREF, body(0x102, 5, 0), prepare=image),
    Success(CtrlType.SET_SCANOUT, header(0x103) + RECT + struct.pack("<2I", 1, 5), prepare=image),
    Success(CtrlType.RESOURCE_FLUSH, header(0x104) + RECT + struct.pack("<2I", 5, 0), prepare=image),
    Success(CtrlType.TRANSFER_TO_HOST_2D, header(0x105) + RECT + struct.pack("<QII", 72, 5, 0), prepare=image),
    Success(
        CtrlType.RESOURCE_ATTACH_BACKING,
        body(0x106, 5, 2) + struct.pack("<QIIQII", 0x1000, 256, 0, 0x8000, 256, 0),
        prepare=bare_image,
    ),
    Success(CtrlType.RESOURCE_DETACH_BACKING, body(0x107, 5, 0), prepare=image),
    Success(CtrlType.GET_CAPSET_INFO, body(0x108, 1, 0), body(0x1102, 4, 7, 10, 0)),
    Success(CtrlType.GET_CAPSET, body(0x109, 4, 7), header(0x1103) + b"venus caps"),
    Success(CtrlType.GET_EDID, body(0x10A, 1, 0), None),
    Success(CtrlType.RESOURCE_ASSIGN_UUID, body(0x10B, 5, 0), None, image),
    Success(
        CtrlType.RESOURCE_CREATE_BLOB,
        # HOST3D, USE_MAPPABLE, no entries
        header(0x10C, ctx_id=1) + struct.pack("<4I2Q", 5, 2, 1, 0, 9, PAGE),
        prepare=object_9,
    ),
    Success(
        CtrlType.SET_SCANOUT_BLOB,
        header(0x10D) + RECT + struct.pack("<6I4I4I", 0, 5, 16, 8, BGRA, 0, 64, 0, 0, 0, 128, 0, 0, 0),
        prepare=lambda rig: rig.ok(guest_blob(5, PAGE, (0, PAGE))),
    ),
    Success(CtrlType.CTX_CREATE, body(0x200, 4, 4, ctx_id=1) + b"mesa".ljust(64, b"\0")),
    Success(CtrlType.CTX_DESTROY, header(0x201, ctx_id=1), prepare=context),
    Success(CtrlType.CTX_ATTACH_RESOURCE, body(0x202, 5, 0, ctx_id=1), prepare=volume),
    Success(
        CtrlType.CTX_DETACH_RESOURCE,
        body(0x203, 5, 0, ctx_id=1),
        prepare=attached_volume,
    ),
    Success(CtrlType.RESOURCE_CREATE_3D, body(0x204, 5, 2, BGRA, 2, 16, 8, 1, 1, 0, 0, 1, 0)),
    Success(
        CtrlType.TRANSFER_TO_HOST_3D,
        header(0x205, ctx_id=1) + BOX + struct.pack("<Q4I", 0, 5, 0, 64, 0),
        prepare=volume,
    ),
    Success(
        CtrlType.TRANSFER_FROM_HOST_3D,
        header(0x206, ctx_id=1) + BOX + struct.pack("<Q4I", 0, 5, 0, 64, 0),
        prepare=volume,
    ),
    Success(CtrlType.SUBMIT_3D, body(0x207, len(ALLOC_9), 0, ctx_id=1) + ALLOC_9, prepare=context),
    # map_info 3: WC, which is what the exporter says
    Success(
        CtrlType.RESOURCE_MAP_BLOB,
        header(0x208) + struct.pack("<IIQ", 5, 0, 2 * PAGE),
        body(0x1106, 3, 0),
        prepare=blob,
    ),
    Success(CtrlType.RESOURCE_UNMAP_BLOB, body(0x209, 5, 0), prepare=mapped_blob),
    Success(CtrlType.UPDATE_CURSOR, body(0x300, 1, 10, 20, 0, 5, 3, 4, 0), prepare=cursor_image),
    Success(CtrlType.MOVE_CURSOR, body(0x301, 1, 11, 21, 0, 0, 0, 0, 0), prepare=cursor_image),
)
every_success = pytest.mark.parametrize("success", SUCCESSES, ids=lambda success: success.command.name)


def exchange(rig: Rig, success: Success) -> bytes:
    success.prepare(rig)
    return rig.exchange(success.request, queue=success.queue)


def test_there_are_26_commands_and_each_is_here_once() -> None:
    requests = [number for number in CtrlType if number and not is_response(number)]
    assert len(requests) == 26
    assert sorted(success.command for success in SUCCESSES) == sorted(requests)


@every_success
def test_command_succeeds_with_the_answer_that_the_spec_gives_it(success: Success) -> None:
    with Rig(CONFIG) as rig:
        written = exchange(rig, success)
        assert success.response is None or written == success.response
        assert not rig.refused_rules()


@every_success
def test_command_is_known_on_its_own_queue_only(success: Success) -> None:
    with Rig(CONFIG) as rig:
        success.prepare(rig)
        other = CONTROLQ if success.queue == CURSORQ else CURSORQ
        assert rig.exchange(success.request, queue=other) == header(0x1200)


@every_success
def test_bytes_behind_the_structure_are_ignored(success: Success) -> None:
    """Linux and every VMM hand over whole descriptors."""
    with Rig(CONFIG) as rig:
        written = exchange(rig, success._replace(request=success.request + b"\xee" * 37))
        assert success.response is None or written == success.response


@every_success
def test_answer_is_cut_to_the_room_that_the_chain_has(success: Success) -> None:
    with Rig(CONFIG) as whole, Rig(CONFIG) as short:
        written = exchange(whole, success)
        success.prepare(short)
        assert short.exchange(success.request, queue=success.queue, capacity=20) == written[:20]
        assert short.exchange(success.request, queue=success.queue, capacity=0) == b""


def test_edid_of_a_scanout_is_a_base_block_in_1024_bytes() -> None:
    with Rig(CONFIG) as rig:
        written = rig.exchange(body(0x10A, 1, 0))
        assert written[:32] == body(0x1104, 128, 0)
        edid = written[32:]
        assert edid[:8] == bytes.fromhex("00ffffffffffff00")
        assert len(edid) == 1024
        assert not any(edid[128:])


def test_uuid_of_a_resource_stays_and_no_other_has_it() -> None:
    with Rig(CONFIG) as rig:
        seen = []
        for resource_id in (1, 2, 1 << 31, 2**32 - 1):
            rig.ok(ResourceCreate2D(resource_id=resource_id, format=BGRA, width=1, height=1))
            answers = {rig.exchange(body(0x10B, resource_id, 0)) for _ in range(2)}
            assert len(answers) == 1
            written = answers.pop()
            assert written[:24] == header(0x1105)
            assert len(written) == 40
            seen.append(UUID(bytes=written[24:]))
        assert len(set(seen)) == len(seen)
        assert {uuid.version for uuid in seen} == {4}
