"""The guest's controlq and the numbers it hands out: full queues, response buffers, ids of resources and contexts."""

import pytest
from support import Call, GuestAlone, create, names

from vgpu_emu.guest.driver import QUEUE_SIZE
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.ids import GemHandle
from vgpu_emu.link.chain import Used
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ
from vgpu_wire.render import CtxCreate

CREATE = ["CTX_CREATE", "SUBMIT_3D", "RESOURCE_CREATE_BLOB", "RESOURCE_MAP_BLOB", "CTX_ATTACH_RESOURCE"]
FREE = ["RESOURCE_UNMAP_BLOB", "RESOURCE_UNREF"]
REFUSED = HeaderOnly(type=CtrlType.RESP_ERR_UNSPEC.value)


def test_resource_ids_count_from_two_and_are_never_used_again() -> None:
    guest = GuestAlone()
    used = []
    for number in range(3):
        handle = guest.run(create(guest.file, blob_id=number))
        used.append(guest.file.object(handle).resource_id)
        guest.run(guest.file.gem_close(handle))
    assert used == [2, 3, 4]


def test_context_id_is_the_lowest_free_one_when_the_file_is_opened() -> None:
    guest = GuestAlone()
    first, second = guest.file, DrmFile(guest.driver)
    guest.run(create(second))
    guest.run(create(first, blob_id=2))
    assert (first.ctx_id, second.ctx_id) == (1, 2)
    guest.run(first.close())
    third = DrmFile(guest.driver)
    assert third.ctx_id == 1


def test_handles_are_the_files_own() -> None:
    guest = GuestAlone()
    other = DrmFile(guest.driver)
    assert guest.run(create(guest.file)) == guest.run(create(other)) == GemHandle(1)
    assert guest.file.object(GemHandle(1)) is not other.object(GemHandle(1))


def test_context_is_named_after_the_process_in_fifteen_bytes() -> None:
    guest = GuestAlone()
    Call(create(DrmFile(guest.driver, comm="a-long-program-name")))
    (context,) = [request for request in guest.kick() if isinstance(request, CtxCreate)]
    assert (context.nlen, context.debug_name) == (15, b"a-long-program-".ljust(64, b"\0"))


@pytest.mark.parametrize("already", [QUEUE_SIZE - 1, QUEUE_SIZE, QUEUE_SIZE + 1])
def test_full_queue_makes_the_guest_wait_for_room(already: int) -> None:
    guest = GuestAlone()
    for _ in range(min(already, QUEUE_SIZE)):
        Call(guest.driver.queue(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)))
    waiting = [Call(guest.driver.queue(HeaderOnly(type=0x3F0 + n))) for n in range(already - QUEUE_SIZE)]
    last = Call(guest.driver.queue(HeaderOnly(type=0x3FF)))
    assert last.sleeps == (already >= QUEUE_SIZE)
    assert guest.driver.in_flight == QUEUE_SIZE
    for call in [*waiting, last]:
        if call.sleeps:
            guest.answer()
            call.step()
        assert not call.sleeps
    assert guest.driver.in_flight == QUEUE_SIZE


def test_create_that_finds_the_queue_full_goes_on_where_it_was() -> None:
    guest = GuestAlone()
    for _ in range(QUEUE_SIZE - 2):
        Call(guest.driver.queue(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)))
    guest.kick()
    call = Call(create(guest.file))
    assert (call.sleeps, names(guest.kick())) == (True, CREATE[:2])
    for command in CREATE[2:]:
        guest.answer(command=CtrlType.GET_DISPLAY_INFO)
        call.step()
        assert names(guest.kick()) == [command]
    assert call.value == GemHandle(1)


def test_used_chain_that_nobody_waits_for_is_left_alone() -> None:
    guest = GuestAlone()
    Call(create(guest.file))
    guest.driver.complete(Used(99, CONTROLQ, REFUSED.build()))
    assert [note.values for note in guest.log.notes("spurious")] == [{"head": 99}]
    assert guest.driver.in_flight == 5


def test_chain_that_is_used_twice_counts_once() -> None:
    guest = GuestAlone()
    call = Call(guest.driver.command(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)))
    (chain,) = guest.driver.take_available()
    guest.driver.complete(Used(chain.head, CONTROLQ, REFUSED.build()))
    guest.driver.complete(Used(chain.head, CONTROLQ, b""))
    call.step()
    assert call.value == REFUSED.build()
    assert len(list(guest.log.notes("spurious"))) == 1


@pytest.mark.parametrize("capacity", [0, 1, 23, 24, 25])
@pytest.mark.parametrize("written", [b"", b"\1", REFUSED.build(), REFUSED.build() + b"\xff" * 9])
def test_response_buffer_is_what_was_written_and_zeros_behind_it(capacity: int, written: bytes) -> None:
    guest = GuestAlone()
    call = Call(guest.driver.command(HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value), capacity))
    (chain,) = guest.driver.take_available()
    assert chain.capacity == capacity
    guest.driver.complete(Used(chain.head, CONTROLQ, written))
    call.step()
    assert call.value == (written + bytes(capacity))[:capacity]
