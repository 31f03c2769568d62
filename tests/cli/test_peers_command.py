"""``python -m peers``: what it says where there is nothing to boot, and how it shows what guests found."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from vgpu_emu.attributes.mtrr import Bar
from vgpu_emu.cli import run_commands
from vgpu_emu.cli.peers import app
from vgpu_emu.cli.peers_view import show
from vgpu_emu.peers.check.routes import ROUTES
from vgpu_emu.peers.check.rows import Outcome, Row, compared
from vgpu_emu.peers.check.run import Report


@pytest.fixture(autouse=True)
def no_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VGPU_EMU_PEERS", str(tmp_path / "parts"))


@pytest.mark.parametrize("command", ["check", "igt"])
def test_without_the_parts_it_is_skipped_and_says_why(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_commands(app, [command]) == 77
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("vgpu-emu: skipped: ")
    assert output.err.count("\n") == 1


def test_programs_that_are_missing_are_named_with_their_packages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_commands(app, ["get"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "apt-get install" in said
    assert "zstd" in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["check", "--route", "carrier-pigeon"], "no route 'carrier-pigeon'; there are virtio-gpu-pci, "),
        (["check", "--features", "magic"], "no feature 'magic'; there are virgl, "),
        (["igt", "--route", "virtio-gpu-pci"], "virtio-gpu-pci is what our device is compared with"),
        (["cheque"], 'Unknown command "cheque". Available commands: get, check, igt'),
    ],
)
def test_mistake_is_one_line(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_commands(app, arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"vgpu-emu: {complaint}")
    assert said.count("\n") == 1


def shown(*reports: Report) -> str:
    text = io.StringIO()
    show(list(reports), "7.2", "It proves little.", Console(file=text, width=100))
    return text.getvalue()


def report(route: str, bar: Bar | None, *rows: Row) -> Report:
    return Report(ROUTES[route], bar, list(rows), Path("/logs") / route)


def test_guests_are_columns_and_what_differs_is_told_in_full() -> None:
    good, bad = compared("fence", "rings are independent", "yes", "yes"), compared("uuid", "asked", "yes", "never")
    text = shown(report("virtio-gpu-pci", None, good), report("vfio-user", Bar.ABOVE_4G, good, bad))
    lines = [line.split() for line in text.splitlines()]
    assert ["fence:", "rings", "are", "independent", "ok", "ok"] in lines
    assert ["uuid:", "asked", "-", "NO"] in lines
    assert "2 uuid: asked: expected yes, seen never" in text
    assert "logs /logs/vfio-user" in text
    assert text.endswith("It proves little.\n")


def test_attributes_have_a_table_with_the_model_last() -> None:
    rows = [Row("attribute", "wc", "write-combining", seen, Outcome.OK) for seen in ("write-combining", "write-back")]
    text = shown(report("vfio-user", Bar.ABOVE_4G, rows[0]), report("vhost-user", Bar.ABOVE_4G, rows[1]))
    lines = [line.split() for line in text.splitlines()]
    assert ["blob", "BAR", "vfio-user", "vhost-user", "model"] in lines
    assert ["wc", "above-4g", "write-combining", "write-back", "write-combining"] in lines
