"""What the device will hold: each limit at one less, exactly, and one more; and that it is given back."""

import pytest
from support import PAGE, alloc
from vmm_support import CONTEXT, bare, blob, map_blob, prepare, send, submit, unmap, unref, with_blob

from vgpu_emu.trace.log import RENDERER
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.render import CtxCreate, CtxDestroy

OK, OUT_OF_MEMORY = CtrlType.RESP_OK_NODATA, CtrlType.RESP_ERR_OUT_OF_MEMORY
three = pytest.mark.parametrize(("number", "answer"), [(2, OK), (3, OK), (4, OUT_OF_MEMORY)])


def objects(count: int, size: int = PAGE) -> CtrlHdr:
    return submit(b"".join(alloc(blob_id=number, size=size) for number in range(1, count + 1)))


@three
def test_number_of_contexts(number: int, answer: CtrlType) -> None:
    with bare(device_limits=DeviceLimits(contexts=3)) as pair:
        prepare(pair, [CtxCreate(ctx_id=ctx_id) for ctx_id in range(1, number)])
        assert send(pair, CtxCreate(ctx_id=number)).type == answer


def test_destroyed_context_gives_room() -> None:
    with bare(device_limits=DeviceLimits(contexts=1)) as pair:
        destroy = CtxDestroy(type=CtrlType.CTX_DESTROY.value, ctx_id=1)
        prepare(pair, [CONTEXT, destroy, CONTEXT, destroy, CtxCreate(ctx_id=2)])


@three
def test_number_of_resources(number: int, answer: CtrlType) -> None:
    with bare(device_limits=DeviceLimits(resources=3)) as pair:
        prepare(pair, [CONTEXT, objects(4), *[blob(10 + n, n) for n in range(1, number)]])
        assert send(pair, blob(10 + number, number)).type == answer


@pytest.mark.parametrize(("size", "answer"), [(2 * PAGE - 1, OK), (2 * PAGE, OK), (2 * PAGE + 1, OUT_OF_MEMORY)])
def test_bytes_of_all_blobs(size: int, answer: CtrlType) -> None:
    with bare(device_limits=DeviceLimits(blob_bytes=3 * PAGE)) as pair:
        prepare(pair, [CONTEXT, objects(2, 3 * PAGE), blob(5, 1, PAGE)])
        assert send(pair, blob(6, 2, size)).type == answer
        assert pair.parts.device.blob_bytes == PAGE + (size if answer == OK else 0)


def test_unreferenced_blob_gives_room() -> None:
    with bare(device_limits=DeviceLimits(resources=1, blob_bytes=PAGE)) as pair:
        prepare(pair, [CONTEXT, objects(2), blob(5, 1), unref(5), blob(5, 2), map_blob(), unref(5)])
        assert (pair.parts.device.blob_bytes, pair.parts.device.resources) == (0, {})


@pytest.mark.parametrize(("size", "passed_on"), [(47, True), (48, True), (49, False)])
def test_bytes_of_one_submit(size: int, passed_on: bool) -> None:
    stream = (alloc() + alloc(blob_id=2) + b"\0")[:size]
    with bare(device_limits=DeviceLimits(submit_bytes=48)) as pair:
        prepare(pair, [CONTEXT])
        questions = len(list(pair.log.messages(RENDERER)))
        assert (send(pair, submit(stream)).type == OUT_OF_MEMORY) == (not passed_on)
        assert len(list(pair.log.messages(RENDERER))) == questions + 2 * passed_on


@pytest.mark.parametrize(
    ("offset", "answer"),
    [(14, CtrlType.RESP_OK_MAP_INFO), (15, CtrlType.RESP_OK_MAP_INFO), (16, CtrlType.RESP_ERR_INVALID_PARAMETER)],
)
def test_end_of_the_host_visible_region(offset: int, answer: CtrlType) -> None:
    with bare() as pair:
        prepare(pair, [CONTEXT, *with_blob()])
        assert send(pair, map_blob(offset=offset * PAGE)).type == answer


@pytest.mark.parametrize("size", [1, PAGE - 1, PAGE, PAGE + 1])
def test_mapping_takes_whole_pages(size: int) -> None:
    with bare() as pair:
        prepare(pair, [CONTEXT, *with_blob(size=size), map_blob()])
        (slot,) = pair.parts.region
        assert slot.length == (2 if size > PAGE else 1) * PAGE


@pytest.mark.parametrize("place", [1, 3])
def test_mappings_may_touch_each_other(place: int) -> None:
    with bare() as pair:
        prepare(pair, [CONTEXT, *with_blob(), map_blob(offset=2 * PAGE), *with_blob(6, 2)])
        assert send(pair, map_blob(6, place * PAGE)).type == CtrlType.RESP_OK_MAP_INFO


def test_unmapped_place_and_blob_can_be_mapped_again() -> None:
    with bare() as pair:
        prepare(pair, [CONTEXT, *with_blob(), map_blob(), unmap(), map_blob(offset=PAGE), unmap(), map_blob()])
        prepare(pair, [*with_blob(6, 2), map_blob(6, PAGE)])
        assert [slot.offset for slot in pair.parts.region] == [0, PAGE]


def test_unref_of_a_mapped_blob_unmaps_it_first() -> None:
    with bare() as pair:
        prepare(pair, [CONTEXT, *with_blob(), map_blob(), unref()])
        assert pair.parts.leaks() == []
