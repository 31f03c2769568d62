"""``vgpu-emu serve``: what it refuses, what it prints, how it ends."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from vgpu_emu.cli import main
from vgpu_emu.cli.serve_options import ServeOptions, region_size
from vgpu_emu.cli.usage import UsageError
from vgpu_wire.device import Feature


@pytest.fixture
def path() -> Iterator[str]:
    # tmp_path may be too long for a socket
    with TemporaryDirectory() as directory:
        yield f"{directory}/gpu.sock"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "--socket"),
        (["--scanouts", "0"], "--scanouts 0: there are 1 to 16"),
        (["--scanouts", "17"], "--scanouts 17: there are 1 to 16"),
        (["--host-visible", "3G"], "'3G': a power of two from 4K to 1T, such as 8G or 256M; or 0"),
        (["--host-visible", "2T"], "'2T': a power of two"),
        (["--host-visible", "2K"], "'2K': a power of two"),
        (["--host-visible", "G"], "'G': a power of two"),
        (["--features", "virgl,teapot"], "no feature 'teapot'; there are virgl, edid"),
        (["--features", "context_init"], "--features: context_init needs virgl"),
        (["--features", "blob_alignment"], "--features: blob_alignment needs resource_blob"),
        (["--blob-id", "1=purple"], "'1=purple': it is ID=none|cached|uncached|wc"),
        (["--profile", "bochs"], "bochs"),
        (["--capture", "/proc/no/such"], "cannot write /proc/no/such: No such file"),
        (["--log", "/"], "cannot write /: Is a directory"),
        (["--screenshot-dir", "/proc/no"], "cannot write /proc/no: No such file"),
    ],
)
def test_mistake_is_one_line(path: str, arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*arguments, "--socket", path] if arguments else []
    assert main(["serve", "vfio-user", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vgpu-emu: ")
    assert err.count("\n") == 1
    assert line in err
    assert not os.path.lexists(path)


def test_live_socket_and_file_are_left_alone(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path)
        live.listen()
        assert main(["serve", "vfio-user", "--socket", path]) == 2
        assert capsys.readouterr().err == f"vgpu-emu: cannot listen on {path}: somebody listens on it already\n"
    assert main(["serve", "vfio-user", "--socket", "/etc/hostname"]) == 2
    assert capsys.readouterr().err.endswith("it exists and is no socket\n")
    assert main(["serve", "vfio-user", "--socket", path + "x" * 108]) == 2
    assert "path too long" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("4096", 4096), ("8g", 1 << 33), ("1T", 1 << 40)])
def test_size_is_a_number_with_a_unit(text: str, size: int) -> None:
    assert region_size(text) == size


@pytest.mark.parametrize("text", ["", "8GB", "0x1000", "²", "1.5G", "9" * 30, "8193"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="power of two"):
        region_size(text)


def test_default_offers_everything_above_4_gib() -> None:
    config = ServeOptions().config()
    assert config.features == frozenset(Feature)
    assert config.host_visible == 8 << 30
    assert config.tagged_blobs


def test_server_prints_what_to_paste_and_ends_with_ctrl_c(path: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vgpu_emu", "serve", "vfio-user", "--socket", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True) as server:
        assert server.stdout is not None
        pasted = shlex.split(server.stdout.readline())
        device = json.loads(pasted[pasted.index("-device") + 1])
        assert device == {"driver": "vfio-user-pci", "socket": {"type": "unix", "path": path}}
        assert "memory-backend-memfd,id=ram,size=1G,share=on" in pasted
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.send(b"x")
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=30)
    assert (server.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert not os.path.lexists(path)


@pytest.mark.parametrize("route", ["vfio-user", "vhost-user"])
def test_help_has_examples_and_says_what_every_option_is_for(route: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["serve", route, "--help"])
    shown = capsys.readouterr().out
    assert f"vgpu-emu serve {route} --socket /tmp/gpu.sock" in shown
    assert "Where QEMU connects" in shown
    options = [line for line in shown.splitlines() if "--" in line and line.startswith("│")]
    assert len(options) == 12
    assert all(len(line.strip("│ *").split(maxsplit=2)) == 3 for line in options if "--trace" not in line)
