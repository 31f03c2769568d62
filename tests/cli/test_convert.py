"""``vgpu-emu convert``: logs, captures and hex into other formats, and back."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

from vgpu_emu.cli import main
from vgpu_emu.trace.capture import Exchange, read_messages
from vgpu_emu.trace.exchanges import capture_of, events_of
from vgpu_emu.trace.log import CONTROLQ, GUEST, VMM, Message
from vgpu_emu.trace.logfile import log_lines, read_log
from vgpu_wire.control import CtrlType, HeaderOnly

DATA = Path(__file__).parents[1] / "data" / "captures"
CAPTURES = sorted(DATA.glob("*.jsonl"))
HEADER = '{"type":"log","schema":1}\n'
DISPLAYS = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value).build().hex()
SUFFIXES = ("pcapng", "txt", "jsonl", "trace", "mmd", "pftrace", "html")
Captured = pytest.CaptureFixture[str]


def exchanges(content: bytes) -> list[Exchange]:
    return [item for item in read_messages(io.BytesIO(content), "f") if isinstance(item, Exchange)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The event log of the demo: two runs."""
    file = tmp_path / "demo.jsonl"
    assert main(["demo", "cache", "--json", "--log", str(file)]) == 0
    return file


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda file: file.stem)
def test_a_capture_becomes_a_log_and_a_capture_again(capture: Path, tmp_path: Path) -> None:
    before = exchanges(capture.read_bytes())
    log = b"".join(log_lines({"": list(events_of(before))}))
    (events,) = read_log(io.BytesIO(log), "f").values()
    after = exchanges(capture_of(events))
    assert [(e.queue, e.request, e.response, e.capacity or 0) for e in after] == [
        (e.queue, e.request, e.response, e.capacity or 0) for e in before
    ]
    assert [e.seconds for e in after] == pytest.approx([e.seconds or 0.0 for e in before])


def test_a_log_of_a_replay_replays_as_it_was(tmp_path: Path, capsys: Captured) -> None:
    """Log, capture, replay: the device answers its own log as it did."""
    log, capture = tmp_path / "log.jsonl", tmp_path / "capture.jsonl"
    for name in ("virgl64", "2d"):
        assert main(["replay", str(DATA / f"{name}.jsonl"), "--log", str(log)]) == 0
        assert main(["convert", str(log), str(capture)]) == 0
        capsys.readouterr()
        assert main(["replay", str(capture), "--json"]) == 0
        outcome = json.loads(capsys.readouterr().out)
        assert (outcome["commands"], outcome["differences"]) == (len(exchanges(capture.read_bytes())), [])


def test_decode_and_replay_read_logs(log: Path, tmp_path: Path, capsys: Captured) -> None:
    one, capture = tmp_path / "one.jsonl", tmp_path / "capture.jsonl"
    assert main(["replay", str(DATA / "2d.jsonl"), "--log", str(one)]) == 0
    assert main(["convert", str(one), str(capture)]) == 0
    capsys.readouterr()
    for command in ("decode", "replay"):
        shown = []
        for file in (one, capture):
            assert main([command, "--json", str(file)]) == 0
            shown.append(capsys.readouterr().out)
        assert shown[0] == shown[1]
    assert main(["decode", "--json", str(log)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 20
    assert main(["replay", str(log)]) == 2
    assert "2 runs, 1 wanted: vgpu-emu convert" in capsys.readouterr().err


def test_run_writes_its_scenarios_as_runs(tmp_path: Path, capsys: Captured) -> None:
    log = tmp_path / "log.jsonl"
    scenario = Path(__file__).parents[2] / "scenarios" / "map-blob" / "attribute.vgpu.toml"
    main(["run", "--json", "--log", str(log), str(scenario)])
    ids = [each["id"] for each in json.loads(capsys.readouterr().out)["scenarios"]]
    with log.open("rb") as stream:
        runs = read_log(stream, "f")
    assert list(runs) == ids
    assert all(any(isinstance(event, Message) for event in events) for events in runs.values())


@pytest.mark.parametrize("command", ["decode", "replay"])
def test_a_broken_log_is_one_line_for_decode_and_replay(command: str, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "log").write_text(HEADER + "{")
    assert main([command, str(tmp_path / "log")]) == 2
    assert capsys.readouterr() == ("", f"vgpu-emu: {tmp_path}/log:2: Input data was truncated\n")


def test_the_suffix_says_the_format(log: Path, tmp_path: Path) -> None:
    written = {}
    for suffix in SUFFIXES:
        out = tmp_path / f"out.{suffix}"
        assert main(["convert", str(log), str(out), "--run", "2"]) == 0
        written[suffix] = out.read_bytes()
    assert written["pcapng"].startswith(b"\x0a\x0d\x0d\x0a")
    assert b"guest -> vmm     RESOURCE_MAP_BLOB" in written["txt"]
    assert len(exchanges(written["jsonl"])) == 5
    assert b"virtio_gpu_cmd_res_map_blob res 0x2" in written["trace"]
    assert written["mmd"].startswith(b"sequenceDiagram\n")
    assert Trace.FromString(written["pftrace"]).packet
    assert written["html"].startswith(b"<!doctype html>")


def test_every_run_is_written(log: Path, capsys: Captured) -> None:
    assert main(["convert", str(log), "-", "--format", "ladder"]) == 0
    both = capsys.readouterr().out
    parts = []
    for run in ("1", "2"):
        assert main(["convert", str(log), "-", "--format", "ladder", "--run", run]) == 0
        parts.append(capsys.readouterr().out)
    assert both == "".join(parts)
    assert [part.splitlines()[0] for part in parts] == [
        "a kernel without DMA_BUF_IOCTL_INFO",
        "a kernel with DMA_BUF_IOCTL_INFO",
    ]


def test_hex_is_read_too(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "messages.hex"
    file.write_text(f"# a comment\n{DISPLAYS}\n")
    assert main(["convert", str(file), "-", "--format", "qemu"]) == 0
    assert capsys.readouterr().out == "virtio_gpu_cmd_get_display_info \n"


def test_what_is_written_of_a_pipe_is_what_is_written_of_a_file(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    assert main(["convert", str(log), str(out)]) == 0
    command = [sys.executable, "-m", "vgpu_emu", "convert", "-", "-", "--format", "pcapng"]
    done = subprocess.run(command, input=log.read_bytes(), capture_output=True, check=True, timeout=60)
    assert done.stdout == out.read_bytes()


def test_closed_output_is_one_line(log: Path) -> None:
    command = f"{sys.executable} -m vgpu_emu convert {log} - --format ladder >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, "vgpu-emu: standard output is closed: name a file\n")


def test_a_line_of_the_ladder_cannot_talk_to_the_terminal(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "log"
    note = '{"type":"note","seconds":0,"who":"a\\u001b[2J","name":"b\\nc","values":{"\\u202e":"\\u0007"}}\n'
    file.write_text(HEADER.replace("1}", '1,"run":"\\u001b[31mred"}') + note)
    assert main(["convert", str(file), "-", "--format", "ladder"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2
    assert all(" " <= c <= "~" or c == "\n" for c in out)


NOTE = '{"type":"note","seconds":0,"who":"vmm","name":"assembled","values":{"dialect":["no"]}}\n'
ODD: list[dict[str, Any]] = [
    {"link": "gossip", "sender": "x", "receiver": "y", "data": "00"},
    {"link": "controlq", "sender": "vmm", "receiver": "guest", "data": "ff"},
    {"link": "cursorq", "sender": "vmm", "receiver": "guest", "data": ""},
    {"link": "renderer", "sender": "vmm", "receiver": "host", "data": "ffffffff"},
    {"link": "renderer", "sender": "host", "receiver": "vmm", "data": "ff" * 4 + "00" * 12},
    {"link": "renderer", "sender": "host", "receiver": "vmm", "data": "", "fds": [1 << 40]},
    {"link": "fences", "sender": "host", "receiver": "vmm", "data": "00"},
    {"link": "controlq", "sender": "guest", "receiver": "vmm", "data": "", "head": (1 << 63) - 1, "seconds": 1e10},
]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_log_of_nonsense_is_written_all_the_same(suffix: str, tmp_path: Path, capsys: Captured) -> None:
    file, out = tmp_path / "log", tmp_path / f"out.{suffix}"
    lines = [json.dumps({"type": "message", "seconds": 0, **odd}) + "\n" for odd in ODD]
    file.write_text(HEADER + NOTE + "".join(lines) + NOTE + ("" if suffix == "jsonl" else 2 * (HEADER + lines[-1])))
    assert main(["convert", str(file), str(out)]) == 0
    assert out.exists()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "arguments", "says"),
    [
        (HEADER, ["out.foo"], "no format has the suffix of out.foo: use --format NAME, or one of .pcapng"),
        (HEADER, ["./log", "--format", "capture"], "./log is the file that is read: give OUT another name"),
        (HEADER, ["-"], "standard output has no suffix: use --format NAME"),
        (HEADER + "{", ["o.txt"], "log:2: Input data was truncated"),
        (HEADER + '{"type":"rumour"}', ["o.txt"], "log:2: Invalid value 'rumour'"),
        ("", ["o.txt"], "there is no event and no message in"),
        ('{"request": "0x"', ["o.txt"], "log:1: "),
        ("xyz", ["o.txt"], "log:1: 'x' is no hex digit"),
        (HEADER + HEADER, ["o.jsonl"], "a capture is one run, "),
        (HEADER, ["o.txt", "--run", "0"], "no run 0 in"),
        (HEADER, ["o.txt", "--run", "2"], "--run 1 is unnamed"),
        (HEADER, ["no/such/directory.txt"], "cannot write no/such/directory.txt: No such file or directory"),
        (HEADER, ["o.txt", "--format", "pdf"], "pdf"),
    ],
)
def test_a_mistake_is_one_line(
    content: str, arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").write_text(content)
    assert main(["convert", "log", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err


def test_of_many_runs_the_first_are_listed(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "log").write_text(9 * HEADER)
    assert main(["convert", str(tmp_path / "log"), str(tmp_path / "o.jsonl")]) == 2
    err = capsys.readouterr().err
    assert err.endswith("--run 8 is (8) ... up to --run 9\n")


def test_a_file_that_is_not_there_is_one_line(capsys: Captured) -> None:
    assert main(["convert", "/no/such/log", "out.txt"]) == 2
    assert capsys.readouterr().err == "vgpu-emu: cannot read /no/such/log: No such file or directory\n"


def test_answers_find_their_requests_by_queue_and_head() -> None:
    requests = [Message(0, CONTROLQ, GUEST, VMM, bytes([n]), n) for n in (1, 2)]
    answers = [Message(0, CONTROLQ, VMM, GUEST, bytes([16 + n]), n) for n in (2, 1)]
    found = exchanges(capture_of([*requests, *answers]))
    assert [(e.request, e.response) for e in found] == [(b"\1", b"\x11"), (b"\2", b"\x12")]


@pytest.mark.parametrize(("time", "seconds"), [("1e10", 1e10), ("1.1e10", None), ("-1", None), ('"1"', None), ("7", 7)])
def test_the_time_of_a_capture_is_taken_if_it_is_one(time: str, seconds: float | None) -> None:
    (found,) = exchanges(f'{{"t": {time}, "request": "00"}}'.encode())
    assert found.seconds == seconds
