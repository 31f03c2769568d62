"""``vgpu-emu profiles``: the table, one profile, and what differs between two."""

import json
from pathlib import Path
from typing import Any

import pytest

from vgpu_emu.cli import main
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.rules import Rule


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["profiles", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def printed_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    found = json.loads(printed(capsys, *arguments, "--json"))
    assert found.pop("schema") == 1
    return found


def test_table_has_a_row_for_each_rule_and_a_column_for_each_profile(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in printed(capsys).splitlines() if line}
    assert {rule.name for rule in Rule} <= rows.keys()
    assert {len(rows[rule.name]) for rule in Rule} == {len(PROFILES)}
    assert rows["COMMAND_KNOWN"] == ["UN"] * 8
    #                             strict 2d    virgl  rutabaga crosvm libkrun user  device
    assert rows["MAP_INSIDE"] == ["PAR", "UN", "PAR", "-", "UN", "-", "UN", "dead"]
    assert rows["MAP_MAPPABLE"] == ["PAR", "UN", "-", "UN", "UN", "UN", "UN", "dead"]
    assert rows["CAPSET_INDEX_VALID"] == ["PAR", "UN", "OK", "UN", "OK", "OK", "UN", "PAR"]
    assert rows["CURSOR_RESOURCE_KNOWN"] == ["RID", "none", "none", "none", "RID", "dead", "none", "RID"]


def test_table_groups_rules_by_command(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys).splitlines()
    assert lines[lines.index("RESOURCE_MAP_BLOB") + 1].startswith("MAP_KNOWN ")
    assert lines[lines.index("RESOURCE_UNMAP_BLOB") + 1].startswith("UNMAP_KNOWN ")
    assert max(len(line) for line in lines) < 110


def test_strict_has_no_answer_that_nobody_has_verified(capsys: pytest.CaptureFixture[str]) -> None:
    assert not any(line.startswith("  ") and " ? " in line for line in printed(capsys, "strict").splitlines())
    assert any(line.startswith("  ") and " ? " in line for line in printed(capsys, "crosvm").splitlines())


def test_one_profile_shows_features_behaviour_and_answers(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "vhost-device-gpu")
    assert "offers             VIRGL, EDID, RESOURCE_UUID, RESOURCE_BLOB, CONTEXT_INIT\n" in out
    dead = "RESOURCE_CREATE_BLOB, SET_SCANOUT_BLOB, RESOURCE_MAP_BLOB, RESOURCE_UNMAP_BLOB"
    assert f"dead_commands      {dead}\n" in out
    assert "  device dead                    RESOURCE_MAP_BLOB of an unknown resource\n" in out


def test_json_has_every_answer(capsys: pytest.CaptureFixture[str]) -> None:
    profiles = {profile["name"]: profile for profile in printed_json(capsys)["profiles"]}
    assert list(profiles) == list(PROFILES)
    assert all(profile["answers"].keys() == {rule.name for rule in Rule} for profile in profiles.values())
    poison = "RESP_OK_CAPSET_INFO capset_id 0xffffffff capset_max_version 0x0 capset_max_size 0x0"
    assert profiles["crosvm"]["answers"]["CAPSET_INDEX_VALID"]["answer"] == poison
    assert profiles["strict"]["behaviour"]["correct"] is True
    assert printed_json(capsys, "crosvm")["profiles"] == [profiles["crosvm"]]


def test_difference_of_libkrun_from_crosvm(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {
        line.split()[0]: line.split(maxsplit=1)[1] for line in printed(capsys, "diff", "crosvm", "libkrun").splitlines()
    }
    assert rows["MAP_INSIDE"] == "RESP_ERR_UNSPEC  ->  not checked"
    assert rows["dead_commands"] == "none  ->  SET_SCANOUT_BLOB, UPDATE_CURSOR, MOVE_CURSOR"
    assert rows["CREATE_BLOB_GUEST_HANDLE"] == "not checked  ->  device dead"
    assert not rows.keys() & {"MAP_KNOWN", "offers", "uuid_of"}


def test_difference_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = printed_json(capsys, "diff", "strict", "qemu-2d")["differences"]
    assert {"what": "offers", "strict": ALL, "qemu-2d": ["EDID", "RESOURCE_BLOB"]} in rows
    assert {"what": "MAP_KNOWN", "strict": "RESP_ERR_INVALID_RESOURCE_ID", "qemu-2d": "RESP_ERR_UNSPEC"} in rows
    assert printed_json(capsys, "diff", "strict", "strict") == {"differences": []}


ALL = ["VIRGL", "EDID", "RESOURCE_UUID", "RESOURCE_BLOB", "CONTEXT_INIT", "BLOB_ALIGNMENT"]


@pytest.mark.parametrize("arguments", [["qemu"], ["diff", "strict", "qemu"], ["diff", "qemu", "strict"]])
def test_unknown_profile_is_a_mistake_of_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["profiles", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vgpu-emu: no profile 'qemu'; there are crosvm, ")
    assert err.count("\n") == 1


def test_profile_of_another_package_is_named_below_the_table_and_can_be_compared(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist = tmp_path / "cli_acme-1.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: cli-acme\nVersion: 1.0\n", encoding="utf-8")
    (dist / "entry_points.txt").write_text("[vgpu_emu.profiles]\nacme = cli_acme:ACME\nbad = cli_acme:BAD\n")
    module = (
        "from vgpu_emu.vmm.profiles import Profile\nACME = Profile(name='acme', models='Acme', uuid_of='resource_id')\n"
    )
    (tmp_path / "cli_acme.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert printed(capsys).endswith("\nOther packages add: acme, bad.\n")
    assert printed(capsys, "diff", "strict", "acme").splitlines() == [
        "correct  yes  ->  no",
        "uuid_of  random  ->  resource_id",
    ]
    assert main(["profiles", "bad"]) == 2
    assert capsys.readouterr().err.startswith("vgpu-emu: profile 'bad' (cli_acme:BAD) cannot be loaded: AttributeError")
