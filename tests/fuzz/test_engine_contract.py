"""The targets as libFuzzer programs: what an engine that runs many of them expects of a process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="NO ENGINE: without atheris no clause of its contract is tested")

ROOT = Path(__file__).parents[2]
FUZZ = ROOT / "fuzz"
DEFECT = f"{Path(__file__).with_name('engine_defects.py')}:CachedForAll"
#: seconds for anything that is done here
PATIENCE = 120


def environment(defect: str = "") -> dict[str, str]:
    """Of a process that has this checkout, and this Python first."""
    places = [str(Path(sys.executable).parent), os.environ["PATH"]]
    packages = os.pathsep.join([str(ROOT), str(ROOT / "protocol")])
    return {**os.environ, "PYTHONPATH": packages, "PATH": os.pathsep.join(places), "VGPU_EMU_DEFECT": defect}


def begin(target: str, *arguments: str | Path, cwd: Path, defect: str = "") -> "subprocess.Popen[str]":
    """A target as a program, in a directory and a session of its own. What it says is in `stdout`."""
    return subprocess.Popen(
        [str(FUZZ / f"fuzz_{target}.py"), *map(str, arguments)],
        cwd=cwd,
        env=environment(defect),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def start(target: str, *arguments: str | Path, cwd: Path, defect: str = "") -> "subprocess.CompletedProcess[str]":
    """The same, to its end. With it end the processes that it has started."""
    with begin(target, *arguments, cwd=cwd, defect=defect) as process:
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout=said)


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left of a run that found the defect."""
    folder = tmp_path_factory.mktemp("found")
    ended = start("program", "-seed=1", "-runs=20000", cwd=folder, defect=DEFECT)
    assert ended.returncode == 77, ended.stdout
    assert "Finding: I1: step" in ended.stdout
    (artifact,) = folder.glob("crash-*")
    assert len(artifact.name) == len("crash-") + 40
    return artifact


def test_artifact_fails_again_and_passes_when_the_defect_is_gone(finding: Path, tmp_path: Path) -> None:
    assert start("program", finding, cwd=tmp_path, defect=DEFECT).returncode == 77
    assert start("program", finding, cwd=tmp_path).returncode == 0


def test_artifact_is_made_smaller_and_still_fails(finding: Path, tmp_path: Path) -> None:
    long = tmp_path / "long"
    # steps behind the one that fails
    long.write_bytes(finding.read_bytes() + bytes(200))
    small = tmp_path / "small"
    smaller = ("-minimize_crash=1", "-seed=1", f"-exact_artifact_path={small}", long)
    with begin("program", *smaller, cwd=tmp_path, defect=DEFECT) as process:
        assert process.stdout is not None
        # it goes on with what it has made smaller, as long as it can; once is enough here
        is_smaller = any(f"minimizing crash input: '{small}'" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGKILL)
    assert is_smaller
    assert small.stat().st_size < long.stat().st_size
    assert start("program", small, cwd=tmp_path, defect=DEFECT).returncode == 77


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four inputs, of which two are the same to any engine."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, data in {"a": b"\0\1", "b": b"\0\1", "c": b"\5" + bytes(40), "d": bytes(25)}.items():
        (folder / name).write_bytes(data)
    return folder


def test_merge_keeps_what_adds_something(corpus: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    ended = start("wire", "-merge=1", kept, corpus, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert 0 < len(list(kept.iterdir())) < 4


def test_seeds_are_replayed_and_nothing_else_is_done(corpus: Path, tmp_path: Path) -> None:
    ended = start("wire", "-runs=0", corpus, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert "4 files found" in ended.stdout
    assert len(list(corpus.iterdir())) == 4


def test_forked_processes_work(corpus: Path, tmp_path: Path) -> None:
    ended = start("wire", "-fork=2", "-max_total_time=2", corpus, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert "not found" not in ended.stdout
    assert "oom/timeout/crash: 0/0/0" in ended.stdout


def test_jobs_write_a_log_each(tmp_path: Path) -> None:
    ended = start("wire", "-jobs=2", "-workers=2", "-runs=50", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert all("Done 50 runs" in (tmp_path / f"fuzz-{job}.log").read_text() for job in (0, 1))


def test_codecs_that_are_written_at_run_time_are_instrumented() -> None:
    code = (
        "import atheris; from vgpu_emu.fuzz.engines.launch import instrument_codecs; from vgpu_wire.blob import *;"
        "plain = len(RespMapInfo.parse.__code__.co_code); instrument_codecs(atheris);"
        "assert len(RespMapInfo.parse.__code__.co_code) > plain;"
        "assert RespMapInfo.parse(RespMapInfo(map_info=3).build()).map_info == 3"
    )
    ended = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_defect_that_there_is_not_is_one_line(tmp_path: Path) -> None:
    ended = start("program", "-runs=0", cwd=tmp_path, defect="nothing")
    assert ended.returncode == 2
    assert "VGPU_EMU_DEFECT: no defect 'nothing'" in ended.stdout
    assert "Traceback" not in ended.stdout


def test_ctrl_c_is_no_finding(tmp_path: Path) -> None:
    """Not inside of trio either, where this target nearly always is."""
    with begin("sockets", "-runs=1000000", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert any("INITED" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGINT
    assert not list(tmp_path.iterdir())
