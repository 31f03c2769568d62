"""mmap(2) of a blob: when a deferred blob is mapped, which part of the object, and whose offsets may be used."""

from errno import EACCES, EINVAL

import pytest
from support import PAGE, Call, GuestAlone, create, create_and_mmap, names

from vgpu_emu.guest.file import HINT_DEFER_MAPPING, DrmFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.vram import MapState, VramObject
from vgpu_emu.ids import GemHandle
from vgpu_emu.vocabulary import Pgprot
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.control import CtrlType, HeaderOnly

MAP = CtrlType.RESOURCE_MAP_BLOB
ERROR = HeaderOnly(type=CtrlType.RESP_ERR_UNSPEC.value)


def blob(guest: GuestAlone, *, blob_id: int = 1, size: int = PAGE, blob_hints: int = 0) -> tuple[GemHandle, VramObject]:
    """A new blob whose commands are all sent and not answered."""
    handle = Call(create(guest.file, blob_id=blob_id, size=size, blob_hints=blob_hints)).value
    guest.kick()
    vram = guest.file.object(handle)
    assert isinstance(vram, VramObject)
    return handle, vram


def mmap(guest: GuestAlone, handle: GemHandle, length: int = PAGE) -> Call[Vma]:
    return Call(guest.file.mmap(guest.file.map(handle), length))


def test_deferred_blob_is_mapped_by_the_first_mmap() -> None:
    guest = GuestAlone()
    handle, vram = blob(guest, blob_hints=HINT_DEFER_MAPPING)
    assert (vram.node, "RESOURCE_MAP_BLOB" in names(guest.kick())) == (None, False)
    call = mmap(guest, handle)
    assert (call.sleeps, names(guest.kick())) == (True, ["RESOURCE_MAP_BLOB"])
    second = mmap(guest, handle)
    assert guest.kick() == []
    guest.answer(RespMapInfo(map_info=1), MAP)
    for waiting in (call, second):
        waiting.step()
        assert waiting.value.pgprot is Pgprot.CACHED


def test_deferred_blob_that_nobody_mapped_is_not_unmapped() -> None:
    guest = GuestAlone()
    handle, _ = blob(guest, blob_hints=HINT_DEFER_MAPPING)
    guest.quiesce()
    Call(guest.file.gem_close(handle))
    assert names(guest.quiesce()) == ["CTX_DETACH_RESOURCE", "RESOURCE_UNREF"]


def test_other_hints_are_ignored() -> None:
    guest = GuestAlone()
    _, vram = blob(guest, blob_hints=0xFFFFFFFE)
    assert vram.node == 0


@pytest.mark.parametrize("host_visible", [0, PAGE])
def test_deferred_mmap_without_room_sleeps_and_nothing_is_sent(host_visible: int) -> None:
    guest = GuestAlone(host_visible=host_visible)
    if host_visible:
        blob(guest, blob_id=9)
    handle, vram = blob(guest, blob_hints=HINT_DEFER_MAPPING)
    guest.answer_all()
    call = mmap(guest, handle)
    assert (call.sleeps, guest.kick(), vram.map_state) == (True, [], MapState.INITIALIZING)
    assert len(list(guest.log.notes("deferred_map_failed"))) == 1


def test_hanging_deferred_mmap_goes_on_when_a_later_one_finds_room() -> None:
    guest = GuestAlone(host_visible=PAGE)
    in_the_way, _ = blob(guest, blob_id=9)
    handle, _ = blob(guest, blob_hints=HINT_DEFER_MAPPING)
    guest.answer_all()
    hanging = mmap(guest, handle)
    guest.run(guest.file.gem_close(in_the_way))
    guest.quiesce()
    hanging.step()
    assert hanging.sleeps
    later = mmap(guest, handle)
    guest.answer(RespMapInfo(map_info=1), MAP)
    for call in (later, hanging):
        call.step()
        assert not call.sleeps


@pytest.mark.parametrize(
    ("length", "pgoff", "fits"),
    [
        (1, 0, True),
        (PAGE, 0, True),
        (4 * PAGE, 0, True),
        (4 * PAGE + 1, 0, False),
        (PAGE, 3 * PAGE, True),
        (2 * PAGE, 3 * PAGE, False),
        (PAGE, 4 * PAGE, False),
        (0, 0, False),
        (PAGE, 1, False),
        (PAGE, -PAGE, False),
    ],
)
def test_mapping_is_a_part_of_the_object(length: int, pgoff: int, fits: bool) -> None:
    guest = GuestAlone()
    guest.run(create(guest.file, blob_id=9))
    handle = guest.run(create(guest.file, size=4 * PAGE))
    call = guest.file.mmap(guest.file.map(handle), length, pgoff)
    if fits:
        vma = Call(call).value
        assert (vma.start, vma.length) == (PAGE + pgoff, length)
        return
    with pytest.raises(OSError, match="of a blob of 0x4000 bytes") as refused:
        Call(call)
    assert refused.value.errno == EINVAL


def test_mmap_beyond_the_object_fails_at_once_and_maps_nothing() -> None:
    guest = GuestAlone()
    handle, _ = blob(guest, blob_hints=HINT_DEFER_MAPPING)
    with pytest.raises(OSError, match="of a blob of 0x1000 bytes"):
        mmap(guest, handle, 2 * PAGE)
    assert guest.kick() == []


def test_offset_that_is_nobodys_is_einval() -> None:
    guest = GuestAlone()
    handle = guest.run(create(guest.file, size=2 * PAGE))
    offset = guest.file.map(handle)
    for wrong in (0, offset + PAGE, offset + 2 * PAGE, offset - PAGE):
        with pytest.raises(OSError, match="no object at") as refused:
            Call(guest.file.mmap(wrong, PAGE))
        assert refused.value.errno == EINVAL
    guest.run(guest.file.gem_close(handle))
    with pytest.raises(OSError, match="no object at"):
        Call(guest.file.mmap(offset, PAGE))


def test_offset_of_another_files_object_is_eacces() -> None:
    guest = GuestAlone()
    handle, vma = guest.run(create_and_mmap(guest.file))
    other = DrmFile(guest.driver)
    offset = guest.file.map(handle)
    with pytest.raises(OSError, match="no handle") as refused:
        Call(other.mmap(offset, PAGE))
    assert refused.value.errno == EACCES
    guest.run(guest.file.gem_close(handle))
    # the mapping keeps the object, but the file may not map it again
    with pytest.raises(OSError, match="no handle") as refused:
        Call(guest.file.mmap(offset, PAGE))
    assert refused.value.errno == EACCES
    assert vma.live


def test_mmap_offsets_of_objects_do_not_overlap() -> None:
    guest = GuestAlone()
    sizes = [PAGE, 3 * PAGE, 1, 2 * PAGE]
    offsets = [guest.file.map(blob(guest, blob_id=n, size=size)[0]) for n, size in enumerate(sizes)]
    ends = [offset + max(size, PAGE) for offset, size in zip(offsets, sizes, strict=True)]
    assert all(end <= start for end, start in zip(ends, offsets[1:], strict=False))
