"""``vgpu-emu decode``: files, limits and streaming."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from decode_kit import MAP, MAP_HEX, decoder

from vgpu_emu.cli import main
from vgpu_emu.cli.decode import decode
from vgpu_emu.trace.capture import MAX_LINE, MAX_MESSAGE, Exchange, Unreadable, read_binary, read_messages

run_decode = pytest.fixture(decoder)


def test_binary_file_is_one_message(run_decode: Any) -> None:
    assert run_decode(MAP.build(), "--binary", "--json").lines[0]["fields"]["resource_id"] == 5
    done = run_decode(MAP.build() + b"\n", "--binary", "--json")
    assert (done.code, done.lines[0]["error"]["kind"]) == (1, "trailing")


@pytest.mark.parametrize(
    "content", ["", "\n\n", "# nothing\n\n", "{}\n", '{"request": "", "response": ""}\n', "\ufeff"]
)
def test_input_without_a_message_says_so(run_decode: Any, content: str) -> None:
    done = run_decode(content)
    assert (done.code, done.out) == (2, "")
    assert "there is no message in " in done.err


def test_empty_binary_file_says_so(run_decode: Any) -> None:
    assert "there is no message in " in run_decode(b"", "--binary").err


@pytest.mark.parametrize(
    "content",
    [MAP.build(), bytes([0x0A, 0x01]) + bytes(30), MAP_HEX.encode("utf-16"), MAP_HEX.encode("utf-16-be")],
    ids=["message", "first byte is a newline", "UTF-16", "UTF-16 without a mark"],
)
def test_bytes_that_are_no_text_are_refused_with_the_remedy(run_decode: Any, content: bytes) -> None:
    done = run_decode(content)
    assert (done.code, done.out) == (2, "")
    assert "NUL" in done.err
    assert "--binary" in done.err
    assert "iconv" in done.err


def test_utf8_mark_and_line_ends_of_windows_are_no_trouble(run_decode: Any) -> None:
    assert run_decode(f"\ufeff{MAP_HEX}\r\n# gr\u00fcn\r\n{MAP_HEX} # \u20ac\r\n", "--json").code == 0


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
