"""What a judge of answers takes for too late, and what it does not say when nobody knows."""

from typing import Any

import pytest

from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.expectation import Verdict
from vgpu_emu.fuzz.model.judge import Judge
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.model.world import GLOBAL, PATIENCE, Context, Pending, Resource, World
from vgpu_emu.fuzz.remembering import unchanged
from vgpu_wire.control import CtrlFlag, HeaderOnly
from vgpu_wire.control import CtrlType as T
from vgpu_wire.device import CONTROLQ, CURSORQ
from vgpu_wire.display import UpdateCursor
from vgpu_wire.render import CtxDestroy
from vgpu_wire.resource import ResourceAssignUuid, ResourceCreate2D, RespResourceUuid

FENCED: dict[str, Any] = {"flags": int(CtrlFlag.FENCE), "fence_id": 5}
CREATE = ResourceCreate2D(resource_id=1, format=1, width=1, height=1)
NO_ANSWER_YET = HeaderOnly(type=T.GET_DISPLAY_INFO.value, **FENCED).build()


@pytest.fixture
def judge() -> Judge:
    return Judge(World(Setup()))


def test_fence_may_come_a_tenth_of_a_second_after_its_work(judge: Judge) -> None:
    judge.unanswered(judge.request(1, CONTROLQ, NO_ANSWER_YET, 1024))
    judge.world.now = PATIENCE - 1e-6
    judge.advanced()
    judge.world.now = PATIENCE
    with pytest.raises(Finding, match="I19"):
        judge.advanced()


def test_who_does_not_look_at_answers_any_more_does_not_wait_for_them(judge: Judge) -> None:
    judge.unanswered(judge.request(1, CONTROLQ, NO_ANSWER_YET, 1024))
    judge.unsure, judge.world.now = True, 9.0
    judge.advanced()


def test_uuid_that_waited_for_its_fence_is_known_when_it_is_told(judge: Judge) -> None:
    judge.request(1, CONTROLQ, CREATE.build(), 24)
    judge.answer(1, CONTROLQ, HeaderOnly(type=T.RESP_OK_NODATA.value).build())
    asked = ResourceAssignUuid(resource_id=1, **FENCED)
    judge.unanswered(judge.request(2, CONTROLQ, asked.build(), 40))
    told = RespResourceUuid(uuid=bytes(range(16)), **FENCED)
    judge.answer(2, CONTROLQ, told.build())
    assert judge.world.resources[1].uuid == bytes(range(16))
    judge.request(3, CONTROLQ, ResourceAssignUuid(resource_id=1).build(), 40)
    with pytest.raises(Finding, match="the UUID was"):
        judge.answer(3, CONTROLQ, RespResourceUuid(uuid=bytes(range(1, 17))).build())


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (b'{"a": [1, {"b": 3, "c": 4}]}', r"device\.a\[1\]\.b was 2 and is 3"),
        (b'{"a": [1]}', r"device\.a was .* and is \[1\]"),
        (b'{"a": "base64", "blobs": []}', r"device\.a was .* and is 'base64'"),
        (b'{"a": [1, {"b": 2, "c": 4}], "blobs": [{"resource_id": 2}]}', r"device\.blobs was \[\] and is"),
    ],
)
def test_where_snapshots_differ_is_told(now: bytes, told: str) -> None:
    before = b'{"a": [1, {"b": 2, "c": 4}]}'
    unchanged(before, before)
    with pytest.raises(Finding, match=told):
        unchanged(before, now)


def test_order_of_what_has_ids_is_a_vmm_s_own_affair() -> None:
    one, other = b'{"resource_id": 1}', b'{"resource_id": 2}'
    unchanged(b'{"blobs": [%s, %s]}' % (one, other), b'{"blobs":[%s, %s]}' % (other, one))
    with pytest.raises(Finding, match=r"device\.fences\[0\] was 1 and is 2"):
        unchanged(b'{"fences": [1, 2]}', b'{"fences": [2, 1]}')


def test_where_long_bytes_differ_is_told() -> None:
    with pytest.raises(Finding, match="was 'b' and is 'c', from character 90 on"):
        unchanged(b'{"pixels": "%s"}' % (b"a" * 90 + b"b"), b'{"pixels": "%s"}' % (b"a" * 90 + b"c"))


def test_fence_is_not_before_work_that_is_left_when_a_context_ends(judge: Judge) -> None:
    world = judge.world
    world.busy = {(1, 0): 5e-4, (2, 0): 8e-6}
    pending = Pending(9, CONTROLQ, GLOBAL, 5e-4, works=world.works(GLOBAL))
    assert pending.earliest == 5e-4
    world.pending.append(pending)
    world.contexts = {1: Context(0), 2: Context(0)}
    for ctx_id, earliest in ((2, 5e-4), (1, 0.0)):
        judge.request(ctx_id, CONTROLQ, CtxDestroy(ctx_id=ctx_id).build(), 24)
        judge.answer(ctx_id, CONTROLQ, HeaderOnly(type=T.RESP_OK_NODATA.value).build())
        assert pending.earliest == earliest
    assert world.works((1, 0)) == {}


@pytest.mark.parametrize(("size", "verdict"), [(64 * 64 * 4 - 1, Verdict.OPEN), (64 * 64 * 4, Verdict.MUST)])
def test_cursor_blob_of_fewer_pixels_may_be_refused(judge: Judge, size: int, verdict: Verdict) -> None:
    judge.world.add(Resource(1, "blob", size=size))
    case = judge.request(1, CURSORQ, UpdateCursor(resource_id=1).build(), 24)
    assert case.expected.verdict is verdict
