"""What virtio 1.4 asks of a driver, seen in what Linux sent: bytes that nobody here made up."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.display import SetScanout, SetScanoutBlob, UpdateCursor
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CmdSubmit, CtxCreate, GetCapsetInfo, RespCapsetInfo
from vgpu_wire.resource import Format, ResourceCreate2D, ResourceUnref, TransferToHost2D

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
FROM_LINUX = ("2d", "blob2d", "virgl_classic", "virgl64")
WITH_CAPSETS = ("virgl_classic", "virgl64")
every_capture = pytest.mark.parametrize("name", FROM_LINUX)


@cache
def exchanges(name: str) -> list[tuple[CtrlHdr, CtrlHdr | None]]:
    lines: Iterator[dict[str, Any]] = map(
        json.loads, CAPTURES.joinpath(f"{name}.jsonl").read_text("utf-8").splitlines()
    )
    return [
        (
            parse_message(bytes.fromhex(line["request"])),
            parse_message(bytes.fromhex(line["response"])) if line["response"] else None,
        )
        for line in lines
    ]


def requests(name: str) -> list[CtrlHdr]:
    return [request for request, _answer in exchanges(name)]


@every_capture
def test_linux_asks_for_edid_and_display_info_before_it_sets_up_a_scanout(name: str) -> None:
    types = [request.type for request in requests(name)]
    scanouts = [types.index(t) for t in (CtrlType.SET_SCANOUT, CtrlType.SET_SCANOUT_BLOB) if t in types]
    assert max(types.index(CtrlType.GET_EDID), types.index(CtrlType.GET_DISPLAY_INFO)) < min(scanouts)


@every_capture
def test_linux_populates_a_cursor_image_before_it_shows_it(name: str) -> None:
    """As an image it is transferred, with a fence if it is no blob; as a blob its pages are the image."""
    made: dict[int, ResourceCreate2D | ResourceCreateBlob] = {}
    filled: set[int] = set()
    shown = 0
    for request in requests(name):
        match request:
            case ResourceCreate2D() | ResourceCreateBlob():
                made[request.resource_id] = request
                filled.discard(request.resource_id)
            case TransferToHost2D():
                filled.add(request.resource_id)
            case UpdateCursor(type=CtrlType.UPDATE_CURSOR) if request.resource_id:
                assert request.resource_id in filled
                image = made[request.resource_id]
                if isinstance(image, ResourceCreate2D):
                    assert (image.width, image.height) == (64, 64)
                shown += 1
    assert shown


@pytest.mark.parametrize("name", WITH_CAPSETS)
def test_linux_asks_for_capsets_by_their_indices_from_0_on(name: str) -> None:
    indices = [request.capset_index for request in requests(name) if isinstance(request, GetCapsetInfo)]
    answers = [answer for _request, answer in exchanges(name) if isinstance(answer, RespCapsetInfo)]
    assert indices == list(range(len(answers)))
    assert all(answer.capset_id for answer in answers)


def test_linux_says_of_every_blob_where_its_memory_is_and_what_it_is_for() -> None:
    used = set()
    for name in ("blob2d", "virgl64"):
        blobs = [request for request in requests(name) if isinstance(request, ResourceCreateBlob)]
        mapped = {request.resource_id for request in requests(name) if isinstance(request, ResourceMapBlob)}
        for blob in blobs:
            assert BlobMem(blob.blob_mem)
            assert BlobFlag(blob.blob_flags)
            assert blob.resource_id not in mapped or blob.blob_flags & BlobFlag.USE_MAPPABLE
            used.add(blob.blob_mem)
    assert used == set(BlobMem)


def test_linux_maps_no_blob_that_is_mapped_and_none_outside_of_its_life() -> None:
    alive: set[int] = set()
    mapped: set[int] = set()
    maps = 0
    for request in requests("virgl64"):
        match request:
            case ResourceCreateBlob(blob_mem=BlobMem.HOST3D):
                alive.add(request.resource_id)
            case ResourceMapBlob():
                assert request.resource_id in alive - mapped
                mapped.add(request.resource_id)
                maps += 1
            case ResourceUnmapBlob():
                mapped.remove(request.resource_id)
            case ResourceUnref():
                assert request.resource_id not in mapped
                alive.discard(request.resource_id)
    assert maps > 200


def test_linux_makes_host_blobs_of_objects_that_the_context_allocated_before() -> None:
    submitted: set[int] = set()
    blobs = 0
    for request in requests("virgl64"):
        match request:
            case CmdSubmit():
                submitted.add(request.ctx_id)
            case ResourceCreateBlob(blob_mem=BlobMem.HOST3D):
                assert request.ctx_id in submitted
                assert request.blob_id
                blobs += 1
    assert blobs > 200


def test_linux_shows_blobs_in_a_format_of_the_list() -> None:
    formats = {
        r.format for name in FROM_LINUX for r in requests(name) if isinstance(r, SetScanoutBlob) and r.resource_id
    }
    assert formats
    assert formats <= {value.value for value in Format}


def test_linux_uses_rings_only_of_a_context_that_it_made_with_a_capset() -> None:
    made: dict[int, CtxCreate] = {}
    rings = set()
    for request in requests("virgl64"):
        if isinstance(request, CtxCreate):
            made[request.ctx_id] = request
        if request.flags & 2:
            assert request.flags & 1
            assert 0 <= request.ring_idx <= 63
            assert made[request.ctx_id].context_init & 0xFF
            rings.add(request.ring_idx)
    assert rings


@every_capture
def test_linux_switches_a_scanout_off_with_resource_0(name: str) -> None:
    off = [r for r in requests(name) if isinstance(r, SetScanout) and not r.resource_id]
    assert off


@every_capture
def test_linux_numbers_its_fences_upwards(name: str) -> None:
    fences = [request.fence_id for request in requests(name) if request.flags & 1]
    assert fences
    assert fences == sorted(set(fences))
