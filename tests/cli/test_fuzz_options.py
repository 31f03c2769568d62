"""Options of ``vgpu-emu fuzz`` that mean nothing, and places that cannot be written to, are told before it begins."""

import json
from pathlib import Path

import pytest

from vgpu_emu.cli import main

SPOILING = """
from pathlib import Path

from vgpu_emu.fuzz.defect import Wrapper


class Deaf(Wrapper):
    def handle(self, chain):
        if int.from_bytes(chain.readable[:4], "little") != 0x207:
            return self.inner.handle(chain)
        Path("place").touch()
        return None


class Spoiling:
    def device(self, device):
        return Deaf(device)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SPOILING)
    (tmp_path / "program").write_bytes(bytes(8))
    (tmp_path / "file").touch()


def said(capsys: pytest.CaptureFixture[str], line: str) -> str:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--sequences -1", "--sequences -1: a number from 1 on"),
        ("--jobs 0", "--jobs 0: a number from 1 on"),
        ("--score --seeds 0", "--seeds 0: a number from 1 on"),
        ("--seed -1", "--seed -1: a number from 0 on"),
        ("--seeds 3", "--seeds: of no effect without --score"),
        ("--seeds 3 --benign P01", "--seeds and --benign: of no effect without --score"),
        ("--score --time 5s", "--time: of no effect with --score"),
        ("--score --seed 0", "--seed: of no effect with --score"),
        ("--score --corpus corpus --output out", "--corpus and --output: of no effect with --score"),
        ("--score --device vhost-user:x", "--device: of no effect with --score"),
        ("--command true", "--command: of no effect without --device"),
        ("--patience 5", "--patience: of no effect without --device"),
        ("--score --patience 5", "--patience: of no effect with --score"),
    ],
)
def test_options_that_would_be_ignored_are_refused(capsys: pytest.CaptureFixture[str], line: str, says: str) -> None:
    assert said(capsys, f"fuzz {line}") == f"vgpu-emu: {says}\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--command true", "--command: of no effect without --device"),
        ("--device vhost-user:x --target core --defect P01", "--target and --defect: of no effect with --device"),
    ],
)
def test_minimize_refuses_them_too(capsys: pytest.CaptureFixture[str], line: str, says: str) -> None:
    assert said(capsys, f"minimize program {line}") == f"vgpu-emu: {says}\n"


@pytest.mark.parametrize("option", ["--output", "--corpus"])
@pytest.mark.parametrize(
    ("place", "why"),
    [("file", "Not a directory"), ("file/below/that", "Not a directory"), ("x" * 256, "File name too long")],
)
def test_what_cannot_be_written_is_told_before_anything_runs(
    capsys: pytest.CaptureFixture[str], option: str, place: str, why: str
) -> None:
    says = said(capsys, f"fuzz {option} {place}")
    assert says == f"vgpu-emu: {option} {place}: nothing can be written there: {why}\n"


def test_directory_that_is_not_there_is_made_when_it_is_needed(tmp_path: Path) -> None:
    assert main(["fuzz", "--sequences", "1", "--output", "deep/below"]) == 0
    assert not (tmp_path / "deep").exists()
    assert main(["fuzz", "--sequences", "20", "--defect", "mine.py:Spoiling", "--output", "deep/below"]) == 1
    assert len(list((tmp_path / "deep" / "below").glob("I*.vgpu.toml"))) > 0


def test_finding_that_cannot_be_written_is_in_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    """The directory could have been made when the campaign began."""
    line = "fuzz --sequences 20 --defect mine.py:Spoiling --output place"
    assert main([*line.split(), "--json"]) == 1
    out, err = capsys.readouterr()
    finding = json.loads(out)["findings"][0]
    assert (finding["file"], finding["scenario"]) == (None, None)
    assert finding["scenario_wrong"] == "cannot write place: File exists"
    assert err == "vgpu-emu: fuzz: the campaign is over: cannot write place: File exists\n"
    Path("place").unlink()
    assert main(line.split()) == 1
    assert f"cannot write place: File exists; {finding['minimised']} is the program" in capsys.readouterr().out


def test_corpus_that_cannot_be_written_ends_the_campaign(capsys: pytest.CaptureFixture[str]) -> None:
    """The programs of the first batch make a file where the corpus should be."""
    Path("mine.py").write_text(SPOILING.replace("return None", "return self.inner.handle(chain)"))
    assert main(["fuzz", "--time", "1h", "--json", "--defect", "mine.py:Spoiling", "--corpus", "place"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["sequences"] == 200
    assert err.endswith("vgpu-emu: fuzz: the campaign is over: cannot write place: File exists\n")


def test_directory_that_is_no_corpus_is_told_in_a_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for number in range(69):
        (tmp_path / "other" / f"{number:02}").touch()
    why = "(its name is no SHA-1)"
    listed = f"other: 69 files left out: 00 {why}, 01 {why}, 02 {why}, and 66 more"
    says = f"there is no program in other ({listed}); vgpu-emu fuzz --corpus makes some"
    assert said(capsys, "cover other") == f"vgpu-emu: {says}\n"
    assert main(["fuzz", "--sequences", "1", "--corpus", "other"]) == 0
    assert capsys.readouterr().err == f"vgpu-emu: {listed}\n"


@pytest.mark.parametrize("option", ["--defect", "--benign"])
def test_option_of_what_is_unknown_is_named(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert said(capsys, f"fuzz --score {option} nosuch").startswith(f"vgpu-emu: {option} no defect 'nosuch'")


def test_one_is_not_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuzz", "--sequences", "1"]) == 0
    assert capsys.readouterr().out.startswith("1 program, ")
    assert main(["fuzz", "--score", "--sequences", "9", "--seeds", "1", "--defect", "mine.py:Spoiling"]) == 0
    assert "1 of 1 defect found by at least 1 of 1 seed\n" in capsys.readouterr().out
