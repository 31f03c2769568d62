"""Records, the lazy array of structures; what a record keeps of the bytes it came from; limits of counted arrays."""

import pytest

from vgpu_wire.blob import ResourceCreateBlob
from vgpu_wire.display import DisplayOne, Rect, RespDisplayInfo
from vgpu_wire.errors import WireError
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CmdSubmit, RespCapset
from vgpu_wire.resource import MAX_ENTRIES, MemEntry, ResourceAttachBacking
from vgpu_wire.terms import Records

ENTRIES = [MemEntry(addr=page << 12, length=4096) for page in range(5)]
BACKING = ResourceAttachBacking(resource_id=1, nr_entries=5, entries=ENTRIES)


def _parsed() -> Records[MemEntry]:
    entries = ResourceAttachBacking.parse(BACKING.build()).entries
    assert isinstance(entries, Records)
    return entries


def test_parsed_array_stays_bytes() -> None:
    entries = _parsed()
    assert isinstance(entries.view, memoryview)
    assert entries.raw == BACKING.build()[32:]


def test_array_is_indexed_like_a_list() -> None:
    entries = _parsed()
    assert len(entries) == 5
    assert entries[0] == ENTRIES[0]
    assert entries[4] == entries[-1] == ENTRIES[-1]
    assert entries[-5] == ENTRIES[0]
    assert list(entries) == ENTRIES


@pytest.mark.parametrize("index", [5, -6, 100])
def test_index_outside_the_array_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        _parsed()[index]


@pytest.mark.parametrize("part", [slice(1, 3), slice(None), slice(None, None, -1), slice(3, 100), slice(4, 1)])
def test_slice_holds_what_a_slice_of_a_list_holds(part: slice) -> None:
    assert list(_parsed()[part]) == ENTRIES[part]


def test_array_equals_the_list_and_the_tuple_of_its_elements() -> None:
    entries = _parsed()
    assert entries == ENTRIES
    assert entries == tuple(ENTRIES)
    assert entries == Records.of(MemEntry, ENTRIES)
    assert entries != ENTRIES[:4]
    assert entries != [*ENTRIES[:4], MemEntry()]
    assert Records(MemEntry, b"") == []
    assert Records(MemEntry, b"") != b""


def test_array_of_other_structures_is_another_array() -> None:
    assert Records(MemEntry, bytes(16)) != Records(Rect, bytes(16))


def test_equal_arrays_have_equal_hashes() -> None:
    entries = _parsed()
    assert hash(entries) == hash(Records.of(MemEntry, ENTRIES)) == hash(tuple(ENTRIES))


def test_records_of_a_list_and_of_bytes_are_equal() -> None:
    assert ResourceAttachBacking.parse(BACKING.build()) == BACKING


def test_long_array_is_shown_short() -> None:
    assert repr(_parsed()) == "<5 x MemEntry>"
    assert "addr=4096" in repr(Records.of(MemEntry, ENTRIES[:2]))


def test_array_of_arrays_of_bytes_is_what_it_was_made_of() -> None:
    records = Records.of(MemEntry, ENTRIES)
    assert Records.of(MemEntry, records) is records


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_parsed(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    for message in (BACKING, CmdSubmit(size=3, commands=b"abc"), RespCapset(capset_data=b"abc"), RespDisplayInfo()):
        assert parse_message(kind(message.build())) == message


@pytest.mark.parametrize("message", [BACKING, CmdSubmit(size=3, commands=b"abc"), RespDisplayInfo()])
def test_record_does_not_change_with_the_buffer_it_came_from(
    message: ResourceAttachBacking | CmdSubmit | RespDisplayInfo,
) -> None:
    for view in (bytearray, lambda data: memoryview(bytearray(data))):
        buffer = view(message.build())
        record = parse_message(buffer)
        buffer[:] = b"\xff" * len(buffer)
        assert record == message
        assert record.build() == message.build()


@pytest.mark.parametrize(("said", "held"), [(0, 1), (1, 0), (4, 5), (6, 5), (2**32 - 1, 5)])
def test_count_that_differs_from_the_array_is_refused(said: int, held: int) -> None:
    entries = Records.of(MemEntry, ENTRIES[:held])
    for given in (list(entries), entries):
        with pytest.raises(WireError) as refused:
            ResourceCreateBlob(nr_entries=said, entries=given).build()
        error = refused.value
        assert (error.kind, error.offset) == ("count", 56)
        assert error.path == "virtio_gpu_resource_create_blob.entries"
        assert error.detail == f"nr_entries says {said}, {held} are there"


@pytest.mark.parametrize(("said", "held"), [(0, 1), (4, 3), (4, 5)])
def test_size_that_differs_from_the_bytes_is_refused(said: int, held: int) -> None:
    with pytest.raises(WireError) as refused:
        CmdSubmit(size=said, commands=bytes(held)).build()
    assert (refused.value.kind, refused.value.path, refused.value.offset) == (
        "count",
        "virtio_gpu_cmd_submit.commands",
        32,
    )


def test_element_that_does_not_fit_is_named_by_its_place_in_the_message() -> None:
    with pytest.raises(WireError) as refused:
        ResourceCreateBlob(nr_entries=3, entries=[*ENTRIES[:2], MemEntry(length=1 << 32)]).build()
    error = refused.value
    assert (error.kind, error.offset) == ("value", 56 + 2 * 16 + 8)
    assert error.path == "virtio_gpu_resource_create_blob.entries[2].length"


def test_scanout_that_does_not_fit_is_named_by_its_place_in_the_message() -> None:
    with pytest.raises(WireError) as refused:
        RespDisplayInfo(pmodes=[*[DisplayOne()] * 15, DisplayOne(r=Rect(y=-1))]).build()
    error = refused.value
    assert (error.kind, error.offset) == ("value", 24 + 15 * 24 + 4)
    assert error.path == "virtio_gpu_resp_display_info.pmodes[15].r.y"


@pytest.mark.parametrize("commands", ["abc", None, 3, [1, 2, 3]])
def test_what_is_no_byte_array_is_refused(commands: object) -> None:
    for message in (CmdSubmit(size=3, commands=commands), RespCapset(capset_data=commands)):  # type: ignore[arg-type]
        with pytest.raises(WireError) as refused:
            message.build()
        assert refused.value.kind == "value"


@pytest.mark.parametrize("count", [MAX_ENTRIES - 1, MAX_ENTRIES, MAX_ENTRIES + 1])
def test_wire_layer_has_no_limit_of_entries_of_its_own(count: int) -> None:
    data = ResourceCreateBlob(nr_entries=count, entries=Records(MemEntry, bytes(16 * count))).build()
    record = ResourceCreateBlob.parse(data)
    assert len(record.entries) == count
    assert record.build() == data


def test_count_of_four_billion_entries_is_refused_before_anything_is_made() -> None:
    data = bytearray(ResourceCreateBlob().build())
    data[36:40] = b"\xff\xff\xff\xff"
    with pytest.raises(WireError, match="truncated"):
        ResourceCreateBlob.parse(data)
