"""What the ioctls of virtgpu_drm.h refuse, with which errno, and what they send when they do not (virtgpu_ioctl.c)."""

from errno import EINVAL, ENOENT, ENOMEM, ENOSPC, ENOSYS
from typing import Any

import pytest
from guest_kit import BLOBS_2D, EVERYTHING, PAGE, PLAIN, Guest, errno_of, of_type, refusal
from support import Call

from vgpu_emu.guest.ioctls_resource import Transfer
from vgpu_emu.ids import GemHandle
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.display import Rect
from vgpu_wire.render import Box, ResourceCreate3D, TransferHost3D
from vgpu_wire.resource import ResourceCreate2D, TransferToHost2D
from vgpu_wire.virtgpu_drm import Param

ALIGNED = frozenset({Feature.VIRGL, Feature.RESOURCE_BLOB, Feature.BLOB_ALIGNMENT})
VIRGL = frozenset({Feature.VIRGL})
BOX = Transfer(box=Box(x=1, y=2, w=3, h=4, d=1), offset=16, level=0)


# -- GETPARAM


@pytest.mark.parametrize(
    ("param", "features", "value"),
    [
        (Param.FEATURES_3D, VIRGL, 1),
        (Param.FEATURES_3D, PLAIN, 0),
        (Param.CAPSET_QUERY_FIX, PLAIN, 1),
        (Param.RESOURCE_BLOB, BLOBS_2D, 1),
        (Param.RESOURCE_BLOB, PLAIN, 0),
        (Param.CROSS_DEVICE, BLOBS_2D, 1),
        (Param.CROSS_DEVICE, PLAIN, 0),
        (Param.CONTEXT_INIT, EVERYTHING, 1),
        (Param.CONTEXT_INIT, VIRGL, 0),
        (Param.EXPLICIT_DEBUG_NAME, EVERYTHING, 1),
        (Param.EXPLICIT_DEBUG_NAME, VIRGL, 0),
        (Param.SUPPORTED_CAPSET_IDS, EVERYTHING, 0),
        (Param.BLOB_ALIGNMENT, ALIGNED, PAGE),
    ],
)
def test_getparam_tells_what_was_negotiated(param: Param, features: frozenset[Feature], value: int) -> None:
    assert Guest(features).file.getparam(param) == value


@pytest.mark.parametrize(("region", "value"), [(PAGE, 1), (0, 0)])
def test_host_visible_is_whether_there_is_a_region(region: int, value: int) -> None:
    assert Guest(region=region).file.getparam(Param.HOST_VISIBLE) == value


@pytest.mark.parametrize(("param", "errno"), [(0, EINVAL), (10, EINVAL), (1 << 63, EINVAL), (9, ENOENT)])
def test_getparam_of_what_is_not_there(param: int, errno: int) -> None:
    assert refusal(lambda: Guest().file.getparam(param)) == errno


# -- RESOURCE_CREATE_BLOB


@pytest.mark.parametrize(
    ("features", "options"),
    [
        (VIRGL, {}),
        (EVERYTHING, {"blob_flags": 8}),
        (EVERYTHING, {"blob_flags": 1 << 31}),
        (EVERYTHING - {Feature.RESOURCE_UUID}, {"blob_flags": BlobFlag.USE_CROSS_DEVICE}),
        (EVERYTHING, {"blob_mem": 0}),
        (EVERYTHING, {"blob_mem": 4}),
        (BLOBS_2D, {"blob_mem": BlobMem.HOST3D}),
        (BLOBS_2D, {"blob_mem": BlobMem.HOST3D_GUEST}),
        (EVERYTHING, {"cmd": b"123"}),
        (EVERYTHING, {"blob_mem": BlobMem.GUEST, "blob_id": 1}),
        (EVERYTHING, {"blob_mem": BlobMem.GUEST, "cmd": b"1234"}),
        (ALIGNED, {"size": PAGE - 1}),
        (ALIGNED, {"size": PAGE + 1}),
    ],
)
def test_verify_blob_refuses_and_nothing_is_sent(features: frozenset[Feature], options: dict[str, Any]) -> None:
    guest = Guest(features)
    assert errno_of(guest.file.resource_create_blob(**{"size": PAGE, **options})) == EINVAL
    assert guest.sent() == []


@pytest.mark.parametrize(
    "options",
    [
        {"blob_flags": 0},
        {"blob_flags": 7},
        {"blob_mem": BlobMem.GUEST},
        {"blob_mem": BlobMem.HOST3D_GUEST, "blob_id": 7, "cmd": b"1234"},
        {"blob_hints": 0xFFFFFFFF},
        {"size": 1},
    ],
)
def test_verify_blob_lets_pass(options: dict[str, Any]) -> None:
    assert errno_of(Guest().file.resource_create_blob(**{"size": PAGE, **options})) is None


@pytest.mark.parametrize(
    ("alignment", "size", "errno"),
    [(PAGE, PAGE, None), (1, 3, None), (2 * PAGE, PAGE, EINVAL), (2 * PAGE, 2 * PAGE, None), (0, PAGE, EINVAL)],
)
def test_size_is_a_multiple_of_the_devices_alignment(alignment: int, size: int, errno: int | None) -> None:
    guest = Guest(ALIGNED, blob_alignment=alignment)
    assert errno_of(guest.file.resource_create_blob(size=size)) == errno


@pytest.mark.parametrize("blob_mem", list(BlobMem))
def test_blob_of_0_bytes_never_becomes_a_resource(blob_mem: BlobMem) -> None:
    guest = Guest()
    cmd = b"" if blob_mem == BlobMem.GUEST else b"1234"
    assert errno_of(guest.file.resource_create_blob(size=0, blob_mem=blob_mem, cmd=cmd)) == ENOSPC
    assert guest.names() == ["CTX_CREATE", *(["SUBMIT_3D"] if cmd else [])]
    assert guest.driver.new_resource_id() == 2


def test_guest_blob_is_no_matter_of_the_context_but_one_on_both_sides_is() -> None:
    guest = Guest()
    Call(guest.file.resource_create_blob(size=PAGE, blob_mem=BlobMem.GUEST))
    Call(guest.file.resource_create_blob(size=PAGE, blob_mem=BlobMem.HOST3D_GUEST, blob_id=9))
    blobs = of_type(guest.sent(), ResourceCreateBlob)
    assert [(blob.ctx_id, blob.blob_mem, blob.blob_id, blob.nr_entries) for blob in blobs] == [
        (0, 1, 0, 1),
        (1, 3, 9, 1),
    ]


def test_cross_device_blob_gets_its_uuid_before_the_context_knows_it() -> None:
    guest = Guest()
    Call(guest.file.resource_create_blob(size=PAGE, blob_id=1, blob_flags=BlobFlag.USE_CROSS_DEVICE))
    assert guest.names()[1:] == ["RESOURCE_CREATE_BLOB", "RESOURCE_ASSIGN_UUID", "CTX_ATTACH_RESOURCE"]


def test_resource_info_knows_the_kind_of_a_blob_and_of_nothing_else() -> None:
    guest = Guest()
    blob = guest.run(guest.file.resource_create_blob(size=1, blob_id=1))
    info = guest.file.resource_info(blob)
    assert (info.res_handle, info.size, info.blob_mem) == (2, PAGE, 2)
    plain = guest.run(guest.file.resource_create(width=4, height=4))
    assert guest.file.resource_info(plain).blob_mem == 0
    assert refusal(lambda: guest.file.resource_info(GemHandle(9))) == ENOENT
    guest = Guest(BLOBS_2D)
    dumb = guest.run(guest.file.create_dumb(32, 32))
    assert guest.file.resource_info(dumb.handle).blob_mem == 0


# -- RESOURCE_CREATE and transfers


def test_3d_resource_takes_every_field_and_the_fence_is_on_the_creation() -> None:
    guest = Guest(VIRGL)
    fields: dict[str, Any] = {"target": 9, "bind": 8, "depth": 7, "array_size": 6, "last_level": 5, "nr_samples": 4}
    Call(guest.file.resource_create(width=2, height=3, format=77, flags=1, size=PAGE + 1, **fields))
    sent = guest.sent()
    (created,) = of_type(sent, ResourceCreate3D)
    assert created == ResourceCreate3D(
        flags=1, fence_id=1, resource_id=2, format=77, width=2, height=3, resource_flags=1, **fields
    )
    assert [request.type for request in sent] == [
        CtrlType.CTX_CREATE,
        CtrlType.RESOURCE_CREATE_3D,
        CtrlType.RESOURCE_ATTACH_BACKING,
        CtrlType.CTX_ATTACH_RESOURCE,
    ]


@pytest.mark.parametrize(
    ("options", "errno"),
    [
        ({"depth": 1, "nr_samples": 1, "last_level": 1, "array_size": 1}, None),
        ({"depth": 0, "array_size": 0}, None),
        ({"depth": 2}, EINVAL),
        ({"nr_samples": 2}, EINVAL),
        ({"last_level": 2}, EINVAL),
        ({"array_size": 2}, EINVAL),
        ({"target": 3}, EINVAL),
    ],
)
def test_without_virgl_there_are_plain_images_only(options: dict[str, int], errno: int | None) -> None:
    guest = Guest(PLAIN)
    assert errno_of(guest.file.resource_create(width=4, height=4, **options)) == errno
    assert len(of_type(guest.sent(), ResourceCreate2D)) == (errno is None)


def test_resource_without_a_size_has_one_page() -> None:
    guest = Guest(PLAIN)
    handle = guest.run(guest.file.resource_create(width=400, height=400))
    assert guest.file.resource_info(handle).size == PAGE


@pytest.mark.parametrize(
    ("width", "height", "bpp", "errno"),
    [(1, 1, 32, None), (0, 1, 32, EINVAL), (1, 0, 32, EINVAL), (1, 1, 16, EINVAL), (1 << 30, 1, 32, EINVAL)],
)
def test_dumb_buffer_has_32_bits_a_pixel(width: int, height: int, bpp: int, errno: int | None) -> None:
    assert errno_of(Guest(PLAIN).file.create_dumb(width, height, bpp)) == errno


def test_transfer_is_of_the_context_with_virgl_and_plain_without() -> None:
    guest = Guest(VIRGL)
    handle = guest.run(guest.file.resource_create(width=4, height=4))
    Call(guest.file.transfer_to_host(handle, BOX))
    Call(guest.file.transfer_from_host(handle, BOX))
    common: dict[str, Any] = {"ctx_id": 1, "flags": 1, "resource_id": 2, "box": BOX.box, "offset": 16}
    assert guest.sent() == [
        TransferHost3D(type=CtrlType.TRANSFER_TO_HOST_3D.value, fence_id=2, **common),
        TransferHost3D(type=CtrlType.TRANSFER_FROM_HOST_3D.value, fence_id=3, **common),
    ]
    guest = Guest(PLAIN)
    handle = guest.run(guest.file.resource_create(width=4, height=4))
    Call(guest.file.transfer_to_host(handle, BOX))
    assert guest.sent() == [TransferToHost2D(r=Rect(x=1, y=2, width=3, height=4), offset=16, resource_id=2)]


@pytest.mark.parametrize(("field", "value"), [("stride", 4), ("layer_stride", 4)])
def test_strides_are_for_blobs_with_a_host_side(field: str, value: int) -> None:
    guest = Guest()
    plain = guest.run(guest.file.resource_create(width=4, height=4))
    blob = guest.run(guest.file.resource_create_blob(size=PAGE, blob_id=1))
    strided = Transfer(box=BOX.box, **{field: value})
    for call in (guest.file.transfer_to_host, guest.file.transfer_from_host):
        assert errno_of(call(plain, strided)) == EINVAL
        assert errno_of(call(blob, strided)) is None


def test_transfer_of_guest_memory_alone_is_refused_and_so_are_others() -> None:
    guest = Guest()
    blob = guest.run(guest.file.resource_create_blob(size=PAGE, blob_mem=BlobMem.GUEST))
    for call in (guest.file.transfer_to_host, guest.file.transfer_from_host):
        assert errno_of(call(blob, BOX)) == EINVAL
        assert errno_of(call(GemHandle(9), BOX)) == ENOENT
    assert errno_of(Guest(PLAIN).file.transfer_from_host(GemHandle(1), BOX)) == ENOSYS


def test_guest_memory_has_an_end_and_nothing_is_sent_beyond_it() -> None:
    guest = Guest(memory=(1 << 20) + 3 * PAGE)
    assert errno_of(guest.file.resource_create_blob(size=4 * PAGE, blob_mem=BlobMem.GUEST)) == ENOMEM
    assert guest.names() == ["CTX_CREATE"]
    handle = guest.run(guest.file.resource_create_blob(size=3 * PAGE, blob_mem=BlobMem.GUEST))
    assert errno_of(guest.file.resource_create_blob(size=PAGE, blob_mem=BlobMem.GUEST)) == ENOMEM
    guest.run(guest.file.gem_close(handle))
    assert errno_of(guest.file.resource_create_blob(size=3 * PAGE, blob_mem=BlobMem.GUEST)) is None
