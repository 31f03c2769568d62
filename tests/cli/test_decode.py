"""``vgpu-emu decode``: captures and messages, and what it says of those it cannot read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from decode_kit import ANSWER, MAP_HEX, decoder

from vgpu_emu.cli import main
from vgpu_wire.control import CtrlType, HeaderOnly, Unknown
from vgpu_wire.messages import MESSAGES, is_response, type_name

run_decode = pytest.fixture(decoder)

CAPTURES = sorted((Path(__file__).parents[1] / "data" / "captures").glob("*.jsonl"))
KEYS = ["schema", "order", "queue", "direction", "type", "size", "fields", "roundtrip"]


def captured(name: Path) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every message of a capture that is not empty: its line, direction and hex."""
    for text in name.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        for direction in ("request", "response"):
            if line[direction]:
                yield line, direction, line[direction]


def plain(value: Any) -> Any:
    """The fields as construct builds them: every string of the JSON is a byte array in hex."""
    if isinstance(value, str):
        return bytes.fromhex(value)
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return [plain(element) for element in value] if isinstance(value, list) else value


# -- captures


@pytest.mark.parametrize("name", CAPTURES, ids=lambda path: path.stem)
def test_capture_decodes_whole_and_its_fields_build_the_same_bytes(
    name: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decode", "--json", str(name)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    messages = list(captured(name))
    for (line, direction, data), text in zip(messages, out.splitlines(), strict=True):
        shown = json.loads(text)
        assert list(shown) == KEYS
        assert (shown["schema"], shown["order"], shown["queue"]) == (1, line["order"], line["queue"])
        assert (shown["direction"], shown["size"], shown["roundtrip"]) == (direction, len(data) // 2, True)
        record = MESSAGES[CtrlType[shown["type"]]] if isinstance(shown["type"], str) else Unknown
        assert record.layout.struct.build(plain(shown["fields"])).hex() == data


@pytest.mark.parametrize("name", CAPTURES, ids=lambda path: path.stem)
def test_listing_has_a_heading_for_every_message(name: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(name)]) == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("#")]
    for (line, direction, data), heading in zip(captured(name), headings, strict=True):
        kind = type_name(int.from_bytes(bytes.fromhex(data)[:4], "little"))
        assert heading.startswith(f"#{line['order']} {line['queue']} {direction} {kind}")
        assert f", {len(data) // 2} bytes" in heading


def test_keys_of_a_capture_may_be_missing_null_or_unknown(run_decode: Any) -> None:
    capture = (
        f'{{"request": "{MAP_HEX}"}}\n'
        f'{{"response": "{ANSWER.build().hex()}", "queue": null, "request": null, "note": {{"a": [1, 1e999]}}}}\n'
        '{"note": "no message"}\n'
        f'{{"order": -7, "queue": "cursorq", "request": "{MAP_HEX.upper()}", "response": ""}}\n'
    )
    done = run_decode(capture, "--json")
    assert done.code == 0
    seen = [(line["order"], line["queue"], line["direction"]) for line in done.lines]
    assert seen == [(1, None, "request"), (2, None, "response"), (-7, "cursorq", "request")]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("{", "json"),
        ("{}}", "json"),
        ("[1, 2]", "json"),
        ('{"request": 5}', "json"),
        ('{"order": "first"}', "json"),
        ('{"order": 1.5}', "json"),
        ('{"order": 9223372036854775808}', "json"),
        ('{"request": "\\ud800"}', "json"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "json"),
        ('"request"', "json"),
        ("hello", "hex"),
        ("0a1", "hex"),
        ("-5", "hex"),
    ],
)
def test_line_that_is_neither_hex_nor_json_is_an_error_and_the_others_are_read(
    run_decode: Any, line: str, kind: str
) -> None:
    done = run_decode(f"{MAP_HEX}\n{line}\n{MAP_HEX}\n", "--json")
    assert done.code == 1
    first, bad, last = done.lines
    assert first["fields"] == last["fields"]
    assert (first["order"], bad["order"], last["order"]) == (1, 2, 3)
    assert (bad["queue"], bad["direction"], bad["size"]) == (None, None, None)
    assert bad["error"]["kind"] == kind
    assert bad["error"]["path"].endswith("input:2")
    assert done.err == "vgpu-emu: 1 of 3 messages could not be decoded\n"


def test_bad_hex_of_a_request_leaves_its_response_readable(run_decode: Any) -> None:
    done = run_decode(f'{{"order": 9, "request": "0a0z", "response": "{ANSWER.build().hex()}"}}', "--json")
    bad, good = done.lines
    assert (bad["order"], bad["direction"], bad["error"]["kind"], bad["error"]["offset"]) == (9, "request", "hex", 3)
    assert bad["error"]["path"].endswith("input:1:request")
    assert (good["order"], good["type"], done.code) == (9, "RESP_OK_MAP_INFO", 1)


def test_invalid_utf8_in_a_capture_is_an_error_of_its_line(run_decode: Any) -> None:
    done = run_decode(b'{"queue": "\xff", "request": "00"}\n', "--json")
    assert (done.code, done.lines[0]["error"]["kind"]) == (1, "json")


# -- messages that are none


def test_truncated_message_names_the_member_that_is_cut(run_decode: Any) -> None:
    done = run_decode(MAP_HEX[:-2], "--json")
    assert done.code == 1
    assert done.lines == [
        {
            "schema": 1,
            "order": 1,
            "queue": None,
            "direction": "request",
            "type": "RESOURCE_MAP_BLOB",
            "size": 39,
            "error": {"kind": "truncated", "path": "virtio_gpu_resource_map_blob.offset", "offset": 32},
        }
    ]


def test_message_without_a_whole_type_has_none(run_decode: Any) -> None:
    (shown,) = run_decode("0011", "--json").lines
    assert "type" not in shown
    assert shown["error"] == {"kind": "truncated", "path": "virtio_gpu_ctrl_hdr.type", "offset": 0}


def test_unknown_type_is_a_number_and_decodes(run_decode: Any) -> None:
    done = run_decode(Unknown(type=0x11FF, tail=b"\x01\x02").build().hex(), "--json")
    (shown,) = done.lines
    assert (done.code, shown["type"], shown["direction"], shown["roundtrip"]) == (0, 0x11FF, "response", True)
    assert shown["fields"]["tail"] == "0102"


@pytest.mark.parametrize("kind", [t for t in CtrlType if t])
def test_hex_is_a_request_or_a_response_by_its_type(run_decode: Any, kind: CtrlType) -> None:
    (shown,) = run_decode(HeaderOnly(type=kind).build().hex(), "--json").lines
    assert shown["direction"] == ("response" if is_response(kind) else "request")
    assert (shown["type"], shown["queue"]) == (kind.name, None)


def test_undecodable_message_is_listed_with_its_bytes(run_decode: Any) -> None:
    done = run_decode(MAP_HEX + "00")
    assert done.code == 1
    assert "UNDECODABLE trailing at offset 40, virtio_gpu_resource_map_blob" in done.out
    assert MAP_HEX[:32] in done.out
