"""``vgpu-emu explain cache``: sentences that are right, for every exporter on every platform."""

import json
from itertools import product
from typing import Any

import pytest

from vgpu_emu.attributes.platform import PLATFORMS
from vgpu_emu.cli import main

EXPORTERS = ("wc", "cached", "incoherent", "silent", "drm")


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run it; what it printed."""

    def run(arguments: str) -> str:
        capsys.readouterr()
        assert main(["explain", "cache", *arguments.split()]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return run


def flat(text: str) -> str:
    return " ".join(text.split())


def sections(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(" ")]


@pytest.mark.parametrize(("exporter", "platform"), list(product(EXPORTERS, PLATFORMS)))
def test_every_combination_is_told_in_whole_sentences(explain: Any, exporter: str, platform: str) -> None:
    for options in ("", "--dialect rfc3 --profile qemu-virgl", "--no-ioctl", "--no-ioctl --guess uncached"):
        told = explain(f"--exporter {exporter} --platform {platform} {options}")
        assert told.splitlines()[0].startswith(f"A buffer of exporter {exporter} on {platform}")
        assert all(len(line) <= 110 for line in told.splitlines())
        assert "  " not in flat(told)
        shown = json.loads(explain(f"--exporter {exporter} --platform {platform} {options} --json"))
        for sentence in (*shown["happens"], *shown["outcome"], *shown["remedies"]):
            assert sentence["says"].endswith(".")
            assert "None" not in sentence["says"]
        assert all(layer["source"] for layer in shown["layers"])


def test_json_has_the_matrix_row_and_more(explain: Any, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = "--exporter incoherent --platform amd --firmware ovmf --bar below-4g --profile qemu-virgl --dialect rfc3"
    shown = json.loads(explain(f"{chosen} --json"))
    main(["matrix", *chosen.split(), "--json"])
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row.items() <= shown.items()
    assert (shown["schema"], shown["ioctl"]) == (1, True)


def test_forced_write_back_is_named_and_no_map_info_is_proposed(explain: Any) -> None:
    told = flat(explain("--exporter wc --platform arm64-fwb"))
    assert "The driver asked for writecombine and does not get it, whatever map_info says: KVM, stage 2" in told
    assert "FWB=1: forces its own type" in told
    assert "The guest's accesses are Normal-WB. That does not go with the exporter's mapping" in told
    todo, useless = told.split("What to do")[1].split("What does not help")
    assert "dc civac" in todo
    assert "map_info 3" not in todo
    assert "DMA_BUF_IOCTL_SYNC" in useless


def test_default_intel_is_told_of_the_quirk_and_that_map_info_alone_does_not_help(explain: Any) -> None:
    told = flat(explain("--exporter wc --platform intel --no-ioctl"))
    assert "gets ENOTTY, as on every released kernel; so it takes the renderer's guess, CACHED" in told
    todo, useless = told.split("What to do")[1].split("What does not help")
    assert "KVM_X86_QUIRK_IGNORE_GUEST_PAT" in todo
    assert "map_info 3 (WC)" in useless


def test_uncached_bar_is_slow_and_the_firmware_is_told(explain: Any) -> None:
    told = flat(explain("--exporter cached --platform amd --firmware ovmf"))
    assert "its kernel made that uncached-minus: every access goes to memory" in told
    assert "0 of 3 reads go wrong." in told
    assert "edk2#13129" in told
    assert "What does not help" not in told


def test_where_all_is_well_nothing_is_to_do(explain: Any) -> None:
    told = explain("--exporter wc --platform amd")
    assert "That goes with the exporter's mapping and its GPU's" in flat(told)
    assert [title for title in sections(told) if "help" in title or "to do" in title] == []


def test_refused_map_says_so_and_stops(explain: Any) -> None:
    told = explain("--exporter incoherent --dialect rfc3 --platform amd")
    assert "value 0 (INCOHERENT), which is no leave to map it" in flat(told)
    assert "RESP_ERR_UNSPEC; Linux refuses mmap with EINVAL, and nothing is mapped." in flat(told)
    assert len(sections(told)) == 1


def test_exporter_that_does_not_tell_leaves_both_cases_open(explain: Any) -> None:
    told = flat(explain("--exporter drm --profile qemu-virgl --platform amd"))
    assert "Nobody knows whether that is right." in told
    assert "If the exporter maps it write-combined: mismatched;" in told
    assert "If the exporter maps it cached, with a GPU that snoops: allowed;" in told


@pytest.mark.parametrize(("platform", "refused"), [("arm64", True), ("arm64-fwb", False), ("amd", False)])
def test_memslot_that_kvm_refuses_is_mentioned(explain: Any, platform: str, refused: bool) -> None:
    assert ("refused: EINVAL" in flat(explain(f"--exporter cached --platform {platform}"))) == refused


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("", "which hardware? --platform intel, intel-guest-pat, amd, arm64, arm64-fwb, riscv-svpbmt, riscv"),
        ("--platform ppc", "no platform 'ppc'; there are intel,"),
        ("--platform amd --profile bhyve", "no profile 'bhyve'; there are crosvm, libkrun,"),
        ("--platform riscv --firmware ovmf", "--firmware: of no effect on riscv; only on intel,"),
        ("--platform amd --guess wc", "--guess goes with --no-ioctl"),
        ("--platform amd --exporter vram", '"wc", "cached"'),
        ("0x1203 --platform amd", "unexpected argument: 0x1203"),
    ],
)
def test_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: str, says: str) -> None:
    assert main(["explain", "cache", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err


def test_messages_are_still_explained_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "0x1203", "0x208"]) == 0
    assert "RESP_ERR_INVALID_RESOURCE_ID (0x1203) to RESOURCE_MAP_BLOB" in capsys.readouterr().out
    assert main(["explain", "--help"]) == 0
    assert "cache" in capsys.readouterr().out
