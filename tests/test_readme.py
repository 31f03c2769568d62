"""The README, and the page on attributes, show what the commands really print."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TEXT = README + (ROOT / "docs" / "attributes.md").read_text()
#: ```console blocks: a command, then all that it prints
CONSOLE = [block.split("\n", 1) for block in re.findall(r"^```console\n\$ (.*?)^```", TEXT, re.M | re.S)]
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)


def run(command: str) -> str:
    """stdout of a README command line, in the environment that the tests run in."""
    program, *arguments = shlex.split(command)
    assert program == ".venv/bin/vgpu-emu", command
    done = subprocess.run(
        [sys.executable, "-m", "vgpu_emu", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
    )
    return done.stdout


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def test_there_are_blocks_to_check() -> None:
    assert len(CONSOLE) >= 3
    assert PYTHON


@pytest.mark.parametrize(("command", "shown"), CONSOLE, ids=[command for command, _ in CONSOLE])
def test_console_block_shows_real_output(command: str, shown: str) -> None:
    assert lines(run(command)) == lines(shown)


@pytest.mark.parametrize("source", PYTHON, ids=range(len(PYTHON)))
def test_python_block_runs(source: str) -> None:
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_set_up_is_what_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    for command in re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)[0].splitlines():
        assert command in ci.splitlines()


def test_scenario_runs(tmp_path: Path) -> None:
    (scenario,) = re.findall(r"^```toml\n(.*?)^```", README, re.M | re.S)
    file = tmp_path / "readme.vgpu.toml"
    file.write_text(scenario)
    done = subprocess.run(
        [sys.executable, "-m", "vgpu_emu", "run", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
