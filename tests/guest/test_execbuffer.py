"""EXECBUFFER: what it refuses, whom it waits for, and what its fence becomes (virtgpu_submit.c)."""

from errno import EALREADY, EINVAL, ENOENT, ENOSYS, ETIME
from typing import Any

import pytest
from guest_kit import EVERYTHING, PAGE, PLAIN, Guest, errno_of, of_type, refusal
from support import Call

from vgpu_emu.guest.submit import ExecSyncObj, SyncFile
from vgpu_emu.ids import GemHandle
from vgpu_wire.blob import ResourceUnmapBlob
from vgpu_wire.control import CtrlType
from vgpu_wire.render import CmdSubmit
from vgpu_wire.virtgpu_drm import EXECBUF_SYNCOBJ_RESET, ContextParam, ExecbufFlag

IN, OUT, RING = ExecbufFlag.FENCE_FD_IN, ExecbufFlag.FENCE_FD_OUT, ExecbufFlag.RING_IDX


@pytest.fixture
def guest() -> Guest:
    guest = Guest(EVERYTHING)
    guest.run(guest.file.context_init([(ContextParam.NUM_RINGS, 2)]))
    return guest


def _out(guest: Guest, **options: Any) -> SyncFile:
    sync = Call(guest.file.execbuffer(b"", flags=OUT | options.pop("flags", 0), **options)).value
    assert sync is not None
    return sync


@pytest.mark.parametrize(
    ("options", "errno"),
    [
        ({"flags": 8}, EINVAL),
        ({"flags": RING, "ring_idx": 1}, None),
        ({"flags": RING, "ring_idx": 2}, EINVAL),
        ({"ring_idx": 99}, None),
        ({"flags": IN}, EINVAL),
        ({"bo_handles": [GemHandle(7)]}, ENOENT),
        ({"out_syncobjs": [ExecSyncObj(7)]}, EINVAL),
        ({"in_syncobjs": [ExecSyncObj(7)]}, ENOENT),
        ({"in_syncobjs": [ExecSyncObj(7, flags=2)]}, EINVAL),
    ],
)
def test_execbuffer_refuses(guest: Guest, options: dict[str, Any], errno: int | None) -> None:
    assert errno_of(guest.file.execbuffer(b"1234", **options)) == errno
    assert len(of_type(guest.sent(), CmdSubmit)) == (errno is None)


def test_there_are_no_rings_before_context_init_makes_them() -> None:
    assert errno_of(Guest().file.execbuffer(b"", flags=RING)) == EINVAL


def test_without_virgl_there_is_no_execbuffer() -> None:
    assert errno_of(Guest(PLAIN).file.execbuffer(b"")) == ENOSYS


def test_first_submission_makes_the_context() -> None:
    guest = Guest()
    Call(guest.file.execbuffer(b"12345678"))
    assert guest.names() == ["CTX_CREATE", "SUBMIT_3D"]


def test_submission_nobody_can_wait_for_has_no_fence(guest: Guest) -> None:
    Call(guest.file.execbuffer(b"123"))
    assert guest.sent() == [CmdSubmit(ctx_id=1, size=3, commands=b"123")]


def test_objects_of_a_submission_are_busy_and_live_until_it_is_answered(guest: Guest) -> None:
    handle = guest.run(guest.file.resource_create_blob(size=PAGE, blob_id=1))
    Call(guest.file.execbuffer(b"", bo_handles=[handle]))
    wait = Call(guest.file.wait(handle))
    assert wait.sleeps
    (submit,) = guest.sent()
    assert submit.flags == 1
    Call(guest.file.gem_close(handle))
    guest.answer(command=CtrlType.CTX_DETACH_RESOURCE)
    assert guest.sent() == []
    guest.answer(command=CtrlType.SUBMIT_3D)
    assert len(of_type(guest.sent(), ResourceUnmapBlob)) == 1
    wait.step()
    assert not wait.sleeps


def test_fence_of_another_timeline_is_waited_for_and_of_the_same_is_not(guest: Guest) -> None:
    other, same = _out(guest), _out(guest, flags=RING, ring_idx=1)
    guest.sent()
    on_ring: dict[str, Any] = {"flags": RING | IN, "ring_idx": 1}
    assert not Call(guest.file.execbuffer(b"", in_fence=same, **on_ring)).sleeps
    waiting = Call(guest.file.execbuffer(b"", in_fence=other, **on_ring))
    assert waiting.sleeps
    assert len(guest.sent()) == 1
    guest.driver.fences.process(other.fence.fence_id)
    waiting.step()
    assert not waiting.sleeps


def test_out_syncobj_has_the_fence_and_in_syncobj_waits_for_it(guest: Guest) -> None:
    binary = guest.file.syncobj_create()
    Call(guest.file.execbuffer(b"", flags=RING, ring_idx=1, out_syncobjs=[ExecSyncObj(binary)]))
    waiting = Call(guest.file.execbuffer(b"", in_syncobjs=[ExecSyncObj(binary)]))
    assert waiting.sleeps
    guest.answer_all()
    waiting.step()
    assert not waiting.sleeps


def test_syncobj_without_a_fence_cannot_be_waited_for(guest: Guest) -> None:
    empty = guest.file.syncobj_create()
    assert errno_of(guest.file.execbuffer(b"", in_syncobjs=[ExecSyncObj(empty)])) == EINVAL
    signaled = guest.file.syncobj_create(signaled=True)
    assert errno_of(guest.file.execbuffer(b"", in_syncobjs=[ExecSyncObj(signaled)])) is None


def test_reset_takes_the_fence_from_the_syncobj_when_the_call_is_over(guest: Guest) -> None:
    syncobj = guest.file.syncobj_create(signaled=True)
    reset = [ExecSyncObj(syncobj, flags=EXECBUF_SYNCOBJ_RESET)]
    Call(guest.file.execbuffer(b"", in_syncobjs=reset))
    assert guest.file.syncobj(syncobj).points == []


def test_reset_happens_also_when_the_call_fails_later(guest: Guest) -> None:
    syncobj = guest.file.syncobj_create(signaled=True)
    reset = [ExecSyncObj(syncobj, flags=EXECBUF_SYNCOBJ_RESET)]
    assert errno_of(guest.file.execbuffer(b"", flags=IN, in_syncobjs=reset)) == EINVAL
    assert guest.file.syncobj(syncobj).points == []


def test_point_of_a_timeline_waits_for_all_before_it(guest: Guest) -> None:
    line = guest.file.syncobj_create()
    for point in (10, 20):
        Call(guest.file.execbuffer(b"", flags=RING, ring_idx=1, out_syncobjs=[ExecSyncObj(line, point)]))
    assert len(guest.file.syncobj(line).fences(10)) == 1
    assert len(guest.file.syncobj(line).fences(11)) == 2
    assert len(guest.file.syncobj(line).fences(0)) == 2
    assert errno_of(guest.file.execbuffer(b"", in_syncobjs=[ExecSyncObj(line, 21)])) == EINVAL
    waiting = Call(guest.file.execbuffer(b"", in_syncobjs=[ExecSyncObj(line, 20)]))
    assert waiting.sleeps
    guest.driver.fences.process(2)
    waiting.step()
    assert not waiting.sleeps


def test_point_that_is_not_later_than_the_last_takes_its_number(guest: Guest) -> None:
    line = guest.file.syncobj_create()
    for point in (10, 5):
        Call(guest.file.execbuffer(b"", out_syncobjs=[ExecSyncObj(line, point)]))
    assert [point for point, _ in guest.file.syncobj(line).points] == [10, 10]


def test_object_cannot_be_named_twice(guest: Guest) -> None:
    handle = guest.run(guest.file.resource_create_blob(size=PAGE, blob_id=1))
    assert errno_of(guest.file.execbuffer(b"", bo_handles=[handle, handle])) == EALREADY
    assert errno_of(guest.file.execbuffer(b"", bo_handles=[handle])) is None


def test_out_syncobj_takes_no_flags(guest: Guest) -> None:
    line = guest.file.syncobj_create()
    assert errno_of(guest.file.execbuffer(b"", out_syncobjs=[ExecSyncObj(line, flags=1)])) == EINVAL


def test_syncobj_wait_has_a_limit(guest: Guest) -> None:
    syncobj = guest.file.syncobj_create()
    Call(guest.file.execbuffer(b"", out_syncobjs=[ExecSyncObj(syncobj)]))
    waiting = Call(guest.file.syncobj_wait([syncobj], 1.0))
    assert refusal(waiting.time_out) == ETIME
    waiting = Call(guest.file.syncobj_wait([syncobj], 1.0))
    guest.answer_all()
    waiting.step()
    assert not waiting.sleeps


def test_syncobj_that_was_destroyed_is_gone_and_its_number_free(guest: Guest) -> None:
    syncobj = guest.file.syncobj_create()
    guest.file.syncobj_destroy(syncobj)
    assert refusal(lambda: guest.file.syncobj(syncobj)) == ENOENT
    assert refusal(lambda: guest.file.syncobj_destroy(syncobj)) == EINVAL
    assert guest.file.syncobj_create() == syncobj
