"""Blobs of all three kinds: guest pages, host objects, both; where they are mapped, and what mapping them shows."""

from math import lcm

import pytest
from device_kit import HOST3D_GUEST, Rig
from msgspec.structs import replace

from vgpu_emu.assembly import Config
from vgpu_emu.drive.requests import GUEST, MAPPABLE, PAGE, attach, guest_blob, host_blob, submit
from vgpu_emu.ids import BlobId, ContextId, ResourceId
from vgpu_emu.vmm.state import Blob
from vgpu_wire.blob import MapCache, ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob, RespMapInfo
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import CtxCreate, CtxDestroy, CtxResource
from vgpu_wire.resource import ResourceDetachBacking, ResourceUnref

OK, UNSPEC, PARAMETER = CtrlType.RESP_OK_NODATA, CtrlType.RESP_ERR_UNSPEC, CtrlType.RESP_ERR_INVALID_PARAMETER
WC = ExporterKind.WC.value


def blob_of(rig: Rig, resource_id: int) -> Blob:
    blob = rig.device.resources[ResourceId(resource_id)]
    assert isinstance(blob, Blob)
    return blob


def guest_bytes(rig: Rig, resource_id: int, offset: int, length: int) -> bytes:
    backing = blob_of(rig, resource_id).backing
    assert backing is not None
    return backing.read(rig.memory, offset, length)


def unmap(resource_id: int) -> ResourceUnmapBlob:
    return ResourceUnmapBlob(resource_id=resource_id)


# -- guest


def test_guest_blob_is_the_pages_of_its_entries_in_their_order() -> None:
    with Rig() as rig:
        rig.memory.write(0, bytes(range(256)) * 64)
        rig.ok(guest_blob(5, 2 * PAGE, (PAGE, PAGE - 8), (16, 8), (3 * PAGE + 4, PAGE)))
        assert guest_bytes(rig, 5, PAGE - 10, 12) == bytes([246, 247, 16, 17, 18, 19, 20, 21, 22, 23, 4, 5])
        rig.memory.write(16, b"seen now")
        assert guest_bytes(rig, 5, PAGE - 8, 8) == b"seen now"


@pytest.mark.parametrize("blob_mem", [GUEST, HOST3D_GUEST])
def test_blob_may_be_made_without_entries_that_are_attached_exchanged_and_detached_later(blob_mem: int) -> None:
    with Rig() as rig:
        rig.ok(CtxCreate(ctx_id=1), submit(1, StreamAlloc(exporter=WC, blob_id=5, size=PAGE)))
        rig.ok(host_blob(5, blob_mem=blob_mem))
        assert rig.type_of(ResourceDetachBacking(resource_id=5)) == UNSPEC
        for at in (0, PAGE):
            rig.ok(attach(5, (at, PAGE)))
            assert rig.type_of(attach(5, (at, PAGE))) == UNSPEC
            rig.memory.write(at, b"here")
            assert guest_bytes(rig, 5, 0, 4) == b"here"
            rig.ok(ResourceDetachBacking(resource_id=5))
        assert blob_of(rig, 5).backing is None


def test_guest_blob_needs_no_virgl_no_context_and_nothing_of_the_host() -> None:
    with Rig(Config(features=frozenset({Feature.RESOURCE_BLOB}), guest_memory=PAGE)) as rig:
        rig.ok(guest_blob(5, PAGE, (0, PAGE)), ResourceUnref(resource_id=5))
        assert not rig.questions


def test_entries_may_be_longer_than_the_blob_and_not_shorter() -> None:
    with Rig() as rig:
        rig.ok(guest_blob(5, PAGE, (0, 2 * PAGE)))
        assert rig.type_of(guest_blob(6, PAGE, (0, 100), (0, PAGE - 101))) == PARAMETER


def test_size_of_a_blob_has_64_bits() -> None:
    with Rig(Config(guest_memory=PAGE, sparse_memory=1 << 20)) as rig:
        big = 5 << 30
        rig.device.limits = replace(rig.device.limits, blob_bytes=1 << 63)
        rig.ok(guest_blob(5, big))
        assert rig.device.blob_bytes == big


# -- host and guest


def test_default_blob_is_a_host_object_with_guest_pages_as_its_shadow() -> None:
    with Rig() as rig:
        rig.ok(CtxCreate(ctx_id=1), submit(1, StreamAlloc(exporter=WC, blob_id=5, size=PAGE)))
        request = replace(guest_blob(5, PAGE, (0, PAGE)), ctx_id=1, blob_mem=HOST3D_GUEST, blob_id=5)
        rig.ok(request)
        assert rig.parts.renderer.resources.keys() == {5}
        rig.memory.write(0, b"shadow")
        assert guest_bytes(rig, 5, 0, 6) == b"shadow"
        assert rig.type_of(ResourceMapBlob(resource_id=5)) == PARAMETER
        rig.ok(CtxResource(ctx_id=1, resource_id=5))
        assert rig.parts.renderer.contexts[ContextId(1)].attached == {5}
        rig.ok(ResourceUnref(resource_id=5))
        assert not rig.parts.kernel.live


# -- host


def test_blob_is_made_of_the_object_that_the_context_allocated_under_its_blob_id() -> None:
    with Rig() as rig:
        rig.ok(CtxCreate(ctx_id=1), CtxCreate(ctx_id=2))
        rig.ok(submit(2, StreamAlloc(exporter=WC, blob_id=77, size=PAGE)))
        request = replace(host_blob(5), blob_id=77)
        assert rig.type_of(request) == PARAMETER, "of another context"
        rig.ok(replace(request, ctx_id=2))
        assert rig.type_of(replace(request, ctx_id=2, resource_id=6)) == PARAMETER, "taken"


@pytest.mark.parametrize(("size", "answer"), [(PAGE, OK), (2 * PAGE, OK), (3 * PAGE, PARAMETER)])
def test_blob_is_no_longer_than_its_object(size: int, answer: CtrlType) -> None:
    with Rig() as rig:
        rig.ok(CtxCreate(ctx_id=1), submit(1, StreamAlloc(exporter=WC, blob_id=5, size=2 * PAGE)))
        assert rig.type_of(host_blob(5, size)) == answer


def test_what_the_guest_writes_into_a_mapped_blob_is_the_dma_bufs_memory() -> None:
    with Rig() as rig:
        rig.blob(5, 2 * PAGE)
        rig.ok(ResourceMapBlob(resource_id=5, offset=7 * PAGE))
        rig.parts.region.write(7 * PAGE + PAGE - 2, b"over a page")
        fd = rig.parts.renderer.resources[ResourceId(5)]
        assert rig.parts.renderer.process.file(fd).memory.read(PAGE - 2, 11) == b"over a page"


def test_mapped_blobs_may_touch_and_not_overlap() -> None:
    with Rig(Config(host_visible=6 * PAGE)) as rig:
        for resource_id in range(5, 10):
            rig.blob(resource_id, 2 * PAGE)
        rig.ok(ResourceMapBlob(resource_id=5, offset=2 * PAGE))
        for offset in (PAGE, 2 * PAGE, 3 * PAGE):
            assert rig.type_of(ResourceMapBlob(resource_id=6, offset=offset)) == PARAMETER
        rig.ok(ResourceMapBlob(resource_id=6, offset=0), ResourceMapBlob(resource_id=7, offset=4 * PAGE))
        rig.ok(unmap(5))
        assert rig.type_of(ResourceMapBlob(resource_id=8, offset=PAGE)) == PARAMETER
        rig.ok(ResourceMapBlob(resource_id=8, offset=2 * PAGE))
        assert len(rig.parts.region) == 3


@pytest.mark.parametrize("offset", [5 * PAGE, 6 * PAGE, 7 * PAGE, 2**63, 2**64 - 2 * PAGE, 2**64 - PAGE])
def test_offsets_beyond_the_region_or_around_64_bits_are_refused(offset: int) -> None:
    with Rig(Config(host_visible=6 * PAGE)) as rig:
        rig.blob(5, 2 * PAGE)
        assert rig.type_of(ResourceMapBlob(resource_id=5, offset=offset)) == PARAMETER
        rig.ok(ResourceMapBlob(resource_id=5, offset=4 * PAGE))


def test_device_without_a_host_visible_region_maps_nothing() -> None:
    with Rig(Config(host_visible=0)) as rig:
        rig.blob(5)
        assert rig.type_of(ResourceMapBlob(resource_id=5)) == PARAMETER


def test_mapping_again_after_unmapping_is_no_second_mapping() -> None:
    with Rig() as rig:
        rig.blob(5)
        for offset in (0, PAGE, 0):
            rig.ok(ResourceMapBlob(resource_id=5, offset=offset))
            assert rig.type_of(ResourceMapBlob(resource_id=5, offset=9 * PAGE)) == UNSPEC
            rig.ok(unmap(5))
            assert rig.type_of(unmap(5)) == UNSPEC


def test_unref_of_a_mapped_blob_unmaps_it_first() -> None:
    with Rig() as rig:
        rig.blob(5)
        rig.ok(ResourceMapBlob(resource_id=5), ResourceUnref(resource_id=5))
        assert not len(rig.parts.region)
        assert not rig.parts.kernel.live
        rig.blob(6)
        rig.ok(ResourceMapBlob(resource_id=6))


def test_blob_outlives_the_context_that_made_it() -> None:
    with Rig() as rig:
        rig.blob(5)
        rig.ok(CtxDestroy(ctx_id=1), ResourceMapBlob(resource_id=5))
        rig.parts.region.write(0, b"alive")
        rig.ok(unmap(5), ResourceUnref(resource_id=5))
        assert not rig.parts.kernel.live


def test_blob_that_is_shorter_than_its_last_page_is_mapped_with_the_whole_page() -> None:
    features = frozenset(Feature) - {Feature.BLOB_ALIGNMENT}
    with Rig(Config(features=features)) as rig:
        rig.blob(5, PAGE + 1)
        rig.ok(ResourceMapBlob(resource_id=5))
        assert [slot.length for slot in rig.parts.region] == [2 * PAGE]


@pytest.mark.parametrize("info", list(MapCache))
def test_map_info_that_is_fixed_for_a_blob_id_is_not_asked_of_the_exporter(info: MapCache) -> None:
    with Rig(Config(map_infos={BlobId(5): info})) as rig:
        rig.blob(5, exporter=ExporterKind.SILENT)
        answer = rig.ok(ResourceMapBlob(resource_id=5))
        assert isinstance(answer, RespMapInfo)
        assert answer.map_info == info.value


# -- alignment


@pytest.mark.parametrize("alignment", [1, PAGE, 4 * PAGE, 16 * PAGE])
def test_with_blob_alignment_sizes_and_offsets_are_multiples_of_it(alignment: int) -> None:
    step = max(alignment, PAGE)
    with Rig(Config(blob_alignment=alignment)) as rig:
        rig.ok(guest_blob(1, alignment), guest_blob(2, 3 * alignment))
        if alignment > 1:
            assert rig.type_of(guest_blob(3, alignment + alignment // 2)) == PARAMETER
            assert rig.type_of(guest_blob(3, alignment - 1)) == PARAMETER
        rig.blob(5, step)
        assert rig.type_of(ResourceMapBlob(resource_id=5, offset=step // 2)) == PARAMETER
        assert rig.type_of(ResourceMapBlob(resource_id=5, offset=step + 1)) == PARAMETER
        rig.ok(ResourceMapBlob(resource_id=5, offset=3 * step))


@pytest.mark.parametrize("alignment", [0, 3, 5000, 3 * PAGE])
def test_a_device_that_says_an_odd_alignment_still_maps_whole_pages_only(alignment: int) -> None:
    """Linux takes any number for an alignment, and 0 for one that nothing has."""
    step = lcm(alignment or 1, PAGE)
    with Rig(Config(blob_alignment=alignment)) as rig:
        rig.blob(5, step)
        for offset in {1, step - 1, step + (alignment or 1)} - {2 * step}:
            assert rig.type_of(ResourceMapBlob(resource_id=5, offset=offset)) == PARAMETER
        rig.ok(ResourceMapBlob(resource_id=5, offset=step))


def test_without_blob_alignment_sizes_are_free_and_offsets_are_those_of_pages() -> None:
    features = frozenset(Feature) - {Feature.BLOB_ALIGNMENT}
    with Rig(Config(features=features, blob_alignment=16 * PAGE)) as rig:
        rig.ok(guest_blob(1, 1), guest_blob(2, PAGE + 3))
        rig.blob(5)
        assert rig.type_of(ResourceMapBlob(resource_id=5, offset=PAGE // 2)) == PARAMETER
        rig.ok(ResourceMapBlob(resource_id=5, offset=PAGE))


@pytest.mark.parametrize("flags", range(8))
def test_every_use_of_a_blob_can_be_told(flags: int) -> None:
    with Rig() as rig:
        rig.ok(guest_blob(5, PAGE, flags=flags))
        assert blob_of(rig, 5).blob_flags == flags
        rig.blob(6, flags=flags)
        answer = rig.type_of(ResourceMapBlob(resource_id=6))
        assert answer == (CtrlType.RESP_OK_MAP_INFO if flags & MAPPABLE else PARAMETER)


@pytest.mark.parametrize("bit", range(3, 32))
def test_unknown_uses_are_refused(bit: int) -> None:
    with Rig() as rig:
        request = ResourceCreateBlob(resource_id=5, blob_mem=GUEST, blob_flags=1 << bit, size=PAGE)
        assert rig.type_of(request) == PARAMETER
