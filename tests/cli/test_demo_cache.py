"""``vgpu-emu demo cache``: without a platform the pipeline alone, with one what its hardware makes of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from vgpu_emu.attributes.platform import PLATFORMS
from vgpu_emu.cli import main

EXPORTERS = ("wc", "cached", "incoherent", "silent", "drm")
KEYS = ["exporter", "dialect", "profile", "ioctl", "wire_map_info", "guest_pgprot", "host_attribute", "conflict"]
KEYS += ["response"]


@pytest.fixture
def demo(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(arguments: str = "") -> str:
        capsys.readouterr()
        assert main(["demo", "cache", *arguments.split()]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return run


def test_without_a_platform_json_has_the_nine_keys(demo: Any) -> None:
    shown = json.loads(demo("--json"))
    assert shown["schema"] == 1
    assert [list(run) for run in shown["runs"]] == [KEYS, KEYS]
    assert [run["ioctl"] for run in shown["runs"]] == [False, True]


def test_processes_show_the_same(demo: Any) -> None:
    assert demo("--json --isolation process --platform amd") == demo("--json --platform amd")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_platform_adds_keys_and_changes_none(demo: Any, exporter: str) -> None:
    plain = json.loads(demo(f"--json --exporter {exporter}"))["runs"]
    with_platform = json.loads(demo(f"--json --exporter {exporter} --platform amd --bar below-4g"))["runs"]
    for before, after in zip(plain, with_platform, strict=True):
        assert before.items() <= after.items()
        assert (after["platform"], after["firmware"], after["bar"]) == ("amd", "seabios", "below-4g")
        assert (after["pte"] is None) == (after["guest_pgprot"] is None)


def test_stack_of_both_runs_from_exporter_to_hardware(demo: Any) -> None:
    without, with_ioctl = demo("--platform amd").split("amd, SeaBIOS, BAR above 4 GiB, ")[1:]
    for stack, listed, effective in ((without, "write-back", "WB"), (with_ioctl, "write-combining", "WC")):
        rows = [re.split(r"\s{2,}", line.strip()) for line in stack.splitlines()[1:]]
        told = {row[0]: row[1] for row in rows if len(row) > 1}
        names = ["exporter, CPU", "exporter, GPU", "guest pgprot", "guest MTRR", "guest memtype", "guest PTE"]
        assert [name for name in told if name in names] == names
        assert (told["guest memtype"], told["effective"]) == (listed, effective)
    assert "mismatched" in without
    assert "mismatched" not in with_ioctl


def test_conflicts_name_who_and_a_step_that_the_ladder_has(demo: Any) -> None:
    out = demo("--platform intel")
    ladders = re.split(r"^A kernel ", out.split("The attribute, party by party")[0], flags=re.M)[1:]
    stacks = out.split("intel, SeaBIOS, BAR above 4 GiB, ")[1:]
    assert len(ladders) == 2
    for ladder, stack in zip(ladders, stacks, strict=True):
        steps = {line.split()[0]: line for line in ladder.splitlines() if line[:1].isdigit()}
        named = re.findall(r"step\s+(\d+): (\w+)", stack.partition("What is written")[0].replace("\n", " "))
        assert len(named) >= 6
        assert all(" maps " in steps[number] for number, _ in named)
        assert {does for _, does in named} == {"export", "RESOURCE_MAP_BLOB", "mmap"}


def test_damage_is_shown_and_then_the_fix(demo: Any) -> None:
    without, with_ioctl = demo("--platform amd").split("amd, SeaBIOS, BAR above 4 GiB, ")[1:]
    broken, mended = without.split("The same, mended. Answer RESOURCE_MAP_BLOB with map_info 3 (WC).")
    assert broken.count("STALE") == 2
    assert "gpu reads 'cleared by host' and not 'drawn by guest', which is in guest" in " ".join(broken.split())
    assert "STALE" not in mended
    assert "every read is right" in mended
    assert "does not help: Use DMA_BUF_IOCTL_SYNC" in mended
    assert "mended" not in with_ioctl
    assert "every read is right" in with_ioctl


def test_lost_bytes_are_told_from_stale_ones(demo: Any) -> None:
    out = demo("--platform arm64-fwb --exporter incoherent")
    assert out.count("with the ioctl and") + out.count("and with the ioctl") == 1, "both runs fare alike"
    assert "STALE" in out
    assert "LOST" not in out


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_every_exporter_on_every_platform_is_shown(demo: Any, exporter: str, platform: str) -> None:
    out = demo(f"--exporter {exporter} --platform {platform} --dialect rfc3")
    assert f"\n{platform}, " in out
    assert "guest PTE" in out
    assert ("Nothing is mapped" in out) == (exporter in {"incoherent", "silent", "drm"})
    assert max(map(len, out.splitlines())) <= 80


def test_without_a_platform_the_only_word_of_hardware_is_a_hint(demo: Any) -> None:
    out = demo()
    assert "verdict" in out
    assert "guest PTE" not in out
    assert not [line for line in out.splitlines() if line[:1].isdigit()]
    assert "--platform" in out.splitlines()[-1]


def test_picture_has_all_that_the_terminal_has(demo: Any, tmp_path: Path) -> None:
    picture = tmp_path / "demo.svg"
    demo(f"--platform amd --svg {picture}")
    text = picture.read_text(encoding="utf-8")
    assert "guest&#160;PTE" in text
    assert "font-face" not in text, "it fetches fonts"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--platform ppc", "no platform 'ppc'; there are intel, intel-guest-pat, amd,"),
        ("--firmware ovmf", "they go with --platform NAME"),
        ("--bar below-4g", "they go with --platform NAME"),
        ("--platform arm64 --bar below-4g", "--bar: of no effect on arm64"),
        ("--profile bhyve", "no profile 'bhyve'; there are crosvm, libkrun,"),
        ("--platform amd --firmware uboot", '"seabios", "ovmf"'),
    ],
)
def test_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: str, says: str) -> None:
    assert main(["demo", "cache", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err
