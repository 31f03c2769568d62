"""The two queues: room counted in descriptors, answers out of order, refusing, short, late and spurious ones."""

import pytest
from guest_kit import BLOBS_2D, EVERYTHING, OK, PAGE, PLAIN, Guest
from support import Call

from vgpu_emu.guest.driver import CURSORQ_SIZE, QUEUE_SIZE, buffers
from vgpu_emu.guest.fences import Fence
from vgpu_emu.link.chain import Used
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, CURSORQ
from vgpu_wire.display import UpdateCursor
from vgpu_wire.messages import parse_message, type_name
from vgpu_wire.render import CmdSubmit
from vgpu_wire.resource import MemEntry, ResourceAttachBacking, ResourceUnref
from vgpu_wire.terms import Records

UNREF = ResourceUnref(resource_id=9)
SUBMIT = CmdSubmit(ctx_id=1, size=4, commands=b"\0\0\0\0")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (UNREF, (32,)),
        (SUBMIT, (32, 4)),
        (CmdSubmit(ctx_id=1), (32,)),
        (ResourceAttachBacking(nr_entries=2, entries=Records.of(MemEntry, [MemEntry()] * 2)), (32, 32)),
        (HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value), (24,)),
    ],
)
def test_request_is_one_buffer_and_what_follows_it_another(request_: CtrlHdr, expected: tuple[int, ...]) -> None:
    assert buffers(request_) == expected


@pytest.mark.parametrize(("request_", "descriptors"), [(UNREF, 2), (SUBMIT, 3)], ids=["command", "command and data"])
def test_without_indirect_descriptors_every_buffer_takes_one(request_: CtrlHdr, descriptors: int) -> None:
    guest = Guest(indirect=False)
    Call(guest.driver.queue(request_))
    assert guest.driver.free_descriptors[CONTROLQ] == QUEUE_SIZE - descriptors
    guest.answer()
    assert guest.driver.free_descriptors[CONTROLQ] == QUEUE_SIZE


@pytest.mark.parametrize(("indirect", "fit"), [(True, QUEUE_SIZE), (False, QUEUE_SIZE // 2)])
def test_full_controlq_lets_the_next_request_wait_until_one_is_answered(indirect: bool, fit: int) -> None:
    guest = Guest(indirect=indirect)
    assert not any(Call(guest.driver.queue(UNREF)).sleeps for _ in range(fit))
    late = Call(guest.driver.queue(UNREF))
    assert late.sleeps
    assert len(guest.sent()) == fit
    guest.answer()
    late.step()
    assert not late.sleeps
    assert len(guest.sent()) == 1


def test_request_of_three_buffers_waits_for_three_descriptors() -> None:
    guest = Guest(indirect=False)
    for _ in range(QUEUE_SIZE // 2 - 1):
        Call(guest.driver.queue(UNREF))
    assert guest.driver.free_descriptors[CONTROLQ] == 2
    late = Call(guest.driver.queue(SUBMIT))
    assert late.sleeps
    assert not Call(guest.driver.queue(UNREF)).sleeps
    guest.answer()
    late.step()
    assert late.sleeps
    guest.answer()
    late.step()
    assert not late.sleeps


def test_fence_gets_its_id_when_the_request_has_its_place() -> None:
    guest = Guest()
    for _ in range(QUEUE_SIZE):
        Call(guest.driver.queue(UNREF))
    first, second = Fence(), Fence()
    waiting = Call(guest.driver.queue(UNREF, fence=first))
    guest.answer()
    Call(guest.driver.queue(UNREF, fence=second))
    guest.answer()
    waiting.step()
    assert (second.fence_id, first.fence_id) == (1, 2)
    guest.sent()
    assert [parse_message(chain.readable).fence_id for chain in guest.waiting[-2:]] == [1, 2]


def test_worker_waits_for_room_too_and_goes_on_by_itself() -> None:
    guest = Guest()
    handle = guest.run(guest.file.resource_create_blob(size=PAGE, blob_id=1))
    Call(guest.file.gem_close(handle))
    guest.sent()
    for _ in range(QUEUE_SIZE - 1):
        Call(guest.driver.queue(UNREF))
    guest.answer(command=CtrlType.CTX_DETACH_RESOURCE)
    # the place of the detach takes the unmap; the unref waits
    assert len(guest.driver.workers) == 1
    guest.answer(command=CtrlType.RESOURCE_UNREF)
    assert len(guest.driver.workers) == 0
    guest.sent()
    last = [type_name(parse_message(chain.readable).type) for chain in guest.waiting[-2:]]
    assert last == ["RESOURCE_UNMAP_BLOB", "RESOURCE_UNREF"]


def test_cursorq_has_16_descriptors_and_no_room_for_an_answer() -> None:
    guest = Guest(PLAIN)
    move = UpdateCursor(type=CtrlType.MOVE_CURSOR.value)
    assert not any(Call(guest.driver.queue_cursor(move)).sleeps for _ in range(CURSORQ_SIZE))
    late = Call(guest.driver.queue_cursor(move))
    assert late.sleeps
    guest.sent()
    assert {(chain.queue, chain.capacity) for chain in guest.waiting} == {(CURSORQ, 0)}
    assert guest.driver.free_descriptors[CONTROLQ] == QUEUE_SIZE
    guest.answer(b"")
    late.step()
    assert not late.sleeps


def test_same_head_on_both_queues_is_two_requests() -> None:
    guest = Guest(PLAIN)
    Call(guest.driver.queue_cursor(UpdateCursor()))
    guest.sent()
    guest.driver.complete(Used(guest.waiting[0].head, CONTROLQ, b""))
    assert guest.driver.in_flight == 1
    assert [note.values for note in guest.log.notes("spurious")] == [{"head": guest.waiting[0].head}]


@pytest.mark.parametrize("response", [0x1200, 0x1203, 0x1205, 0x1206, 0xFFFFFFFF])
def test_error_is_printed_as_linux_prints_it(response: int) -> None:
    guest = Guest()
    Call(guest.driver.queue(UNREF))
    guest.answer(HeaderOnly(type=response))
    assert guest.errors() == [f"response {response:#x} (command 0x102)"]


@pytest.mark.parametrize("response", [b"", b"\0" * 24, b"\x00\x11", OK.build() * 9, HeaderOnly(type=0x11FF).build()])
def test_other_answers_print_nothing_whatever_their_length(response: bytes) -> None:
    guest = Guest()
    got: list[bytes] = []
    Call(guest.driver.queue(UNREF, got.append))
    guest.sent()
    guest.driver.complete(Used(guest.waiting[0].head, CONTROLQ, response))
    assert guest.errors() == []
    assert got == [response[:24].ljust(24, b"\0")]


def test_answers_may_come_in_any_order() -> None:
    guest = Guest(BLOBS_2D)
    order: list[int] = []
    for number in range(3):
        Call(guest.driver.queue(UNREF, lambda _buffer, number=number: order.append(number)))  # type: ignore[misc]
    guest.sent()
    for chain in reversed(guest.waiting):
        guest.driver.complete(Used(chain.head, chain.queue, OK.build()))
    assert order == [2, 1, 0]


def test_second_answer_to_one_request_is_noted_and_does_nothing() -> None:
    guest = Guest(EVERYTHING)
    Call(guest.driver.queue(UNREF))
    guest.sent()
    used = Used(guest.waiting[0].head, CONTROLQ, OK.build())
    guest.driver.complete(used)
    guest.driver.complete(used)
    assert guest.driver.free_descriptors[CONTROLQ] == QUEUE_SIZE
    assert len(list(guest.log.notes("spurious"))) == 1
