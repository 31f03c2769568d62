"""``vgpu-emu decode``: what it reads, what it shows, and what it says of what it cannot read."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vgpu_emu.cli import main
from vgpu_emu.cli.decode import decode
from vgpu_emu.trace.capture import MAX_LINE, MAX_MESSAGE, Exchange, Unreadable, read_binary, read_messages
from vgpu_emu.trace.listing import FIRST_BYTES, FIRST_ELEMENTS
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, RespMapInfo
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly, Unknown
from vgpu_wire.display import RespDisplayInfo, SetScanoutBlob
from vgpu_wire.layout import Record, to_fields
from vgpu_wire.messages import MESSAGES, is_response, type_name
from vgpu_wire.render import CtxCreate, RespCapset
from vgpu_wire.resource import MemEntry, ResourceAttachBacking

CAPTURES = sorted((Path(__file__).parents[1] / "data" / "captures").glob("*.jsonl"))
KEYS = ["schema", "order", "queue", "direction", "type", "size", "fields", "roundtrip"]
MAP = ResourceMapBlob(resource_id=5, offset=0x1000)
MAP_HEX = MAP.build().hex()
ANSWER = RespMapInfo(map_info=3)


class Run:
    """What the command printed, and how it ended."""

    def __init__(self, code: int, captured: tuple[str, str]) -> None:
        self.code = code
        self.out, self.err = captured

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run decode on a file with this content."""

    def run(content: bytes | str, *options: str) -> Run:
        path = tmp_path / "input"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        capsys.readouterr()
        return Run(main(["decode", *options, str(path)]), capsys.readouterr())

    return run


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


def test_keys_of_a_capture_may_be_missing_null_or_unknown(run: Any) -> None:
    capture = (
        f'{{"request": "{MAP_HEX}"}}\n'
        f'{{"response": "{ANSWER.build().hex()}", "queue": null, "request": null, "note": {{"a": [1, 1e999]}}}}\n'
        '{"note": "no message"}\n'
        f'{{"order": -7, "queue": "cursorq", "request": "{MAP_HEX.upper()}", "response": ""}}\n'
    )
    done = run(capture, "--json")
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
def test_line_that_is_neither_hex_nor_json_is_an_error_and_the_others_are_read(run: Any, line: str, kind: str) -> None:
    done = run(f"{MAP_HEX}\n{line}\n{MAP_HEX}\n", "--json")
    assert done.code == 1
    first, bad, last = done.lines
    assert first["fields"] == last["fields"]
    assert (first["order"], bad["order"], last["order"]) == (1, 2, 3)
    assert (bad["queue"], bad["direction"], bad["size"]) == (None, None, None)
    assert bad["error"]["kind"] == kind
    assert bad["error"]["path"].endswith("input:2")
    assert done.err == "vgpu-emu: 1 of 3 messages could not be decoded\n"


def test_bad_hex_of_a_request_leaves_its_response_readable(run: Any) -> None:
    done = run(f'{{"order": 9, "request": "0a0z", "response": "{ANSWER.build().hex()}"}}', "--json")
    bad, good = done.lines
    assert (bad["order"], bad["direction"], bad["error"]["kind"], bad["error"]["offset"]) == (9, "request", "hex", 3)
    assert bad["error"]["path"].endswith("input:1:request")
    assert (good["order"], good["type"], done.code) == (9, "RESP_OK_MAP_INFO", 1)


def test_invalid_utf8_in_a_capture_is_an_error_of_its_line(run: Any) -> None:
    done = run(b'{"queue": "\xff", "request": "00"}\n', "--json")
    assert (done.code, done.lines[0]["error"]["kind"]) == (1, "json")


# -- messages that are none


def test_truncated_message_names_the_member_that_is_cut(run: Any) -> None:
    done = run(MAP_HEX[:-2], "--json")
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


def test_message_without_a_whole_type_has_none(run: Any) -> None:
    (shown,) = run("0011", "--json").lines
    assert "type" not in shown
    assert shown["error"] == {"kind": "truncated", "path": "virtio_gpu_ctrl_hdr.type", "offset": 0}


def test_unknown_type_is_a_number_and_decodes(run: Any) -> None:
    done = run(Unknown(type=0x11FF, tail=b"\x01\x02").build().hex(), "--json")
    (shown,) = done.lines
    assert (done.code, shown["type"], shown["direction"], shown["roundtrip"]) == (0, 0x11FF, "response", True)
    assert shown["fields"]["tail"] == "0102"


@pytest.mark.parametrize("kind", [t for t in CtrlType if t])
def test_hex_is_a_request_or_a_response_by_its_type(run: Any, kind: CtrlType) -> None:
    (shown,) = run(HeaderOnly(type=kind).build().hex(), "--json").lines
    assert shown["direction"] == ("response" if is_response(kind) else "request")
    assert (shown["type"], shown["queue"]) == (kind.name, None)


def test_undecodable_message_is_listed_with_its_bytes(run: Any) -> None:
    done = run(MAP_HEX + "00")
    assert done.code == 1
    assert "UNDECODABLE trailing at offset 40, virtio_gpu_resource_map_blob" in done.out
    assert MAP_HEX[:32] in done.out


# -- the listing


def listed(run: Any, record: CtrlHdr, *options: str) -> list[str]:
    return [" ".join(line.split()) for line in run(record.build().hex(), *options).out.splitlines()]


def test_numbers_have_their_words(run: Any) -> None:
    lines = listed(run, ANSWER)
    assert lines[0] == "#1 response RESP_OK_MAP_INFO, 32 bytes"
    assert "map_info 0x3 WC" in lines
    lines = listed(run, ResourceCreateBlob(flags=1, blob_mem=2, blob_flags=3, size=4096))
    assert "blob_mem 0x2 HOST3D" in lines
    assert "blob_flags 0x3 USE_MAPPABLE|USE_SHAREABLE" in lines
    assert "size 4096 (0x1000)" in lines
    assert any(line.startswith("hdr type 0x10c RESOURCE_CREATE_BLOB, flags 0x1 FENCE,") for line in lines)


def test_offsets_are_shown_on_demand(run: Any) -> None:
    lines = listed(run, MAP, "--offsets")
    assert "32 8 offset 4096 (0x1000)" in lines
    assert "0 24 hdr" in lines
    assert "16 4 ctx_id 0" in lines
    assert "32 8 offset 4096 (0x1000)" not in listed(run, MAP)


def test_offsets_are_those_of_the_bytes(run: Any) -> None:
    record = SetScanoutBlob(strides=(1, 2, 3, 4), offsets=(5, 6, 7, 8), format=67)
    lines = listed(run, record, "--offsets")
    assert "64 16 strides 1, 2, 3, 4" in lines
    assert "80 16 offsets 5, 6, 7, 8" in lines
    assert "56 4 format 0x43 R8G8B8A8_UNORM" in lines


@pytest.mark.parametrize("count", [0, FIRST_ELEMENTS, FIRST_ELEMENTS + 1, 1000])
def test_memory_entries_are_cut_short_unless_asked_for(run: Any, count: int) -> None:
    record = ResourceAttachBacking(nr_entries=count, entries=[MemEntry(addr=i, length=7) for i in range(count)])
    short, full = listed(run, record), listed(run, record, "--full")
    assert f"entries {count} x virtio_gpu_mem_entry" in short
    assert sum("length 7" in line for line in short) == min(count, FIRST_ELEMENTS)
    assert sum("length 7" in line for line in full) == count
    assert (f"... {count - FIRST_ELEMENTS} more" in short) == (count > FIRST_ELEMENTS)
    assert f"32 {16 * count} entries {count} x virtio_gpu_mem_entry" in listed(run, record, "--offsets")


def test_nested_structures_of_an_array_are_listed(run: Any) -> None:
    lines = listed(run, RespDisplayInfo())
    assert "pmodes 16 x virtio_gpu_display_one" in lines
    assert "[3] r (x 0, y 0, width 0, height 0), enabled 0, flags 0" in lines
    offsets = listed(run, RespDisplayInfo(), "--offsets")
    assert "96 24 [3]" in offsets
    assert "104 4 width 0" in offsets
    assert "120 288 ... 12 more" in offsets


@pytest.mark.parametrize("size", [FIRST_BYTES - 1, FIRST_BYTES, FIRST_BYTES + 1, 3 * FIRST_BYTES])
def test_long_byte_arrays_are_cut_short_unless_asked_for(run: Any, size: int) -> None:
    record = RespCapset(capset_data=bytes(range(size)))
    short, full = listed(run, record), listed(run, record, "--full")
    assert any(line.endswith(f"and {size - FIRST_BYTES} bytes more") for line in short) == (size > FIRST_BYTES)
    assert len(full) - 2 == -(-size // FIRST_BYTES)
    assert bytes(range(size)).hex() in "".join(line.split("|")[0].split()[-1] for line in full[2:])


def test_names_in_byte_arrays_can_be_read(run: Any) -> None:
    record = CtxCreate(nlen=7, debug_name=b"glxgear".ljust(64, b"\0"))
    assert any("|glxgear....." in line for line in listed(run, record))


def test_recorders_own_words_are_shown_if_they_say_more(run: Any) -> None:
    response = HeaderOnly(type=0x1200).build().hex()
    capture = f'{{"queue": "controlq", "cmd": "map again", "request": "{MAP_HEX}", "response": "{response}"}}'
    headings = [line for line in run(capture).out.splitlines() if line.startswith("#")]
    assert headings == [
        "#1 controlq request RESOURCE_MAP_BLOB, 40 bytes (map again)",
        "#1 controlq response RESP_ERR_UNSPEC to RESOURCE_MAP_BLOB, 24 bytes (map again)",
    ]


def test_terminal_escapes_of_a_capture_never_reach_the_terminal(run: Any) -> None:
    capture = f'{{"cmd": "\\u001b]0;gone\\u0007\\n\\u009b", "queue": "\\u001b[2J", "request": "{MAP_HEX}"}}\n\x1b[31m\n'
    done = run(capture)
    assert done.code == 1
    assert (done.out + done.err).isascii()
    assert all(char.isprintable() for char in done.out.replace("\n", ""))


def fields_with_hex(record: Record) -> Any:
    return json.loads(json.dumps(to_fields(record), default=lambda value: value.hex()))


@pytest.mark.parametrize("kind", list(MESSAGES))
def test_json_fields_are_those_of_the_wire_layer(run: Any, kind: CtrlType) -> None:
    record = MESSAGES[kind](type=kind, fence_id=1 << 63)
    (shown,) = run(record.build().hex(), "--json").lines
    assert shown["fields"] == fields_with_hex(record)


# -- files


def test_binary_file_is_one_message(run: Any) -> None:
    assert run(MAP.build(), "--binary", "--json").lines[0]["fields"]["resource_id"] == 5
    done = run(MAP.build() + b"\n", "--binary", "--json")
    assert (done.code, done.lines[0]["error"]["kind"]) == (1, "trailing")


@pytest.mark.parametrize(
    "content", ["", "\n\n", "# nothing\n\n", "{}\n", '{"request": "", "response": ""}\n', "\ufeff"]
)
def test_input_without_a_message_says_so(run: Any, content: str) -> None:
    done = run(content)
    assert (done.code, done.out) == (2, "")
    assert "there is no message in " in done.err


def test_empty_binary_file_says_so(run: Any) -> None:
    assert "there is no message in " in run(b"", "--binary").err


@pytest.mark.parametrize(
    "content",
    [MAP.build(), bytes([0x0A, 0x01]) + bytes(30), MAP_HEX.encode("utf-16"), MAP_HEX.encode("utf-16-be")],
    ids=["message", "first byte is a newline", "UTF-16", "UTF-16 without a mark"],
)
def test_bytes_that_are_no_text_are_refused_with_the_remedy(run: Any, content: bytes) -> None:
    done = run(content)
    assert (done.code, done.out) == (2, "")
    assert "NUL" in done.err
    assert "--binary" in done.err
    assert "iconv" in done.err


def test_utf8_mark_and_line_ends_of_windows_are_no_trouble(run: Any) -> None:
    assert run(f"\ufeff{MAP_HEX}\r\n# gr\u00fcn\r\n{MAP_HEX} # \u20ac\r\n", "--json").code == 0


@pytest.mark.parametrize(("name", "why"), [("missing", "No such file"), (".", "Is a directory")])
def test_file_that_cannot_be_read_is_one_line(tmp_path: Path, capsys: Any, name: str, why: str) -> None:
    assert main(["decode", f"{tmp_path}/{name}"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert why in err


def test_standard_input_is_read(capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "vgpu_emu", "decode", "--json", "-"]
    done = subprocess.run(command, input=f"{MAP_HEX}\nzz\n", capture_output=True, text=True, check=False, timeout=60)
    good, bad = map(json.loads, done.stdout.splitlines())
    assert (good["type"], bad["error"]["path"], done.returncode) == ("RESOURCE_MAP_BLOB", "-:2", 1)


# -- limits and streaming


class Endless(io.BytesIO):
    """A file that never ends. read_lines: how many lines were taken."""

    def __init__(self, line: bytes) -> None:
        super().__init__()
        self.line = line
        self.read_lines = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        self.read_lines += 1
        return self.line


def test_lines_are_read_as_they_are_needed() -> None:
    stream = Endless(MAP_HEX.encode() + b"\n")
    items = read_messages(stream, "endless")
    assert [next(items) for _ in range(3)] == [Exchange(order, request=MAP.build()) for order in (1, 2, 3)]
    assert stream.read_lines == 3


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("over", [-1, 0, 1])
def test_longest_line(over: int, end: bytes) -> None:
    limit = 100
    line = MAP_HEX.encode().ljust(limit + over)
    first, *rest = read_messages(io.BytesIO(line + end + MAP_HEX.encode()), "file", limit)
    if over == 1:
        assert first == Unreadable(1, None, None, "size", "file:1", limit, "the line is longer than 100 bytes")
    elif end:
        assert first == Exchange(1, request=MAP.build())
    assert rest == ([Exchange(2, request=MAP.build())] if end else [])


def test_longest_binary_message_and_line_are_32_mib_and_64_mib() -> None:
    assert "64 MiB" in str(decode.__doc__)
    assert (MAX_LINE, MAX_MESSAGE) == (64 << 20, 32 << 20)
    for size, read in ((MAX_MESSAGE - 1, True), (MAX_MESSAGE, True), (MAX_MESSAGE + 1, False)):
        with open(os.memfd_create("message"), "rb") as stream:
            os.truncate(stream.fileno(), size)
            (item,) = read_binary(stream, "file")
            assert isinstance(item, Exchange) == read
            assert read or (isinstance(item, Unreadable) and item.kind == "size")
