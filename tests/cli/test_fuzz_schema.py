"""``vgpu-emu schema fuzz``: what the reports of campaigns are like."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from vgpu_emu.cli import main


@pytest.fixture
def validator(capsys: pytest.CaptureFixture[str]) -> Draft202012Validator:
    assert main(["schema", "fuzz"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize(("line", "code"), [("", 0), ("--defect P06", 1)])
def test_reports_are_what_the_schema_says(
    line: str,
    code: int,
    validator: Draft202012Validator,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fuzz", "--json", "--sequences", "60", *line.split()]) == code
    report = json.loads(capsys.readouterr().out)
    assert bool(report["findings"]) == bool(code)
    assert list(validator.iter_errors(report)) == []
    for name in report:
        less = {key: value for key, value in report.items() if key != name}
        assert not validator.is_valid(less), name
    assert not validator.is_valid({**report, "sequences": -1})
    assert not validator.is_valid({**report, "more": 1})
