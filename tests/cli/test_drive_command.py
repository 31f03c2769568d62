"""``drive``, ``replay --device`` and ``run --device``: a device that a command starts, and mistakes about it."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vgpu_emu.cli import main


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our own, in a process of its own, which takes one connection after the other."""
    path = tmp_path_factory.mktemp("device") / "gpu.sock"
    command = [sys.executable, "-m", "vgpu_emu", "serve", "vhost-user", "--socket", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        # it says how to connect as soon as one can
        server.stdout.readline()
        yield f"vhost-user:{path}"
        server.terminate()


def test_our_own_device_is_strict(capsys: pytest.CaptureFixture[str], device: str) -> None:
    assert main(["drive", "--device", device, "--profile", "strict", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    assert "RESOURCE_BLOB" in found["offer"]["virtio_gpu"]
    assert len(found["answers"]) > 140
    assert found["failures"] == []
    assert found["skipped"] == {}
    assert [(each["name"], each["differences"]) for each in found["profiles"]] == [("strict", [])]


def test_device_that_dies_is_named_with_its_last_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program = tmp_path / "device.py"
    program.write_text(
        "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\ns.accept()\n"
        "sys.exit('no GPU here')\n"
    )
    command = f"{shlex.quote(sys.executable)} {program} {{socket}}"
    assert main(["drive", "--device", f"vhost-user:{tmp_path / 's'}", "--command", command]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "exit status 1, last line: no GPU here" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["drive", "--device", "gpu.sock"], "it is vhost-user:PATH"),
        (["drive", "--device", "vhost-user:"], "it is vhost-user:PATH"),
        (["drive", "--device", "vhost-user:/nowhere/s"], "start one first, as: "),
        (["drive", "--device", "vhost-user:/nowhere/s", "--command", "gpu"], "write {socket} there"),
        (["drive", "--device", "vhost-user:/nowhere/s", "--patience", "0"], "a number of seconds, above 0"),
        (["drive", "--device", "vhost-user:/nowhere/s", "--profile", "qemu"], "no profile 'qemu'"),
        (["drive"], "requires an argument"),
    ],
)
def test_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert says in printed.err


def test_capture_is_answered_by_the_device(capsys: pytest.CaptureFixture[str], device: str, tmp_path: Path) -> None:
    capture = tmp_path / "capture.jsonl"
    info, unknown = bytes([0, 1]) + bytes(22), bytes([2, 1]) + bytes(30)
    lines = [(info, bytes([1, 0x11]) + bytes(406)), (unknown, bytes([0, 0x11]) + bytes(22))]
    capture.write_text("".join(f'{{"request": "{a.hex()}", "response": "{b.hex()}"}}\n' for a, b in lines))
    assert main(["replay", "--device", device, str(capture)]) == 1
    said = capsys.readouterr().out
    assert "RESOURCE_UNREF: type RESP_ERR_INVALID_RESOURCE_ID, recorded RESP_OK_NODATA" in said
    assert "2 commands, 1 answered as recorded, 1 difference" in said
    for wrong in (["--device", device, "--profile", "strict"], ["--command", "gpu {socket}"]):
        assert main(["replay", *wrong, str(capture)]) == 2


def test_scenarios_are_carried_out_on_the_device(
    capsys: pytest.CaptureFixture[str], device: str, tmp_path: Path
) -> None:
    file = tmp_path / "one.vgpu.toml"
    file.write_text('id = "one@one"\nwhy = "W."\n[[step]]\ndo = "create-dumb"\nwidth = 64\nheight = 64\n')
    arguments = ["run", "--device", device, str(file)]
    assert main([*arguments, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["scenarios"]
    assert (found["outcome"], found["steps"]) == ("passed", 1)
    file.write_text('id = "one@one"\nwhy = "W."\n[[step]]\ndo = "check"\n')
    assert main(arguments) == 77
    assert "is about the insides of VMM or host" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--device", "vhost-user:/nowhere/x"], "nothing answers at the socket: /nowhere/x"),
        (["--device", "vhost-user:/nowhere/x", "--jobs", "2"], "without --seed"),
        (["--device", "vhost-user:/nowhere/x", "--patience", "0"], "a number of seconds"),
        (["--device", "vhost-user:/nowhere/x", "--profile", "foo"], "foo"),
        (["--command", "gpu {socket}"], "--command: of no effect without --device"),
        (["--patience", "0"], "--patience: of no effect without --device"),
    ],
)
def test_mistake_about_the_device_of_scenarios_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["run", *arguments, "scenarios/profiles/flushes.vgpu.toml"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert says in said
