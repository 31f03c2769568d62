"""What a campaign writes is what it found."""

from pathlib import Path

import pytest

from vgpu_emu.cli import main
from vgpu_emu.cli.fuzz_keeping import Keeper
from vgpu_emu.cli.fuzz_options import read_program
from vgpu_emu.fuzz.actions import Program, Send
from vgpu_emu.fuzz.batches import Batch, Finding
from vgpu_emu.fuzz.campaign import Summary
from vgpu_emu.fuzz.encoding import MAX_BYTES, encode
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.trial import Conditions, Found
from vgpu_emu.scenario.loading import MAX_FILE


def test_finding_is_kept_whole_however_long_it_is(tmp_path: Path) -> None:
    program = Program(Setup(), (Send(bytes(MAX_BYTES), 0), Send(bytes(range(1, 40)), 0)))
    batch, summary, keeper = Batch(0), Summary(), Keeper(None, tmp_path, Conditions())
    batch.findings.append(Finding(Found("I19", "nothing", 0), "I19", encode(program), encode(program), 1, 0))
    summary.add(batch)
    keeper.keep(summary)
    (kept,) = keeper.kept
    assert [read_program(Path(str(file))).program for file in (kept.program, kept.scenario)] == [program] * 2


def test_file_that_is_too_long_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = tmp_path / "long"
    long.write_bytes(bytes(MAX_FILE + 1))
    assert main(["minimize", str(long)]) == 2
    assert f"it has more than {MAX_FILE} bytes" in capsys.readouterr().err
