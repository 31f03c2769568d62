"""CONTEXT_INIT and GET_CAPS: what they refuse, what they leave behind, how long they wait (virtgpu_ioctl.c)."""

from errno import EBUSY, EEXIST, EINVAL, ENOMEM

import pytest
from guest_kit import EVERYTHING, PLAIN, UNSPEC, Guest, errno_of, refusal
from support import Call

from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.ioctls_context import KMALLOC_MAX
from vgpu_emu.guest.probe import probe
from vgpu_wire.device import Feature
from vgpu_wire.render import CtxCreate, GetCapset
from vgpu_wire.virtgpu_drm import ContextParam

# -- CONTEXT_INIT


def _offering(*capset_ids: int) -> Guest:
    guest = Guest()
    guest.driver.capsets.mask = sum(1 << capset_id for capset_id in capset_ids)
    return guest


CAPSET, RINGS, MASK, NAME = (member.value for member in ContextParam)


@pytest.mark.parametrize(
    ("params", "errno"),
    [
        ([], None),
        ([(CAPSET, 4)], None),
        ([(CAPSET, 5)], EINVAL),
        ([(CAPSET, 64)], EINVAL),
        ([(CAPSET, 0)], EINVAL),
        ([(CAPSET, 4), (CAPSET, 4)], EINVAL),
        ([(RINGS, 0)], None),
        ([(RINGS, 64)], None),
        ([(RINGS, 65)], EINVAL),
        ([(RINGS, 1), (RINGS, 1)], EINVAL),
        ([(RINGS, 2), (MASK, 3)], None),
        ([(MASK, 3), (RINGS, 2)], None),
        ([(RINGS, 2), (MASK, 4)], EINVAL),
        ([(MASK, 1)], EINVAL),
        ([(RINGS, 64), (MASK, (1 << 64) - 1)], None),
        ([(RINGS, 2), (MASK, 1), (MASK, 1)], EINVAL),
        ([(NAME, b"x\0y")], None),
        ([(NAME, b"x"), (NAME, b"x")], EINVAL),
        ([(0, 0)], EINVAL),
        ([(5, 0)], EINVAL),
        ([(CAPSET, 4), (RINGS, 2), (MASK, 1), (NAME, b"x")], None),
        ([(CAPSET, 4), (RINGS, 2), (MASK, 1), (NAME, b"x"), (0, 0)], EINVAL),
    ],
)
def test_context_init_refuses(params: list[tuple[int, int | bytes]], errno: int | None) -> None:
    guest = _offering(4)
    assert errno_of(guest.file.context_init(params)) == errno
    assert guest.names() == ([] if errno else ["CTX_CREATE"])


@pytest.mark.parametrize("missing", [Feature.VIRGL, Feature.CONTEXT_INIT])
def test_context_init_needs_both_features(missing: Feature) -> None:
    assert errno_of(Guest(EVERYTHING - {missing}).file.context_init([])) == EINVAL


def test_file_has_one_context() -> None:
    guest = _offering(4)
    guest.run(guest.file.context_init([(CAPSET, 4)]))
    assert errno_of(guest.file.context_init([(CAPSET, 4)])) == EEXIST


def test_context_init_that_is_refused_half_way_keeps_what_it_had_set() -> None:
    guest = _offering(4)
    assert errno_of(guest.file.context_init([(CAPSET, 4), (RINGS, 65)])) == EINVAL
    assert errno_of(guest.file.context_init([(CAPSET, 4)])) == EINVAL
    Call(guest.file.context_init([(RINGS, 1)]))
    (created,) = guest.sent()
    assert isinstance(created, CtxCreate)
    assert created.context_init == 4


@pytest.mark.parametrize(
    ("name", "nlen", "stored"),
    [(b"n" * 63, 63, b"n" * 63), (b"n" * 64, 64, b"n" * 63), (b"n" * 65, 64, b"n" * 63), (b"", 0, b"")],
)
def test_context_name_is_63_bytes_of_what_nlen_says(name: bytes, nlen: int, stored: bytes) -> None:
    guest = _offering(4)
    Call(guest.file.context_init([(NAME, name)]))
    assert guest.sent() == [CtxCreate(ctx_id=1, nlen=nlen, debug_name=stored.ljust(64, b"\0"))]


def test_context_ids_are_the_lowest_free_ones_and_taken_at_open() -> None:
    guest = Guest()
    second = DrmFile(guest.driver)
    assert (guest.file.ctx_id, second.ctx_id) == (1, 2)
    Call(guest.file.close())
    assert guest.names() == []
    assert DrmFile(guest.driver).ctx_id == 1
    assert DrmFile(Guest(PLAIN).driver).ctx_id is None


# -- GET_CAPS


def _probed() -> Guest:
    guest = Guest(capsets=1)
    guest.run(probe(guest.driver))
    return guest


@pytest.mark.parametrize(
    ("arguments", "errno"), [((4, 1, 8), None), ((4, 2, 8), EINVAL), ((5, 0, 8), EINVAL), ((4, 1, 0), EINVAL)]
)
def test_get_caps_refuses(arguments: tuple[int, int, int], errno: int | None) -> None:
    assert errno_of(_probed().file.get_caps(*arguments)) == errno


def test_capset_is_asked_for_once_and_cut_to_the_room_that_there_is() -> None:
    guest = _probed()
    call = Call(guest.file.get_caps(4, 1, 100))
    assert guest.sent() == [GetCapset(capset_id=4, capset_version=1)]
    assert guest.waiting[0].capacity == 24 + 8
    guest.answer()
    call.step()
    assert call.value == b"capset!!"
    assert Call(guest.file.get_caps(4, 1, 3)).value == b"cap"
    assert guest.sent() == []


@pytest.mark.parametrize(
    ("size", "errno"),
    [(KMALLOC_MAX - 25, None), (KMALLOC_MAX - 24, None), (KMALLOC_MAX - 23, ENOMEM), (0xFFFFFFFF, ENOMEM)],
)
def test_answer_with_a_capset_has_to_fit_into_one_piece_of_memory(size: int, errno: int | None) -> None:
    guest = _probed()
    guest.driver.capsets.known[0].max_size = size
    assert errno_of(guest.file.get_caps(4, 1, 8)) == errno
    assert len(guest.sent()) == (errno is None)


def test_get_caps_gives_up_after_5_seconds_and_takes_the_late_answer_next_time() -> None:
    guest = _probed()
    call = Call(guest.file.get_caps(4, 1, 8))
    assert call.wait is not None
    assert call.wait.timeout == 5.0
    assert refusal(call.time_out) == EBUSY
    again = Call(guest.file.get_caps(4, 1, 8))
    assert len(guest.sent()) == 1
    guest.answer()
    again.step()
    assert again.value == b"capset!!"


def test_error_in_place_of_a_capset_is_a_capset_of_zeros() -> None:
    guest = _probed()
    call = Call(guest.file.get_caps(4, 1, 8))
    guest.answer(UNSPEC)
    call.step()
    assert call.value == bytes(8)
    assert guest.errors() == ["response 0x1200 (command 0x109)"]
