"""``vgpu-emu run`` and ``list``: which scenarios, how they are told, and the exit code."""

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from vgpu_emu.cli import main

GOOD = """
id = "test@good"
why = "It is a test."
source = "here"
[[step]]
do = "create-blob"
exporter = "wc"
as = "blob"
[[step]]
do = "mmap"
of = "blob"
expect.pgprot = "writecombine"
"""
BAD = GOOD.replace("test@good", "test@bad").replace('"writecombine"', '"cached"')
ROWS = GOOD.replace("test@good", "test@rows").replace('"wc"', '"{kind}"').replace('"writecombine"', '"{prot}"')
TABLE = '[[parameters]]\nkind = "wc"\nprot = "writecombine"\n[[parameters]]\nkind = "cached"\nprot = "cached"\n[[step]]'


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "good.vgpu.toml").write_text(GOOD)
    (tmp_path / "bad.vgpu.toml").write_text(BAD)
    (tmp_path / "deep" / "rows.vgpu.toml").write_text(ROWS.replace("[[step]]", TABLE, 1))
    return tmp_path


def output(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_lines_are_as_igt_has_them(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(corpus / "good.vgpu.toml"), str(corpus / "deep")]) == 0
    lines = output(capsys).splitlines()
    assert [line.partition(" (")[0] for line in lines] == [
        "Subtest test@good: SUCCESS",
        "Subtest test@rows@wc: SUCCESS",
        "Subtest test@rows@cached: SUCCESS",
        "3 passed",
    ]


def test_failure_shows_the_ladder_and_the_difference(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = corpus / "bad.vgpu.toml"
    assert main(["run", str(file)]) == 1
    out = output(capsys)
    assert "vmm   -> guest   RESP_OK_MAP_INFO             to RESOURCE_MAP_BLOB, map_info 3 (WC)\n" in out
    told = f"  {file}:9: step[1], mmap of blob\n  - pgprot: cached\n  + pgprot: writecombine\n1 failed\n"
    assert out.endswith(told)


def test_directory_pattern_and_subtest_choose(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", str(corpus)]) == 0
    assert output(capsys).split() == ["test@bad", "test@rows@wc", "test@rows@cached", "test@good"]
    assert main(["list", str(corpus / "*.vgpu.toml")]) == 0
    assert output(capsys).split() == ["test@bad", "test@good"]
    assert main(["list", "--subtest", "test@rows", str(corpus)]) == 0
    assert output(capsys).split() == ["test@rows@wc", "test@rows@cached"]
    assert main(["list", "--subtest", "*@good", str(corpus)]) == 0
    assert output(capsys).split() == ["test@good"]


def test_list_as_json(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json", str(corpus / "good.vgpu.toml")]) == 0
    found = json.loads(output(capsys))
    assert found["schema"] == 1
    assert found["scenarios"] == [
        {
            "id": "test@good",
            "file": str(corpus / "good.vgpu.toml"),
            "why": "It is a test.",
            "source": "here",
            "profile": "strict",
            "steps": 2,
        }
    ]


def test_run_as_json_is_the_same_every_time(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--json", str(corpus)]
    assert main(command) == 1
    first = output(capsys)
    assert main(command) == 1
    assert output(capsys) == first
    found = json.loads(first)
    assert (found["schema"], found["passed"], found["failed"]) == (1, 3, 1)
    bad, good = found["scenarios"][0], found["scenarios"][-1]
    assert {key: good[key] for key in ("id", "outcome", "steps")} == {
        "id": "test@good",
        "outcome": "passed",
        "steps": 2,
    }
    assert len(good["trace_hash"]) == 64
    assert bad["outcome"] == "failed"
    assert bad["failure"] == {
        "line": 9,
        "path": "step[1]",
        "title": "mmap of blob",
        "mismatches": [{"what": "pgprot", "expected": "cached", "actual": "writecombine"}],
    }


def test_several_processes_say_the_same_in_the_same_order(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--json", str(corpus)]) == 1
    alone = output(capsys)
    assert main(["run", "--json", "--jobs", "2", str(corpus)]) == 1
    assert output(capsys) == alone


def test_junit_and_tap(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit = corpus / "results.xml"
    assert main(["run", "--tap", "--junit", str(junit), str(corpus)]) == 1
    lines = output(capsys).splitlines()
    assert lines[:3] == ["TAP version 14", "1..4", "not ok 1 - test@bad"]
    assert lines[-1] == "ok 4 - test@good"
    assert "# - pgprot: cached" in lines
    suite = ET.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")
    assert [case.get("name") for case in suite] == ["bad", "rows@wc", "rows@cached", "good"]
    failure = suite[0].find("failure")
    assert failure is not None
    assert failure.get("message") == "step[1], mmap of blob"


def test_of_a_baseline_a_failure_is_good_and_a_success_is_not(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    baseline = corpus / "baseline"
    baseline.write_text("# known\ntest@b*  # since ever\n")
    assert main(["run", "--baseline", str(baseline), str(corpus)]) == 0
    out = output(capsys)
    assert "Subtest test@bad: FAIL, failed as expected (" in out
    assert out.endswith("3 passed, 1 failed as expected\n")
    baseline.write_text("test@good\ntest@bad\n")
    assert main(["run", "--baseline", str(baseline), str(corpus)]) == 1
    assert "Subtest test@good: SUCCESS, passed unexpectedly (" in output(capsys)


def test_machines_are_told_of_a_baseline_as_people_are(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    baseline, junit = corpus / "baseline", corpus / "results.xml"
    baseline.write_text("test@good\ntest@bad\n")
    assert main(["run", "--tap", "--junit", str(junit), "--baseline", str(baseline), str(corpus)]) == 1
    lines = output(capsys).splitlines()
    assert "not ok 1 - test@bad # TODO in the baseline" in lines
    assert lines[-2:] == ["not ok 4 - test@good", "# passed unexpectedly"]
    suite = ET.parse(junit).getroot()
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["4", "1", "1"]
    assert [[child.tag for child in case] for case in suite] == [["skipped"], [], [], ["failure"]]


def test_until_stops_early_and_shows_the_ladder(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--until", "1", str(corpus / "bad.vgpu.toml")]) == 0
    out = output(capsys)
    assert "step[0]" in out
    assert "step[1]" not in out


def test_golden_ladder(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, golden = corpus / "deep" / "rows.vgpu.toml", corpus / "deep" / "rows.ladder"
    assert main(["run", "--update", str(corpus / "deep")]) == 0
    assert not golden.exists()
    assert main(["run", "--update", str(file)]) == 0
    assert golden.read_text().count("== test@rows@") == 2
    assert main(["run", str(file)]) == 0
    golden.write_text(golden.read_text().replace("map_info 3 (WC)", "map_info 0 (NONE)"))
    capsys.readouterr()
    assert main(["run", str(file)]) == 1
    out = output(capsys)
    assert "\n  -vmm   -> guest   RESP_OK_MAP_INFO             to RESOURCE_MAP_BLOB, map_info 0 (NONE)\n" in out
    assert out.endswith("1 passed, 1 failed\n")
    assert main(["run", "--seed", "5", str(file)]) == 0
    assert main(["run", "--update", str(corpus)]) == 1
    assert main(["run", str(file)]) == 0


def test_page_tells_what_went_wrong_first(corpus: Path) -> None:
    page = corpus / "run.html"
    assert main(["run", "--html", str(page), str(corpus / "good.vgpu.toml"), str(corpus / "bad.vgpu.toml")]) == 1
    text = page.read_text()
    assert text.index("test@bad") < text.index("test@good")
    assert "pgprot is writecombine; expected was cached." in text
    assert "not as expected" in text


def test_log_has_a_run_for_each_scenario(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = corpus / "run.jsonl"
    assert main(["run", "--log", str(log), str(corpus / "deep")]) == 0
    assert main(["convert", str(log), str(corpus / "run.txt")]) == 0
    told = (corpus / "run.txt").read_text()
    assert "map_info 3 (WC)" in told
    assert "map_info 1 (CACHED)" in told


RACE = """
id = "test@race"
why = "It is a test."
[[step]]
do = "open"
as = "a"
[[step]]
do = "open"
as = "b"
[[step]]
do = "parallel"
steps = [
    { do = "create-dumb", file = "a", width = 64, height = 64 },
    { do = "create-blob", file = "b", exporter = "wc" },
]
expect.trace = ["guest -> vmm RESOURCE_CREATE_2D", "guest -> vmm RESOURCE_CREATE_BLOB"]
"""


def test_seeds_are_tried_up_to_the_first_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "race.vgpu.toml"
    file.write_text(RACE)
    assert main(["run", "--seeds", "60", str(file)]) == 1
    out = output(capsys)
    again = next(line for line in out.splitlines() if "again: " in line).partition("again: vgpu-emu ")[2].split()
    seed = int(again[again.index("--seed") + 1])
    assert f", {seed + 1} seeds)" in out
    assert main(again) == 1
    assert main(["run", "--seeds", str(seed), str(file)]) == 0
    capsys.readouterr()
    assert main(["run", "--seeds", "120", "--jobs", "2", "--json", str(file)]) == 1
    assert json.loads(output(capsys))["scenarios"][0]["seed"] == seed


def test_processes_do_the_same_as_one_process(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fault = '[[fault]]\nfault = "drop"\nmessage = "RESOURCE_UNREF"\n[[step]]'
    (corpus / "faulty.vgpu.toml").write_text(GOOD.replace("@good", "@faulty").replace("[[step]]", fault, 1))
    files = [str(corpus / "good.vgpu.toml"), str(corpus / "faulty.vgpu.toml")]
    assert main(["run", "--json", files[0]]) == 0
    alone = json.loads(output(capsys))["scenarios"][0]
    assert main(["run", "--json", "--isolation", "process", *files]) == 0
    good, faulty = json.loads(output(capsys))["scenarios"]
    assert good["trace_hash"] == alone["trace_hash"]
    assert (faulty["outcome"], faulty["detail"]) == ("skipped", "faults need a machine in one process")
    assert main(["run", "--isolation", "process", files[1]]) == 77
    assert "Subtest test@faulty: SKIP" in output(capsys)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "{}/none"], "there is no file"),
        (["run", "{}/empty"], "there is no *.vgpu.toml in"),
        (["run", "--subtest", "x", "{}"], "no scenario has the id x; vgpu-emu list shows all"),
        (["run", "--until", "0", "{}"], "--until 0: a number from 1 on"),
        (["run", "--jobs", "0", "{}"], "--jobs 0: a number from 1 on"),
        (["run", "--json", "--tap", "{}"], "--json and --tap are both for stdout: take one of them"),
        (["run", "--update", "--seed", "1", "{}"], "--update is for whole runs with seed 0"),
        (["run", "--baseline", "{}/none", "{}"], "cannot read"),
        (["run", "--junit", "{}/none/x", "{}/good.vgpu.toml"], "cannot write"),
        (["run"], "requires an argument"),
        (["list", "{}/none"], "there is no file"),
    ],
)
def test_mistake_is_one_line(corpus: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    (corpus / "empty").mkdir()
    assert main([argument.format(corpus) for argument in arguments]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_two_files_with_one_id_are_refused(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "other.vgpu.toml").write_text(GOOD)
    assert main(["run", str(corpus)]) == 2
    assert "two scenarios have the id test@good" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupt_ends_it_without_a_traceback(corpus: Path, jobs: str) -> None:
    files = [str(corpus / "bad.vgpu.toml"), str(corpus / "good.vgpu.toml")]
    command = [sys.executable, "-u", "-m", "vgpu_emu", "run", "--seeds", "1000000", "--jobs", jobs, *files]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    # the first has failed with its first seed, and the second goes on for hours
    assert b"Subtest test@bad: FAIL" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err
