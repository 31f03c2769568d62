"""What is said about scenario files: by the command, by the page, by the JSON schema, which another program reads."""

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from corpus import carried_out
from jsonschema import Draft202012Validator
from scenario_kit import BLOB, HEAD, MMAP

from vgpu_emu.cli import main
from vgpu_emu.scenario.loading import SUFFIX, loads
from vgpu_emu.scenario.outcome import Result
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.reference import EXAMPLE, Table, expect_table, faults, file_table, steps, tables
from vgpu_emu.scenario.session import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
FILES = sorted((ROOT / "scenarios").rglob(f"*{SUFFIX}"))


def test_example_is_a_scenario_that_succeeds() -> None:
    (scenario,) = loads(EXAMPLE)
    assert run(scenario).result is Result.SUCCESS


def test_overview_lists_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "scenario"]) == 0
    out = capsys.readouterr().out
    assert len(steps()) > 50
    names = [table.name for table in (*steps(), *faults(), *tables())]
    names += [member.name for member in (*file_table().members, *expect_table().members)]
    assert [name for name in names if f"\n  {name} " not in out and f"\n[{name}] " not in out] == []


@pytest.mark.parametrize("table", [*steps(), *faults(), *tables(), expect_table()], ids=lambda table: table.name)
def test_everything_is_explained(capsys: pytest.CaptureFixture[str], table: Table) -> None:
    assert main(["explain", "scenario", table.name]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {member.name} " in out for member in table.members)
    assert table.says


def test_names_are_told_by_their_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "scenario", "execbuffer"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "after the name of a fence. " in out
    assert "objects list of names, each of an object. " in out


@pytest.mark.parametrize("table", faults(), ids=lambda table: table.name)
def test_when_a_fault_happens_is_explained(table: Table) -> None:
    assert all(member.says for member in table.members if member.name in {"message", "skip", "times"})


def test_unknown_word_has_a_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "scenario", "mmpa"]) == 2
    assert "nothing in a scenario is called mmpa; did you mean mmap" in capsys.readouterr().err


def test_page_tells_of_every_step_and_expectation() -> None:
    names = [table.name for table in steps()] + [member.name for member in expect_table().members]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_toml_on_the_page_is_right() -> None:
    blocks = [block.partition("```")[0] for block in PAGE.split("```toml\n")[1:]]
    assert len(blocks) >= 2
    for block in blocks:
        text = block if block.startswith("id =") else HEAD + block
        assert [carried_out(scenario).result for scenario in loads(text)].count(Result.SUCCESS) >= 1


SCHEMA = json.loads(msgspec.json.encode(msgspec.json.schema(Scenario)))


def test_schema_that_is_printed_is_that_of_what_is_decoded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "scenario"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


@pytest.fixture(scope="module")
def validator() -> Any:
    Draft202012Validator.check_schema(SCHEMA)
    return Draft202012Validator(SCHEMA)


def plain(text: str) -> Any:
    return json.loads(msgspec.json.encode(tomllib.loads(text)))


def test_schema_takes_the_whole_corpus(validator: Any) -> None:
    # a row's values have other types than the strings that stand for them
    files = [file for file in FILES if "[[parameters]]" not in file.read_text(encoding="utf-8")]
    assert len(files) > 10
    for file in files:
        errors = [error.message for error in validator.iter_errors(plain(file.read_text(encoding="utf-8")))]
        assert errors == [], file


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('do = "mmap"', 'do = "mmpa"'),
        ('of = "blob"', 'off = "blob"'),
        ('of = "blob"\n', ""),
        ('exporter = "wc"', 'exporter = "vc"'),
        ("test@one", "Test"),
        ('as = "view"', 'expect.pgprot = "cashed"'),
        ("why", "whi"),
    ],
)
def test_schema_refuses_what_the_decoder_refuses(validator: Any, old: str, new: str) -> None:
    good = HEAD + BLOB + MMAP
    assert list(validator.iter_errors(plain(good))) == []
    assert list(validator.iter_errors(plain(good.replace(old, new, 1)))) != []
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(tomllib.loads(good.replace(old, new, 1)), Scenario)
