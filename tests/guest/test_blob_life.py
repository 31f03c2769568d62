"""A HOST3D blob's life on the controlq: which commands, in which order, with which fields, and when its place is free.

virtgpu_ioctl.c, virtgpu_vram.c
"""

from errno import EINVAL, ENOENT, ENOSPC
from typing import Any

import pytest
from support import PAGE, Call, GuestAlone, alloc, create, create_and_mmap, names

from vgpu_emu.ids import GemHandle
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, Feature
from vgpu_wire.render import CmdSubmit, CtxCreate, CtxDestroy, CtxResource
from vgpu_wire.resource import ResourceUnref

CREATE = ["CTX_CREATE", "SUBMIT_3D", "RESOURCE_CREATE_BLOB", "RESOURCE_MAP_BLOB", "CTX_ATTACH_RESOURCE"]
FREE = ["RESOURCE_UNMAP_BLOB", "RESOURCE_UNREF"]
REFUSED = HeaderOnly(type=CtrlType.RESP_ERR_UNSPEC.value)


def test_create_sends_five_commands_and_waits_for_no_answer() -> None:
    guest = GuestAlone()
    call = Call(create(guest.file, size=PAGE + 1, blob_id=77))
    assert call.value == GemHandle(1)
    assert guest.kick() == [
        CtxCreate(ctx_id=1, nlen=8, debug_name=b"vgpu-emu".ljust(64, b"\0")),
        CmdSubmit(ctx_id=1, size=24, commands=alloc(blob_id=77, size=PAGE + 1)),
        ResourceCreateBlob(ctx_id=1, resource_id=2, blob_mem=2, blob_flags=1, blob_id=77, size=2 * PAGE),
        ResourceMapBlob(resource_id=2, offset=0),
        CtxResource(type=CtrlType.CTX_ATTACH_RESOURCE.value, ctx_id=1, resource_id=2),
    ]
    assert [chain.capacity for chain in guest.sent] == [24, 24, 24, 32, 24]
    assert {chain.queue for chain in guest.sent} == {CONTROLQ}


def test_context_is_created_once_for_a_file() -> None:
    guest = GuestAlone()
    guest.run(create(guest.file))
    Call(create(guest.file, blob_id=2))
    assert names(guest.kick()) == CREATE[1:]


def test_nothing_is_submitted_without_a_command_stream() -> None:
    guest = GuestAlone()
    Call(guest.file.resource_create_blob(size=PAGE))
    assert "SUBMIT_3D" not in names(guest.kick())


def test_blob_that_is_not_mappable_is_not_mapped_and_only_unreferenced() -> None:
    guest = GuestAlone()
    handle = Call(create(guest.file, blob_flags=2)).value
    assert names(guest.quiesce()) == ["CTX_CREATE", "SUBMIT_3D", "RESOURCE_CREATE_BLOB", "CTX_ATTACH_RESOURCE"]
    with pytest.raises(OSError, match="not mappable") as refused:
        Call(guest.file.mmap(guest.file.map(handle), PAGE))
    assert refused.value.errno == EINVAL
    Call(guest.file.gem_close(handle))
    assert names(guest.quiesce()) == ["CTX_DETACH_RESOURCE", "RESOURCE_UNREF"]


def test_map_ioctl_sends_nothing() -> None:
    guest = GuestAlone()
    handle = guest.run(create(guest.file))
    assert guest.file.map(handle) == 0x100000 << 12
    assert guest.kick() == []
    with pytest.raises(OSError, match="no GEM handle 2") as refused:
        guest.file.map(GemHandle(2))
    assert refused.value.errno == ENOENT


def test_munmap_sends_nothing_and_mmap_again_neither() -> None:
    guest = GuestAlone()
    handle, vma = guest.run(create_and_mmap(guest.file))
    for _ in range(2):
        assert not Call(vma.munmap()).sleeps
        assert guest.kick() == []
        vma = Call(guest.file.mmap(guest.file.map(handle), PAGE)).value
        assert guest.kick() == []


def test_close_of_the_handle_detaches_and_when_that_is_answered_unmaps_and_unreferences() -> None:
    guest = GuestAlone()
    handle = guest.run(create(guest.file))
    Call(guest.file.gem_close(handle))
    assert guest.kick() == [CtxResource(type=CtrlType.CTX_DETACH_RESOURCE.value, ctx_id=1, resource_id=2)]
    guest.answer()
    assert guest.kick() == [ResourceUnmapBlob(resource_id=2), ResourceUnref(resource_id=2)]
    with pytest.raises(OSError, match="no GEM handle 1") as refused:
        Call(guest.file.gem_close(handle))
    assert refused.value.errno == EINVAL


def test_mapping_keeps_the_object_after_its_handle_is_closed() -> None:
    guest = GuestAlone()
    handle, vma = guest.run(create_and_mmap(guest.file))
    Call(guest.file.gem_close(handle))
    assert names(guest.quiesce()) == ["CTX_DETACH_RESOURCE"]
    Call(vma.munmap())
    assert names(guest.kick()) == FREE
    Call(vma.munmap())
    assert guest.kick() == []


def test_two_mappings_keep_it_until_the_second_is_gone() -> None:
    guest = GuestAlone()
    handle, first = guest.run(create_and_mmap(guest.file))
    second = guest.run(guest.file.mmap(guest.file.map(handle), PAGE))
    Call(guest.file.gem_close(handle))
    guest.answer_all()
    Call(first.munmap())
    assert guest.kick() == []
    Call(second.munmap())
    assert names(guest.kick()) == FREE


def test_close_of_the_file_closes_its_handles_and_then_its_context() -> None:
    guest = GuestAlone()
    guest.run(create(guest.file, blob_id=1))
    guest.run(create(guest.file, blob_id=2, blob_flags=2))
    Call(guest.file.close())
    closing = guest.quiesce()
    assert names(closing) == ["CTX_DETACH_RESOURCE"] * 2 + ["CTX_DESTROY", *FREE, "RESOURCE_UNREF"]
    assert closing[2] == CtxDestroy(type=CtrlType.CTX_DESTROY.value, ctx_id=1)


def test_file_that_made_nothing_closes_silently() -> None:
    guest = GuestAlone()
    Call(guest.file.close())
    assert guest.kick() == []


@pytest.mark.parametrize("response", [HeaderOnly(type=CtrlType.RESP_OK_NODATA.value), REFUSED, b""])
def test_place_in_the_region_is_free_when_unref_is_answered_and_not_before(response: HeaderOnly | bytes) -> None:
    guest = GuestAlone()
    handle = guest.run(create(guest.file, size=16 * PAGE))
    Call(guest.file.gem_close(handle))
    guest.answer(command=CtrlType.CTX_DETACH_RESOURCE)
    guest.answer(response, CtrlType.RESOURCE_UNMAP_BLOB)
    assert guest.driver.mm.nodes == {0: 16 * PAGE}
    with pytest.raises(OSError, match="no hole") as refused:
        Call(create(guest.file, blob_id=2))
    assert refused.value.errno == ENOSPC
    guest.answer(response, CtrlType.RESOURCE_UNREF)
    assert guest.driver.mm.nodes == {}
    assert not Call(create(guest.file, blob_id=3)).sleeps


def test_region_without_room_is_enospc_and_the_new_resource_is_unreferenced() -> None:
    guest = GuestAlone(host_visible=PAGE)
    guest.run(create(guest.file))
    with pytest.raises(OSError, match="no hole") as refused:
        Call(create(guest.file, blob_id=2))
    assert refused.value.errno == ENOSPC
    assert names(guest.kick()) == ["SUBMIT_3D", "RESOURCE_CREATE_BLOB", "RESOURCE_UNREF"]
    assert guest.file.handles.keys() == {1}


def test_device_without_a_region_is_einval_and_the_new_resource_is_unreferenced() -> None:
    guest = GuestAlone(host_visible=0)
    with pytest.raises(OSError, match="no host visible region") as refused:
        Call(create(guest.file))
    assert refused.value.errno == EINVAL
    assert names(guest.kick()) == ["CTX_CREATE", "SUBMIT_3D", "RESOURCE_CREATE_BLOB", "RESOURCE_UNREF"]


def test_blob_of_no_bytes_is_enospc_after_its_stream_went_out() -> None:
    guest = GuestAlone()
    with pytest.raises(OSError, match="0 pages") as refused:
        Call(guest.file.resource_create_blob(size=0, cmd=alloc()))
    assert refused.value.errno == ENOSPC
    assert names(guest.kick()) == ["CTX_CREATE", "SUBMIT_3D"]
    Call(create(guest.file))
    assert [request.resource_id for request in guest.kick() if isinstance(request, ResourceCreateBlob)] == [2]


def test_refused_create_blob_is_not_seen_by_the_ioctl() -> None:
    guest = GuestAlone()
    call = Call(create(guest.file))
    guest.kick()
    guest.answer(REFUSED, CtrlType.RESOURCE_CREATE_BLOB)
    assert call.value == GemHandle(1)
    assert [note.values for note in guest.log.notes("error_response")] == [
        {
            "response": "RESP_ERR_UNSPEC",
            "command": "RESOURCE_CREATE_BLOB",
            "text": "response 0x1200 (command 0x10c)",
        }
    ]


# -- what verify_blob refuses, before anything is sent


@pytest.mark.parametrize(
    "refused_options",
    [
        pytest.param({"blob_flags": 8}, id="an unknown flag"),
        pytest.param({"blob_flags": 1 << 31 | 1}, id="the highest flag"),
        pytest.param({"blob_flags": 4}, id="cross device without uuids"),
        pytest.param({"blob_mem": 0}, id="blob_mem 0"),
        pytest.param({"blob_mem": 4}, id="blob_mem 4"),
        pytest.param({"cmd": b"\0"}, id="a stream of one byte"),
        pytest.param({"cmd": bytes(26)}, id="a stream of 26 bytes"),
    ],
)
def test_blob_that_verify_blob_refuses_sends_nothing(refused_options: dict[str, Any]) -> None:
    guest = GuestAlone()
    with pytest.raises(OSError, match=r".") as refused:
        Call(guest.file.resource_create_blob(size=PAGE, **refused_options))
    assert refused.value.errno == EINVAL
    assert guest.kick() == []


@pytest.mark.parametrize("features", [[], [Feature.VIRGL], [Feature.RESOURCE_BLOB]])
def test_host_blob_needs_blobs_and_3d(features: list[Feature]) -> None:
    guest = GuestAlone(features=frozenset(features))
    with pytest.raises(OSError, match=r".") as refused:
        Call(create(guest.file))
    assert refused.value.errno == EINVAL
    assert guest.kick() == []
