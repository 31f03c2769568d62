"""run --isolation process: the same outcomes as in one process; whoever is lost, the next one runs."""

import json
import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from vgpu_emu.cli.guests import Guests
from vgpu_emu.cli.jobs import Job, carry_out
from vgpu_emu.cli.run import run
from vgpu_emu.scenario.outcome import Result
from vgpu_emu.trace.log import Note

pytestmark = pytest.mark.usefixtures("nothing_left", "no_process_left")
SCENARIO = """
id = "isolated@wc"
why = "What happens is the same."

[[step]]
do = "create-blob"
exporter = "wc"
as = "blob"

[[step]]
do = "mmap"
of = "blob"
expect = { map_info = "wc", pgprot = "writecombine" }
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    file = tmp_path / "isolated.vgpu.toml"
    file.write_text(SCENARIO, encoding="utf-8")
    return Job(str(file), "isolated@wc", isolation="process")


def test_outcome_is_that_of_one_process(job: Job) -> None:
    guests = Guests()
    try:
        across, within = guests.carry_out(job), carry_out(job._replace(isolation=None))
    finally:
        guests.close()
    assert within.result is Result.SUCCESS
    assert across.trace_hash == within.trace_hash
    pids = next(event for event in across.events if isinstance(event, Note)).values["pids"]
    assert len({os.getpid(), *pids.values()}) == 4
    same = {"events": (), "seconds": 0.0}
    assert replace(across, **same) == replace(within, **same)


@pytest.mark.parametrize(
    ("number", "how"), [(signal.SIGKILL, "was killed by SIGKILL"), (signal.SIGSTOP, "did not answer within 0.2 s")]
)
def test_guest_that_is_lost_is_a_failure_and_the_next_one_runs(job: Job, number: signal.Signals, how: str) -> None:
    guests = Guests(glance=0.2)
    try:
        assert guests.carry_out(job).result is Result.SUCCESS
        assert guests.pid is not None
        os.kill(guests.pid, number)
        lost = guests.carry_out(job)
        assert (lost.result, lost.id) == (Result.FAIL, "isolated@wc")
        assert lost.detail.startswith("the guest's process ")
        assert how in lost.detail
        assert guests.carry_out(job).result is Result.SUCCESS
    finally:
        guests.close()


FAULT = """
[[fault]]
fault = "drop"
message = "RESOURCE_MAP_BLOB"
"""


def test_scenario_with_faults_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "faulty.vgpu.toml"
    file.write_text(SCENARIO + FAULT, encoding="utf-8")
    assert run([str(file)], isolation="process", json_=True) == 77
    (scenario,) = json.loads(capsys.readouterr().out)["scenarios"]
    assert scenario["outcome"] == "skipped"


def test_guest_ends_with_the_command(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([job.file], isolation="process") == 0
    assert "SUCCESS" in capsys.readouterr().out
