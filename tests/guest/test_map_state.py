"""vram->map_state: who waits for the answer to RESOURCE_MAP_BLOB, what the answer may be, and what it does for ever."""

from errno import EINVAL

import pytest
from support import OK, PAGE, Call, GuestAlone, create, names

from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.vram import MapState, VramObject
from vgpu_emu.ids import GemHandle
from vgpu_emu.vocabulary import Pgprot
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly

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


def errno_of_mmap(guest: GuestAlone, handle: GemHandle) -> int | None:
    with pytest.raises(OSError, match=r".") as refused:
        mmap(guest, handle)
    return refused.value.errno


def test_mmap_sleeps_until_map_blob_is_answered_and_not_longer() -> None:
    guest = GuestAlone()
    handle, vram = blob(guest)
    call = mmap(guest, handle)
    assert (call.sleeps, vram.map_state) == (True, MapState.INITIALIZING)
    for command in (CtrlType.CTX_CREATE, CtrlType.SUBMIT_3D, CtrlType.RESOURCE_CREATE_BLOB):
        guest.answer(command=command)
        call.step()
        assert call.sleeps
    guest.answer(RespMapInfo(map_info=3), MAP)
    call.step()
    assert (call.sleeps, vram.map_state, call.value.pgprot) == (False, MapState.OK, Pgprot.WRITECOMBINE)


def test_answered_map_makes_every_waiting_mmap_go_on() -> None:
    guest = GuestAlone()
    handle, _ = blob(guest)
    calls = [mmap(guest, handle) for _ in range(3)]
    guest.answer(RespMapInfo(map_info=2), MAP)
    for call in calls:
        call.step()
    assert [call.value.pgprot for call in calls] == [Pgprot.NONCACHED] * 3
    assert guest.kick() == []


def test_mmap_after_the_answer_does_not_sleep() -> None:
    guest = GuestAlone()
    handle, _ = blob(guest)
    guest.answer_all(map_info=1)
    assert not mmap(guest, handle).sleeps


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ERROR, id="an error"),
        pytest.param(HeaderOnly(type=CtrlType.RESP_ERR_INVALID_PARAMETER.value), id="another error"),
        pytest.param(OK, id="OK without map_info"),
        pytest.param(HeaderOnly(type=CtrlType.RESP_OK_DISPLAY_INFO.value), id="another answer"),
        pytest.param(HeaderOnly(type=MAP.value), id="the request itself"),
        pytest.param(b"", id="nothing"),
        pytest.param(RespMapInfo(map_info=1).build()[:1], id="one byte"),
    ],
)
def test_every_other_answer_is_an_error_for_ever(answer: CtrlHdr | bytes) -> None:
    guest = GuestAlone()
    handle, vram = blob(guest)
    sleeping = mmap(guest, handle)
    guest.answer(answer, MAP)
    with pytest.raises(OSError, match="refused to map") as refused:
        sleeping.step()
    assert (refused.value.errno, vram.map_state) == (EINVAL, MapState.ERR)
    for _ in range(2):
        assert errno_of_mmap(guest, handle) == EINVAL
    # no second MAP_BLOB is ever sent, and the place stays taken
    assert guest.kick() == []
    assert guest.driver.mm.nodes == {0: PAGE}


def test_unmap_is_sent_also_for_what_was_never_mapped() -> None:
    guest = GuestAlone()
    handle, _ = blob(guest)
    guest.answer(ERROR, MAP)
    Call(guest.file.gem_close(handle))
    assert names(guest.quiesce())[-3:] == ["CTX_DETACH_RESOURCE", "RESOURCE_UNMAP_BLOB", "RESOURCE_UNREF"]


@pytest.mark.parametrize("written", [2, 23, 24, 28, 31])
def test_short_answer_is_read_with_the_zeros_behind_it(written: int) -> None:
    guest = GuestAlone()
    handle, vram = blob(guest)
    guest.answer(RespMapInfo(map_info=0x03030303).build()[:written], MAP)
    assert mmap(guest, handle).value.pgprot is Pgprot.CACHED
    assert vram.map_info == (0x03030303 if written >= 28 else 0)


def test_bytes_behind_the_answer_are_not_read() -> None:
    guest = GuestAlone()
    handle, _ = blob(guest)
    guest.answer(RespMapInfo(map_info=3).build() + b"\xff" * 8, MAP)
    assert mmap(guest, handle).value.pgprot is Pgprot.WRITECOMBINE


@pytest.mark.parametrize(
    ("map_info", "pgprot"),
    [
        (0, Pgprot.CACHED),
        (1, Pgprot.CACHED),
        (2, Pgprot.NONCACHED),
        (3, Pgprot.WRITECOMBINE),
        (4, Pgprot.CACHED),
        (15, Pgprot.CACHED),
        (0x12, Pgprot.CACHED),
        (0x13, Pgprot.CACHED),
        (0x30 | 3, Pgprot.CACHED),
        (0x80000003, Pgprot.CACHED),
        (0x00000300, Pgprot.CACHED),
        (0x03000000, Pgprot.CACHED),
        (0xFFFFFFFF, Pgprot.CACHED),
    ],
)
def test_map_info_is_compared_and_not_masked(map_info: int, pgprot: Pgprot) -> None:
    guest = GuestAlone()
    handle, vram = blob(guest)
    guest.answer(RespMapInfo(map_info=map_info, padding=3), MAP)
    assert (mmap(guest, handle).value.pgprot, vram.map_info) == (pgprot, map_info)
