"""``vgpu-emu fuzz``, as somebody uses it."""

import json
import signal
import subprocess
import sys
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from vgpu_emu.cli import main
from vgpu_emu.fuzz.actions import Program, Send
from vgpu_emu.fuzz.encoding import decode, encode
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.oracles import that_apply
from vgpu_emu.fuzz.reading import program_of
from vgpu_emu.fuzz.telling import Head, tell
from vgpu_emu.scenario.loading import load
from vgpu_wire.resource import ResourceCreate2D, ResourceUnref

DEFECT = """
from vgpu_emu.fuzz.defect import Wrapper


class Deaf(Wrapper):
    def handle(self, chain):
        return self.inner.handle(chain) if int.from_bytes(chain.readable[:4], "little") != 0x207 else None


class DeafToSubmit:
    def device(self, device):
        return Deaf(device)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fuzz(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, dict[str, Any], str]:
    code = main(["fuzz", "--json", *line.split()])
    captured = capsys.readouterr()
    return code, json.loads(captured.out or "{}"), captured.err


def test_clean_campaign(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, said, _ = fuzz(capsys, "--sequences 50 --seed 4")
    assert code == 0
    assert (said["schema"], said["sequences"], said["findings"]) == (1, 50, [])
    assert said["commands"] > 50
    assert list(said["oracles"]) == [oracle.name for oracle in that_apply("core")]
    assert said["coverage"]["states"] >= said["coverage"]["outcomes"] >= said["coverage"]["conditions"] > 20
    assert not (tmp_path / "findings").exists()


def test_corpus_grows_and_is_started_from(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "README").write_text("hello")
    fuzz(capsys, "--sequences 20 --corpus corpus")
    first = set((tmp_path / "corpus").iterdir())
    code, said, err = fuzz(capsys, "--sequences 20 --corpus corpus")
    assert code == 0
    assert said["sequences"] == 20 + len(first) - 1
    assert set((tmp_path / "corpus").iterdir()) > first
    assert "corpus: 1 file left out: README (its name is no SHA-1)" in err


def test_defect_of_a_file_is_found_and_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(DEFECT)
    code, said, _ = fuzz(capsys, "--sequences 60 --defect mine.py:DeafToSubmit")
    assert code == 1
    finding = next(each for each in said["findings"] if each["oracle"] == "I19")
    assert len(decode(bytes.fromhex(finding["minimised"])).steps) == finding["commands"] <= 3
    assert Path(finding["file"]).exists()
    assert finding["scenario_wrong"] == ""
    assert main(["run", finding["scenario"]]) == 0
    assert main(["run", "--defect", "mine.py:DeafToSubmit", finding["scenario"]]) == 1
    assert "I19 one answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--sequences 0", "--sequences 0: a number from 1 on"),
        ("--time soon", "--time soon: a time above 0, such as 90s, 10m or 2h"),
        ("--target moon", "no target 'moon'; there are core"),
        ("--profile moon", "no profile 'moon'"),
        ("--defect gone.py:Bug", "--defect no Python file 'gone.py'"),
    ],
)
def test_mistakes_are_told_in_a_line(capsys: pytest.CaptureFixture[str], line: str, says: str) -> None:
    assert main(["fuzz", *line.split()]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_oracles_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuzz", "--oracles"]) == 0
    listed = capsys.readouterr().out
    assert "I1  propagation (core, machine, process)" in listed
    assert fuzz(capsys, "--oracles")[1]["oracles"][35]["name"] == "I36"


def test_interrupt_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vgpu_emu", "fuzz", "--time", "1h", "--json", "--corpus", "corpus"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        # the first line of progress: the campaign is under way
        assert process.stderr is not None
        assert "programs" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    said = json.loads(out)
    assert process.returncode == 130
    assert said["stopped"]
    assert said["sequences"] >= 200
    assert "what is in hand is finished" in err
    assert len(list((tmp_path / "corpus").iterdir())) > 50


def test_finding_is_minimised_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(DEFECT)
    _code, said, _ = fuzz(capsys, "--sequences 60 --defect mine.py:DeafToSubmit")
    (tmp_path / "program").write_bytes(bytes.fromhex(said["findings"][0]["program"]))
    assert main(["minimize", "--defect", "mine.py:DeafToSubmit", "program"]) == 0
    out = capsys.readouterr().out
    assert "SUBMIT_3D" in out
    assert (tmp_path / "program.min").read_bytes() == bytes.fromhex(said["findings"][0]["minimised"])
    assert main(["minimize", "program"]) == 2
    assert "program shows no finding here" in capsys.readouterr().err


def test_scenario_of_a_finding_is_minimised_to_a_scenario(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(DEFECT)
    _code, said, _ = fuzz(capsys, "--sequences 60 --defect mine.py:DeafToSubmit")
    whole = decode(bytes.fromhex(said["findings"][0]["program"]))
    (tmp_path / "x.vgpu.toml").write_text(tell(whole, Head(id="fuzz@x", why="It is a test.", source="here")))
    assert main(["minimize", "--defect", "mine.py:DeafToSubmit", "x.vgpu.toml"]) == 0
    (scenario,) = load(tmp_path / "x.min.vgpu.toml")
    assert encode(program_of(scenario)) == bytes.fromhex(said["findings"][0]["minimised"])
    assert (scenario.id, scenario.source) == ("fuzz@x", "here")


def test_scenario_that_is_no_program_cannot_be_minimised(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plain = 'id = "test@plain"\nwhy = "It is a test."\n[[step]]\ndo = "check"\n'
    (tmp_path / "plain.vgpu.toml").write_text(plain)
    assert main(["minimize", "plain.vgpu.toml"]) == 2
    assert "a file without [oracles] is no program" in capsys.readouterr().err


def test_scenarios_are_of_a_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    found = Path(__file__).parents[2] / "scenarios" / "found"
    assert main(["cover", "--json", str(found)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["programs"] == len(list(found.iterdir()))
    assert {"SUBMIT_3D", "CTX_CREATE"} <= {row["command"] for row in said["rows"]}


def test_corpus_covers_and_tells_what_it_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    fuzz(capsys, "--sequences 100 --corpus corpus")
    assert main(["cover", "--json", "corpus"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {"RESOURCE_MAP_BLOB", "SET_SCANOUT"} <= {row["command"] for row in said["rows"]}
    reached = {row["condition"] for row in said["rows"]}
    assert said["unreached"]
    assert not reached & set(said["unreached"])
    assert main(["cover", "corpus"]) == 0
    assert "Never reached" in capsys.readouterr().out


def test_commands_that_never_succeed_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    right = Send(ResourceCreate2D(resource_id=1, format=1, width=16, height=16).build())
    wrong = Send(ResourceUnref(resource_id=7).build())
    (tmp_path / "corpus").mkdir()
    data = encode(Program(Setup(), (right, wrong)))
    (tmp_path / "corpus" / sha1(data).hexdigest()).write_bytes(data)
    assert main(["cover", "--json", "corpus"]) == 0
    never = json.loads(capsys.readouterr().out)["never_succeeded"]
    assert "RESOURCE_UNREF" in never
    assert "RESOURCE_CREATE_2D" not in never
    assert main(["cover", "corpus"]) == 0
    assert "Never succeeded\n  GET_DISPLAY_INFO\n" in capsys.readouterr().out


def test_score_of_a_defect(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(DEFECT)
    code, said, _ = fuzz(capsys, "--score --sequences 200 --defect mine.py:DeafToSubmit")
    (row,) = said["scores"]
    assert code == 0
    assert (row["found"], row["seeds"]) == (20, 20)
    assert sum(row["oracles"].values()) == 20
    assert row["oracles"]["I19"] > 10
    assert 1 <= row["commands"] <= 8
