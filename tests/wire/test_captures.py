"""Every byte that a real Linux guest sent and a real device answered is decoded and built again."""

import json
from pathlib import Path
from typing import Any

import pytest

from vgpu_wire.blob import MapCache, RespMapInfo
from vgpu_wire.control import FIRST_ERROR, CtrlType, Unknown
from vgpu_wire.messages import OK_RESPONSE, is_response, parse_message, type_name

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
#: file -> its number of requests
REQUESTS = {
    "2d.jsonl": 149,
    "blob2d.jsonl": 144,
    "virgl_classic.jsonl": 167,
    "virgl64.jsonl": 1946,
    "vhost_user_gpu_72_errors.jsonl": 23,
}
FROM_LINUX = [name for name in REQUESTS if "errors" not in name]

every_capture = pytest.mark.parametrize("name", REQUESTS)


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in CAPTURES.joinpath(name).read_text(encoding="utf-8").splitlines()]


def test_all_captures_are_read() -> None:
    assert {path.name for path in CAPTURES.glob("*.jsonl")} == set(REQUESTS)


@every_capture
def test_capture_is_built_again_byte_for_byte(name: str) -> None:
    lines = _lines(name)
    assert len(lines) == REQUESTS[name]
    for line in lines:
        for message in filter(None, (line["request"], line["response"])):
            assert parse_message(bytes.fromhex(message)).build().hex() == message


@pytest.mark.parametrize("name", FROM_LINUX)
def test_request_has_the_name_that_the_capture_gives_it(name: str) -> None:
    for line in _lines(name):
        request = parse_message(bytes.fromhex(line["request"]))
        assert type_name(request.type) == line["cmd"]
        assert not is_response(request.type)
        assert not isinstance(request, Unknown)


@every_capture
def test_answer_is_of_the_type_that_the_request_gets(name: str) -> None:
    for line in _lines(name):
        if not line["response"]:
            assert line["queue"] == "cursorq"
            continue
        request, answer = parse_message(bytes.fromhex(line["request"])), parse_message(bytes.fromhex(line["response"]))
        ok = OK_RESPONSE.get(request.type, CtrlType.RESP_OK_NODATA)
        assert answer.type == ok or answer.type >= FIRST_ERROR
        assert is_response(answer.type)


@every_capture
def test_fenced_request_gets_its_fence_back(name: str) -> None:
    fenced = 0
    for line in _lines(name):
        request = parse_message(bytes.fromhex(line["request"]))
        if request.flags and line["response"]:
            answer = parse_message(bytes.fromhex(line["response"]))
            assert (answer.flags, answer.fence_id) == (request.flags, request.fence_id)
            fenced += 1
    assert fenced


def test_every_map_info_was_on_the_wire() -> None:
    answers = [parse_message(bytes.fromhex(line["response"])) for line in _lines("virgl64.jsonl") if line["response"]]
    assert {answer.map_info for answer in answers if isinstance(answer, RespMapInfo)} == {c.value for c in MapCache}
