"""``vgpu-emu fuzz`` when one of its processes is killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def test_process_that_is_killed_ends_the_campaign_and_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "vgpu_emu", "fuzz", "--time", "1h", "--json", "--jobs", "2", "--corpus", "corpus"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "programs" in process.stderr.readline()
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(workers[0]), signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    said = json.loads(out)
    assert process.returncode == 137
    assert (said["killed"], said["stopped"]) == (True, False)
    assert said["sequences"] >= 200
    assert err.endswith("a process that carried out programs was killed; what it had in hand is lost\n")
    assert len(list((tmp_path / "corpus").iterdir())) > 50
