"""``vgpu-emu explain``: every response to every command has an explanation, and the right checks of the right VMMs."""

import json
from pathlib import Path
from typing import Any

import pytest

from vgpu_emu.cli import main
from vgpu_emu.trace.causes import CHECKS, success_of
from vgpu_emu.trace.meanings import COMMANDS, RESPONSES
from vgpu_emu.trace.vmm_checks import LACKS, PANICS, VMMS
from vgpu_wire.control import FIRST_ERROR, CtrlType
from vgpu_wire.messages import is_response, parse_message

T = CtrlType
COMMAND_TYPES = [t for t in T if t and not is_response(t)]
ERRORS = [t for t in T if t >= FIRST_ERROR]
ERRORS_CAPTURE = Path(__file__).parents[1] / "data" / "captures" / "vhost_user_gpu_72_errors.jsonl"


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run explain --json with these words."""

    def explain(*words: object) -> dict[str, Any]:
        assert main(["explain", "--json", *map(str, words)]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        shown: dict[str, Any] = json.loads(out)
        return shown

    return explain


def test_tables_have_every_command_and_every_error() -> None:
    assert set(COMMANDS) == set(COMMAND_TYPES)
    assert set(RESPONSES) == set(ERRORS)


@pytest.mark.parametrize("command", COMMAND_TYPES)
def test_every_error_of_every_command_has_a_meaning_and_causes(explain: Any, command: CtrlType) -> None:
    for response in ERRORS:
        shown = explain(int(response), int(command))
        assert list(shown) == ["schema", "response", "command", "meaning", "checks", "causes"]
        assert (shown["schema"], shown["response"], shown["command"]) == (1, response.name, command.name)
        assert RESPONSES[response].means in shown["meaning"]
        assert COMMANDS[command].does in shown["meaning"]
        assert RESPONSES[response].look in shown["causes"]
        assert all(set(check) == {"vmm", "check"} and check["vmm"] in VMMS for check in shown["checks"])
        # either a VMM answers it, and its check has a cause, or it is said that none does
        assert len(shown["causes"]) >= 2
        assert any(cause.startswith("None of QEMU 2D") for cause in shown["causes"]) == (not shown["checks"])


#: command, response -> VMMs that have a check for it
ANSWERED = {
    (T.RESOURCE_MAP_BLOB, T.RESP_ERR_INVALID_RESOURCE_ID): {"QEMU virgl", "crosvm, libkrun"},
    (T.RESOURCE_MAP_BLOB, T.RESP_ERR_INVALID_PARAMETER): {"QEMU virgl"},
    (T.RESOURCE_MAP_BLOB, T.RESP_ERR_INVALID_CONTEXT_ID): set(),
    (T.RESOURCE_CREATE_2D, T.RESP_ERR_OUT_OF_MEMORY): {"QEMU 2D"},
    (T.RESOURCE_CREATE_2D, T.RESP_ERR_INVALID_RESOURCE_ID): {"QEMU 2D", "QEMU virgl"},
    (T.RESOURCE_CREATE_2D, T.RESP_ERR_INVALID_PARAMETER): {"QEMU 2D"},
    (T.RESOURCE_UNREF, T.RESP_ERR_INVALID_RESOURCE_ID): {
        "QEMU 2D",
        "QEMU virgl",
        "crosvm, libkrun",
        "vhost-device-gpu",
    },
    (T.RESOURCE_FLUSH, T.RESP_ERR_INVALID_RESOURCE_ID): {"QEMU 2D", "crosvm, libkrun", "vhost-device-gpu"},
    (T.SET_SCANOUT, T.RESP_ERR_INVALID_SCANOUT_ID): {"QEMU 2D", "QEMU virgl", "crosvm, libkrun", "vhost-device-gpu"},
    (T.SET_SCANOUT_BLOB, T.RESP_ERR_INVALID_SCANOUT_ID): {"QEMU 2D", "QEMU virgl", "crosvm, libkrun"},
    (T.SUBMIT_3D, T.RESP_ERR_INVALID_CONTEXT_ID): {"vhost-device-gpu"},
    (T.SUBMIT_3D, T.RESP_ERR_INVALID_PARAMETER): {"QEMU virgl", "crosvm, libkrun"},
    (T.GET_EDID, T.RESP_ERR_INVALID_PARAMETER): {"QEMU 2D", "QEMU virgl", "QEMU rutabaga"},
    (T.GET_CAPSET, T.RESP_ERR_INVALID_PARAMETER): {"QEMU virgl"},
    (T.GET_CAPSET_INFO, T.RESP_ERR_INVALID_PARAMETER): {"vhost-device-gpu"},
    (T.UPDATE_CURSOR, T.RESP_ERR_INVALID_SCANOUT_ID): {"crosvm, libkrun"},
    (T.UPDATE_CURSOR, T.RESP_ERR_INVALID_PARAMETER): {"vhost-device-gpu"},
    (T.CTX_ATTACH_RESOURCE, T.RESP_ERR_INVALID_RESOURCE_ID): {"vhost-device-gpu"},
    (T.RESOURCE_ASSIGN_UUID, T.RESP_ERR_INVALID_RESOURCE_ID): {"crosvm, libkrun", "vhost-device-gpu"},
}


@pytest.mark.parametrize(("command", "response"), ANSWERED)
def test_error_names_the_vmms_that_answer_it(explain: Any, command: CtrlType, response: CtrlType) -> None:
    shown = explain(int(response), int(command))
    assert {check["vmm"] for check in shown["checks"]} == ANSWERED[command, response]


def test_unknown_resource_of_a_map_points_at_the_create_before_it(explain: Any) -> None:
    shown = explain("0x1203", "0x208")
    assert shown["checks"][0] == {"vmm": "QEMU virgl", "check": "resource_id is unknown"}
    assert "RESOURCE_CREATE_BLOB" in shown["causes"][0]
    assert "EINVAL" in shown["meaning"]


def test_command_that_a_vmm_lacks_is_its_only_check(explain: Any) -> None:
    for vmm, commands in LACKS.items():
        for command in commands:
            assert [check["check"] for check in explain(int(command))["checks"] if check["vmm"] == vmm] == [
                "it does not have this command: RESP_ERR_UNSPEC"
            ]


def test_command_that_ends_a_vmm_is_said_to(explain: Any) -> None:
    (commands,) = PANICS.values()
    for command in commands:
        assert {"vmm": "vhost-device-gpu", "check": "no answer: it ends with a panic"} in explain(command)["checks"]
        for response in ERRORS:
            assert "vhost-device-gpu" not in {check["vmm"] for check in explain(response, command)["checks"]}


def test_every_check_can_be_found_by_its_command() -> None:
    for check in CHECKS:
        assert check.commands
        assert any(check.of(vmm) is not None for vmm in VMMS), check.wrong


@pytest.mark.parametrize("command", COMMAND_TYPES)
def test_success_is_said_to_be_so(explain: Any, command: CtrlType) -> None:
    shown = explain(success_of(command), command)
    assert shown["meaning"].startswith("Success: ")
    assert shown["causes"] == []


def test_success_tells_what_is_not_checked(explain: Any) -> None:
    checks = explain(T.RESP_OK_MAP_INFO, T.RESOURCE_MAP_BLOB)["checks"]
    assert any(check["vmm"] == "QEMU virgl" and "map_info NONE" in check["check"] for check in checks)
    checks = explain(T.RESP_OK_NODATA, T.RESOURCE_FLUSH)["checks"]
    assert any(check["vmm"] == "QEMU virgl" and "resource_id is unknown" in check["check"] for check in checks)


@pytest.mark.parametrize("command", COMMAND_TYPES)
def test_success_of_another_command_never_answers(explain: Any, command: CtrlType) -> None:
    for response in (t for t in T if is_response(t) and t < FIRST_ERROR and t != success_of(command)):
        shown = explain(response, command)
        assert f"never answers {command.name}" in shown["meaning"]
        assert shown["causes"]


def test_vmms_own_success_is_known(explain: Any) -> None:
    assert explain("0x11ff", T.RESOURCE_CREATE_3D)["meaning"].startswith("Success, in crosvm's own words")
    assert "never answers RESOURCE_UNREF" in explain("0x11ff", T.RESOURCE_UNREF)["meaning"]
    assert explain("0x11ff")["response"] == 0x11FF


def test_answer_about_something_that_the_command_does_not_name_is_strange(explain: Any) -> None:
    causes = " ".join(explain(T.RESP_ERR_INVALID_SCANOUT_ID, T.RESOURCE_MAP_BLOB)["causes"])
    assert "RESOURCE_MAP_BLOB names no scanout" in causes
    causes = " ".join(explain(T.RESP_ERR_OUT_OF_MEMORY, T.RESOURCE_ATTACH_BACKING)["causes"])
    assert "resource_id, nr_entries, entries" in causes


def test_numbers_that_nobody_defined_are_explained(explain: Any) -> None:
    shown = explain(0x1299, 0x210)
    assert (shown["response"], shown["command"]) == (0x1299, 0x210)
    assert "no such error" in shown["meaning"]
    assert len(explain(0x1200, 0x210)["checks"]) == len(VMMS)
    assert explain(0x1150)["meaning"] == "The spec has no such response."


def test_answers_of_a_real_device_are_explained(explain: Any) -> None:
    failures = 0
    for line in map(json.loads, ERRORS_CAPTURE.read_text(encoding="utf-8").splitlines()):
        if line["response"]:
            request, answer = (parse_message(bytes.fromhex(line[key])) for key in ("request", "response"))
            shown = explain(answer.type, request.type)
            failures += answer.type >= FIRST_ERROR
            assert bool(shown["causes"]) == (answer.type >= FIRST_ERROR)
    assert failures > 5


@pytest.mark.parametrize(
    "words",
    [
        ["0x1203", "0x208"],
        ["0x208", "0x1203"],
        ["4611", "520"],
        ["0X208", "4611"],
        ["RESP_ERR_INVALID_RESOURCE_ID", "RESOURCE_MAP_BLOB"],
        ["err_invalid_resource_id", "resource_map_blob"],
        ["VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID", "VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB"],
        ["0x1203 0x208"],
        ["response 0x1203 (command 0x208)"],
        ["[  12.5] [drm:virtio_gpu_dequeue_ctrl_func [virtio_gpu]] *ERROR* response 0x1203 (command 0x208)"],
        ["*ERROR*", "response", "0x1203", "(command", "0x208)"],
    ],
)
def test_response_and_command_are_found_however_they_are_written(explain: Any, words: list[str]) -> None:
    shown = explain(*words)
    assert (shown["response"], shown["command"]) == ("RESP_ERR_INVALID_RESOURCE_ID", "RESOURCE_MAP_BLOB")


def test_one_of_the_two_is_enough(explain: Any) -> None:
    shown = explain("ERR_OUT_OF_MEMORY")
    assert (shown["response"], shown["command"]) == ("RESP_ERR_OUT_OF_MEMORY", None)
    assert any(check["check"].startswith("RESOURCE_CREATE_2D: ") for check in shown["checks"])
    shown = explain("SUBMIT_3D")
    assert (shown["response"], shown["command"]) == (None, "SUBMIT_3D")
    assert any(check["check"].endswith(": RESP_ERR_INVALID_CONTEXT_ID") for check in shown["checks"])


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "vgpu-emu explain 0x1203 0x208"),
        (["0x1203", "0x1200"], "response twice"),
        (["0x208", "0x207"], "command twice"),
        (["0x1203", "0x208", "0x208"], "not 3 words"),
        (["RESOURCE_MAPBLOB"], "did you mean RESOURCE_MAP_BLOB?"),
        (["1203"], "write 0x1203"),
        (["0x100000000"], "at most 0xffffffff"),
        (["9" * 5000], "at most 0xffffffff"),
        (["0x" + "9" * 5000], "at most 0xffffffff"),
        (["A" * 50_000], "no message type"),
        (["-5"], "no message type"),
        (["0x"], "no message type"),
        (["\u0665"], "no message type"),
        (["\x1b[31m"], "\\x1b[31m is no message type"),
    ],
)
def test_what_cannot_be_explained_is_a_mistake_with_a_hint(capsys: Any, words: list[str], hint: str) -> None:
    assert main(["explain", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert hint in err
    assert err.isascii()
    assert "\x1b" not in err


def test_text_has_the_same_as_json(explain: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shown = explain("0x1200", "0x207")
    assert main(["explain", "0x1200", "0x207"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("RESP_ERR_UNSPEC (0x1200) to SUBMIT_3D (0x207)")
    assert shown["meaning"] in text
    assert all(f"- {cause}" in text for cause in shown["causes"])
    assert all(check["vmm"] in text and f"- {check['check']}" in text for check in shown["checks"])
