"""What a judge of answers takes for too late, and what it does not say when nobody knows."""

from typing import Any

import pytest

from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.model.judge import Judge
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.model.world import PATIENCE, World
from vgpu_emu.fuzz.remembering import unchanged
from vgpu_wire.control import CtrlFlag, HeaderOnly
from vgpu_wire.control import CtrlType as T
from vgpu_wire.device import CONTROLQ
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
        (b'{"a":[1,{"b":2,"c":4}]}', "how it says it"),
    ],
)
def test_where_snapshots_differ_is_told(now: bytes, told: str) -> None:
    before = b'{"a": [1, {"b": 2, "c": 4}]}'
    unchanged(before, before)
    with pytest.raises(Finding, match=told):
        unchanged(before, now)
