"""A defect of a user's file that is written wrongly is told in a line; what is measured of one that is not."""

import json
from pathlib import Path

import pytest

from vgpu_emu.cli import main
from vgpu_emu.fuzz.actions import Program, Restart, Send
from vgpu_emu.fuzz.bounded import bounded
from vgpu_emu.fuzz.encoding import encode
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.telling import Head, tell

DEFECTS = '''
from vgpu_emu.fuzz.defect import Wrapper


class Part(Wrapper):
    def __init__(self, inner):
        self.size = inner.nothing_of_this_name
        super().__init__(inner)


class Wrong:
    def device(self, device):
        return Part(device)


class WrongLater:
    """The VMM that goes on from a snapshot has no device."""

    count = 0

    def device(self, device):
        self.count += 1
        return device if self.count == 1 else None


class Legal:
    def device(self, device):
        return device


class Never(Wrapper):
    def handle(self, chain):
        while chain.readable[:2] == bytes([1, 1]):
            pass
        return self.inner.handle(chain)


class Endless:
    def device(self, device):
        return Never(device)
'''
WRONG = "--defect mine.py:Wrong: device() raised AttributeError: 'Device' object has no attribute "
LATER = (
    "--defect mine.py:WrongLater: device() returns None, and must return what it gets, changed or wrapped: line 21 of"
)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(DEFECTS)
    program = Program(Setup(), (Restart(),))
    (tmp_path / "program").write_bytes(encode(program))
    (tmp_path / "x.vgpu.toml").write_text(tell(program, Head(id="fuzz@x", why="It is a test.", source="here")))


COMMANDS = ["fuzz --sequences 400 --jobs 2", "fuzz --score --seeds 1", "minimize program", "run x.vgpu.toml"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("name", "says"), [("Wrong", WRONG), ("WrongLater", LATER)])
def test_defect_that_cannot_be_planted_is_told_in_a_line(
    command: str, name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--defect", f"mine.py:{name}"]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_what_a_user_calls_legal_is_scored_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    line = "fuzz --score --json --seeds 2 --sequences 20"
    assert main([*line.split(), "--benign", "mine.py:Legal"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["scores"]
    assert (row["name"], row["defect"], row["seeds"], row["found"]) == ("mine.py:Legal", False, 2, 0)
    assert main([*line.split(), "--defect", "mine.py:Legal"]) == 1
    assert json.loads(capsys.readouterr().out)["scores"][0]["defect"]


def test_program_without_end_is_made_small_in_time(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vgpu_emu.fuzz.worker.SHORT", 0.02)
    monkeypatch.setattr("vgpu_emu.cli.minimize.bounded", lambda: bounded(0.1))
    steps = [Send(bytes([number % 8, 1]) + bytes(38)) for number in range(10)]
    (tmp_path / "endless").write_bytes(encode(Program(Setup(), tuple(steps))))
    assert main(["minimize", "--json", "--defect", "mine.py:Endless", "endless"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["oracle"], len(said["steps"])) == ("I29", 1)
