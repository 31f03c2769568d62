"""The event log on disk: what is written is read back, and a file that is none is refused where it goes wrong."""

import io
import json
from pathlib import Path
from typing import BinaryIO, cast

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import create_and_mmap

from vgpu_emu.cli import main
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.trace.log import Event, Message, Note
from vgpu_emu.trace.logfile import MAX_EVENTS, MAX_FILE, MAX_LINE, LogError, log_lines, read_log, says_log, schema

HEADER = b'{"type":"log","schema":1}\n'
NOTE = b'{"type":"note","seconds":0,"who":"vmm","name":"n","values":{}}\n'

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
counts = st.integers(0, 2**63 - 1)
seconds = st.floats(0, 1e10)
messages = st.builds(
    Message, seconds, names, names, names, st.binary(max_size=40), counts, counts, st.tuples(counts, counts)
)
values = st.dictionaries(names, st.none() | st.booleans() | counts | names | st.lists(names))
notes = st.builds(Note, seconds, names, names, values)


def read(content: bytes, **limits: int) -> dict[str, list[Event]]:
    return read_log(io.BytesIO(content), "f", **limits)


def refused(content: bytes, **limits: int) -> LogError:
    with pytest.raises(LogError) as caught:
        read(content, **limits)
    return caught.value


@given(st.dictionaries(names.filter(lambda name: "(" not in name), st.lists(messages | notes), min_size=1))
def test_what_was_written_is_read_back(runs: dict[str, list[Event]]) -> None:
    assert read(b"".join(log_lines(runs))) == runs


def test_a_run_of_the_machine_is_read_back() -> None:
    with Lockstep() as machine:
        machine.run(create_and_mmap(DrmFile(machine.driver)))
        events = list(machine.log.events)
    assert read(b"".join(log_lines({"": events}))) == {"": events}
    assert len(events) > 10


def test_files_can_be_written_one_behind_the_other() -> None:
    assert list(read(3 * (HEADER + NOTE))) == ["", "(2)", "(3)"]


def test_every_line_is_valid_under_the_published_schema() -> None:
    message, note = Message(1.5, "controlq", "guest", "vmm", b"\x01", 1, 2, (3,)), Note(0.5, "vmm", "n", {"a": 1})
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(schema())))
    lines = [json.loads(line) for line in log_lines({"r": [message, note]})]
    assert [line["type"] for line in lines] == ["log", "message", "note"]
    for line in lines:
        validator.validate(line)
        assert not validator.is_valid({**line, "more": 1})
    assert not validator.is_valid({**lines[1], "data": "0"})


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"", None, "no header"),
        (b"\n\n", None, "no header"),
        (NOTE, 1, "before any header"),
        (b"\0", 1, "malformed"),
        (HEADER + b"{", 2, "truncated"),
        (HEADER + NOTE[:-10], 2, "truncated"),
        (b'{"type":"log","schema":2}', 1, "schema"),
        (b'{"type":"log"}', 1, "schema"),
        (HEADER + b'{"type":"rumour"}', 2, "'rumour'"),
        (HEADER + b'{"seconds":0}', 2, "`type`"),
        (HEADER + b"[]", 2, "array"),
        (HEADER + NOTE.replace(b"{}", b'{"a":' + 200_000 * b"["), 2, ""),
        (HEADER + NOTE.replace(b":0", b":-1"), 2, "seconds"),
        (HEADER + NOTE.replace(b":0", b":1e400"), 2, "seconds"),
        (HEADER + NOTE.replace(b'"n"', b'"n","more":1'), 2, "more"),
        (HEADER + NOTE.replace(b'"n"', b'"\xff"'), 2, "utf-8"),
        (HEADER + NOTE.replace(b'"n"', rb'"\ud800"'), 2, "surrogate"),
    ],
)
def test_a_file_that_is_no_log_is_refused_at_its_line(content: bytes, line: int | None, says: str) -> None:
    error = refused(content)
    assert error.path == (f"f:{line}" if line else "f")
    assert says in error.detail


@pytest.mark.parametrize("data", ["0", "0g", "AB", " 00", "0x00"])
def test_data_that_is_not_lower_case_hex_is_refused(data: str) -> None:
    line = {"type": "message", "seconds": 0, "link": "a", "sender": "b", "receiver": "c", "data": data}
    assert "data" in refused(HEADER + json.dumps(line).encode()).detail


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_may_be_as_long_as_the_limit_and_no_longer(end: bytes) -> None:
    line = NOTE.rstrip()
    for limit in (len(line) + 1, len(line)):
        assert len(read(HEADER + line + end, max_line=limit)[""]) == 1
    error = refused(HEADER + line + end, max_line=len(line) - 1)
    assert (error.path, error.detail) == ("f:2", f"the line is longer than {len(line) - 1} bytes")


def test_a_file_may_be_as_long_as_the_limit_and_no_longer() -> None:
    content = HEADER + NOTE
    for limit in (len(content) + 1, len(content)):
        assert len(read(content, max_file=limit)[""]) == 1
    assert "file is longer" in refused(content, max_file=len(content) - 1).detail


@pytest.mark.parametrize("content", [HEADER + 3 * NOTE, 3 * HEADER, 2 * (HEADER + NOTE) + NOTE])
def test_as_many_events_and_runs_as_the_limit_and_no_more(content: bytes) -> None:
    for limit in (4, 3):
        assert read(content, max_events=limit)
    assert refused(content, max_events=2).detail == "more than 2 events"


def test_the_limits_bound_memory() -> None:
    assert (MAX_LINE, MAX_FILE, MAX_EVENTS) == (1 << 26, 1 << 28, 1 << 20)


@pytest.mark.parametrize(
    ("start", "says_so"), [(HEADER, True), (b' { "schema": 1, "type": "log"}', True), (NOTE, False), (b"0102", False)]
)
def test_a_log_is_known_by_its_header(start: bytes, says_so: bool) -> None:
    assert says_log(cast(BinaryIO, io.BufferedReader(io.BytesIO(start)))) == says_so
    assert not says_log(io.BytesIO(start))


def test_demo_and_replay_write_their_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo, replayed = tmp_path / "demo", tmp_path / "replay"
    assert main(["demo", "cache", "--json", "--log", str(demo)]) == 0
    runs = read(demo.read_bytes())
    assert list(runs) == ["a kernel without DMA_BUF_IOCTL_INFO", "a kernel with DMA_BUF_IOCTL_INFO"]
    capture = tmp_path / "capture"
    capture.write_text('{"request": "000100000000000000000000000000000000000000000000"}')
    assert main(["replay", str(capture), "--log", str(replayed)]) == 1
    (events,) = read(replayed.read_bytes()).values()
    assert [len(event.data) for event in events if isinstance(event, Message)] == [24, 408]
    capsys.readouterr()


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "event"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(schema()))


def test_a_log_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "cache", "--json", "--log", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"vgpu-emu: cannot write {tmp_path}: Is a directory\n"
