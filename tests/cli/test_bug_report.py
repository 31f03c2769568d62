"""``vgpu-emu demo report``: four public bug reports, each reproduced by one command."""

import json
from typing import Any

import pytest

from vgpu_emu.attributes.reports import REPORTS
from vgpu_emu.cli import main

NAMES = ["sogen#1097", "edk2#13129", "dosemu2#2813", "wayland-proxy-virtwl#33"]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str) -> str:
        capsys.readouterr()
        assert main(["demo", "report", *arguments]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return run


def test_without_a_name_all_are_listed_with_what_was_seen(report: Any) -> None:
    assert [line.split()[0] for line in report().splitlines() if not line.startswith(" ")] == NAMES
    shown = json.loads(report("--json"))
    assert [each["reference"].rpartition("/")[2] for each in shown["reports"]] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_report_says_what_was_seen_why_and_every_case(report: Any, name: str) -> None:
    out = report(name)
    (known,) = (each for each in REPORTS if each.reference.endswith(name))
    flat = " ".join(out.split())
    assert out.startswith(known.reference)
    assert known.seen in flat
    assert known.why in flat
    assert all(case.title in flat for case in known.cases)
    assert "guest PTE" in flat
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_walk(report: Any, name: str) -> None:
    shown = json.loads(report(name, "--json"))
    (known,) = (each for each in REPORTS if each.reference == shown["reference"])
    for case, told in zip(known.cases, shown["cases"], strict=True):
        walk = case.run()
        wrong = [a for each in walk.damage for a, b in zip(each.got, each.expected, strict=True) if a != b]
        assert (told["wrong_reads"], told["wrong_bytes"]) == (len(walk.damage), len(wrong))
        assert (told["wrong_reads"] == 0) == case.right
        assert told["transfers"] == walk.system.transfers
        assert told["effective"] == case.derive().effective.value


@pytest.mark.parametrize(
    ("name", "fault", "useless", "fix"),
    [
        ("sogen#1097", "guest maps write-back", None, "clflush before each submit"),
        ("dosemu2#2813", "default quirk", "quirk disabled, but mapped cached", "quirk disabled"),
        (
            "wayland-proxy-virtwl#33",
            "no maintenance",
            "DMA_BUF_IOCTL_SYNC on a virtio-gpu dma-buf",
            "clflush",
        ),
    ],
)
def test_fault_shows_and_is_gone_with_the_fix(
    report: Any, name: str, fault: str, useless: str | None, fix: str
) -> None:
    wrong = {case["title"]: case["wrong_bytes"] for case in json.loads(report(name, "--json"))["cases"]}
    assert wrong[fault] > 0
    assert wrong[fix] == 0
    assert useless is None or wrong[useless] == wrong[fault]
    out = report(name)
    told = " ".join(out.partition("The first wrong bytes")[2].split())
    written = " ".join(told.split()[:8])
    assert f"00 00 what gpu reads: {fault}; stale, right in guest" in told
    assert f"{written} what gpu reads: {fix}" in told


def test_slow_bar_loses_nothing_and_costs_five_times_as_much(report: Any) -> None:
    cases = json.loads(report("edk2#13129", "--json"))["cases"]
    assert {case["wrong_reads"] for case in cases} == {0}
    ovmf, seabios, _, intel = (case["transfers"] for case in cases)
    assert ovmf > 5 * seabios
    assert intel == seabios
    assert [case["memtype"] for case in cases][:2] == ["uncached-minus", "write-back"]
    assert "The first wrong bytes" not in report("edk2#13129")


@pytest.mark.parametrize("name", ["momo5502/sogen#1097", "SOGEN#1097"])
def test_name_may_be_the_whole_reference(report: Any, name: str) -> None:
    assert report(name) == report("sogen#1097")


def test_unknown_report_is_one_line_that_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "report", "edk2#1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"vgpu-emu: no report 'edk2#1'; there are {', '.join(NAMES)}\n"
