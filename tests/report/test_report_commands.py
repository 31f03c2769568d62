"""The commands that write a report."""

import sys
from pathlib import Path

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace
from test_report_page import Page

from vgpu_emu.cli import main

DEMO = ["demo", "cache"]
MATRIX = ["matrix", "--exporter", "wc", "--profile", "strict"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "report"


@pytest.mark.parametrize("platform", [[], ["--platform", "arm64-fwb"], ["--platform", "intel", "--firmware", "ovmf"]])
@pytest.mark.parametrize("exporter", ["wc", "incoherent", "drm"])
def test_demo_writes_a_page(file: Path, platform: list[str], exporter: str) -> None:
    assert main([*DEMO, "--exporter", exporter, *platform, "--html", str(file)]) == 0
    shown = " ".join(Page(file.read_text(encoding="utf-8")).words)
    assert "RESOURCE_MAP_BLOB" in shown
    assert (platform[1] if platform else "amd") in shown


def test_the_page_is_the_same_on_every_run(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("first", "second")]
    for each in files:
        assert main([*DEMO, "--platform", "amd", "--html", str(each)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_table_stays_as_it_is_beside_a_page(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(DEMO) == 0
    without = capsys.readouterr().out
    assert main([*DEMO, "--html", str(file)]) == 0
    assert capsys.readouterr().out == without


def test_matrix_writes_a_page(file: Path) -> None:
    assert main([*MATRIX, "--html", str(file)]) == 0
    shown = " ".join(Page(file.read_text(encoding="utf-8")).words)
    assert "Normal-NC" in shown
    assert "combinations" in shown


@pytest.mark.parametrize("name", ["sogen#1097", "edk2#13129", "dosemu2#2813", "wayland-proxy-virtwl#33"])
def test_bug_report_writes_a_page(file: Path, name: str) -> None:
    assert main(["demo", "report", name, "--html", str(file)]) == 0
    page = Page(file.read_text(encoding="utf-8"))
    assert name in " ".join(page.words)
    assert ("stepper" in page.values("class")) == (name != "edk2#13129")
    assert "stepper calm" in page.values("class")


CAPTURES = Path(__file__).parents[1] / "data" / "captures"


@pytest.mark.parametrize(
    ("capture", "code", "says"),
    [
        ("virgl64", 0, "1946 of 1946 commands are answered as recorded."),
        ("vhost_user_gpu_72_errors", 1, "#22 UPDATE_CURSOR: type is RESP_OK_NODATA; recorded was nothing."),
    ],
)
def test_replay_writes_a_page(file: Path, capture: str, code: int, says: str) -> None:
    assert main(["replay", str(CAPTURES / f"{capture}.jsonl"), "--html", str(file)]) == code
    page = Page(file.read_text(encoding="utf-8"))
    assert says in " ".join(page.words)
    # beyond the messages that are shown nothing is linked to
    assert {link[1:] for link in page.values("href")} <= set(page.values("id"))


def test_a_page_of_no_report_is_a_mistake(file: Path) -> None:
    assert main(["demo", "report", "--html", str(file)]) == 2
    assert not file.exists()


def test_stdout_is_for_one_thing() -> None:
    assert main([*DEMO, "--json", "--mermaid"]) == 2


def test_demo_prints_one_diagram_of_both_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DEMO, "--mermaid"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("sequenceDiagram\n")
    assert text.count("RESOURCE_MAP_BLOB resource_id") == 2


def test_demo_writes_a_trace(file: Path) -> None:
    assert main([*DEMO, "--perfetto", str(file)]) == 0
    trace = Trace()
    trace.ParseFromString(file.read_bytes())
    assert {packet.track_descriptor.name for packet in trace.packet} >= {"guest", "VMM", "host"}


@pytest.mark.parametrize(
    ("command", "option", "module", "says"),
    [
        (DEMO, "--html", "jinja2", "pip install 'vgpu-emu[report]'"),
        (MATRIX, "--html", "jinja2", "pip install 'vgpu-emu[report]'"),
        (DEMO, "--perfetto", "perfetto.trace_builder.proto_builder", "pip install 'vgpu-emu[perfetto]'"),
    ],
)
def test_what_is_missing_is_named_in_one_line(
    command: list[str],
    option: str,
    module: str,
    says: str,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main([*command, option, str(file)]) == 2
    complaint = capsys.readouterr().err
    assert says in complaint
    assert complaint.count("\n") == 1
    assert not file.exists()


@pytest.mark.parametrize("arguments", [[*DEMO, "--html"], [*DEMO, "--perfetto"], [*MATRIX, "--html"]])
def test_a_file_that_cannot_be_written_is_named_in_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, str(tmp_path / "nowhere" / "report")]) == 2
    complaint = capsys.readouterr().err
    assert "cannot write" in complaint
    assert complaint.count("\n") == 1
