"""``vgpu-emu fuzz``, interrupted: nothing that was found is lost."""

import json
import signal
from pathlib import Path

import pytest

from vgpu_emu.cli import main
from vgpu_emu.cli.fuzz_keeping import stoppable

INTERRUPTING = """
import os
import signal

from vgpu_emu.fuzz.defect import Wrapper

CAMPAIGN = os.getpid()


class Deaf(Wrapper):
    def handle(self, chain):
        if int.from_bytes(chain.readable[:4], "little") != 0x207:
            return self.inner.handle(chain)
        if os.getpid() == CAMPAIGN:
            os.kill(CAMPAIGN, signal.SIGINT)
        return None


class Interrupting:
    def device(self, device):
        return Deaf(device)
"""


def test_interrupts_while_a_finding_is_kept_lose_no_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The campaign's own process carries out programs when it tries the scenario of a finding, and only then."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(INTERRUPTING)
    assert main(["fuzz", "--json", *["--sequences", "60", "--defect", "mine.py:Interrupting"]]) == 1
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert err.count("what is in hand is finished") == 1
    assert said["stopped"]
    assert all(Path(finding["scenario"]).exists() for finding in said["findings"])


def test_third_interrupt_is_ignored() -> None:
    with stoppable():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


STOPPING = """
import os
import signal


class Stopping:
    made = 0

    def device(self, device):
        Stopping.made += 1
        # while one of the later seeds is tried
        if Stopping.made == 40:
            os.kill(os.getppid(), signal.SIGTERM)
        return device
"""


@pytest.mark.parametrize("json_", [False, True])
def test_score_that_is_interrupted_reports_what_it_has(
    json_: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(STOPPING)
    line = "fuzz --score --seeds 3 --sequences 15 --benign B1 --benign mine.py:Stopping"
    before = signal.getsignal(signal.SIGTERM)
    assert main([*line.split(), *["--json"] * json_]) == 130
    out, err = capsys.readouterr()
    assert err.endswith("score: what was in hand is given up\n")
    assert signal.getsignal(signal.SIGTERM) is before
    if json_:
        said = json.loads(out)
        assert (said["stopped"], said["killed"]) == (True, False)
        rows = [(row["name"], row["seeds"]) for row in said["scores"]]
    else:
        rows = [(name, int(found[2:])) for name, found, *_ in map(str.split, out.splitlines()[:2])]
    assert rows[0] == ("B1", 3)
    assert rows[1] in {("mine.py:Stopping", 1), ("mine.py:Stopping", 2)}
