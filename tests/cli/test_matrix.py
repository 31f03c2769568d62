"""``vgpu-emu matrix``: every row, against what must come out by other ways than the program's own."""

import json
import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from support import create_and_mmap

from vgpu_emu.aliasing import AliasWatch
from vgpu_emu.assembly import Config
from vgpu_emu.attributes.aliases import Role
from vgpu_emu.attributes.mtrr import Bar, Firmware
from vgpu_emu.attributes.platform import PLATFORMS, platform
from vgpu_emu.cli import main
from vgpu_emu.cli.choices import mapping_profiles
from vgpu_emu.cli.progress import progress
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import MapCache
from vgpu_wire.context_stream import ExporterKind

WORDS = "exporter dialect profile platform firmware bar map_info pgprot pte memtype effective verdict"
KEYS = WORDS.split()
X86 = ("intel", "intel-guest-pat", "amd")

MAPPING = [profile.name for profile in mapping_profiles()]


class Answer:
    """What the command printed, and how it ended."""

    def __init__(self, code: int, captured: tuple[str, str]) -> None:
        self.code = code
        self.out, self.err = captured

    @property
    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.out)["rows"]
        return found


@pytest.fixture
def matrix(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(arguments: str = "") -> Answer:
        capsys.readouterr()
        return Answer(main(["matrix", *arguments.split()]), capsys.readouterr())

    return run


def test_every_combination_is_a_row_with_all_keys(matrix: Any) -> None:
    answer = matrix("--json")
    assert (answer.code, answer.err) == (0, "")
    assert json.loads(answer.out)["schema"] == 1
    assert {tuple(row) for row in answer.rows} == {tuple(KEYS)}
    seen = [tuple(row[key] for key in KEYS[:6]) for row in answer.rows]
    places: list[tuple[str | None, ...]] = [*product(X86, ("seabios", "ovmf"), ("above-4g", "below-4g"))]
    places += [(name, None, None) for name in ("arm64", "arm64-fwb", "riscv-svpbmt", "riscv")]
    exporters = ("wc", "cached", "incoherent", "silent", "drm")
    expected = [(*head, *place) for head in product(exporters, ("rfc1", "rfc3"), MAPPING) for place in places]
    assert seen == expected


#: exporter -> map_info under strict and crosvm, and under qemu-virgl; each for rfc1 and rfc3
TOLD = {
    "wc": ((3, 3), (3, 3)),
    "cached": ((1, 1), (1, 1)),
    "incoherent": ((1, None), (1, 0)),
    "silent": ((None, None), (0, 0)),
    "drm": ((None, None), (0, 0)),
}
PGPROT = {0: "cached", 1: "cached", 2: "noncached", 3: "writecombine", None: None}


def test_map_info_is_what_each_vmm_puts_on_the_wire(matrix: Any) -> None:
    for row in matrix("--json --profile strict --profile crosvm --profile qemu-virgl").rows:
        expected = TOLD[row["exporter"]][row["profile"] == "qemu-virgl"][row["dialect"] == "rfc3"]
        assert row["map_info"] == expected
        assert row["pgprot"] == PGPROT[expected]


def test_without_the_ioctl_every_vmm_sends_the_guess(matrix: Any) -> None:
    assert {row["map_info"] for row in matrix("--no-ioctl --json").rows} == {1}
    for guess, number in (("cached", 1), ("uncached", 2), ("wc", 3)):
        assert {row["map_info"] for row in matrix(f"--no-ioctl --guess {guess} --json --platform amd").rows} == {number}


def test_what_is_not_mapped_has_no_type(matrix: Any) -> None:
    failed = [row for row in matrix("--json").rows if row["map_info"] is None]
    assert failed
    for row in failed:
        assert [row[key] for key in KEYS[7:]] == [None, None, None, None, "not mapped"]


#: listed by Linux 7.2 in QEMU with SeaBIOS: map_info -> memtype above and below 4 GiB
LISTED = {
    0: ("write-back", "uncached-minus"),
    1: ("write-back", "uncached-minus"),
    2: ("uncached-minus", "uncached-minus"),
    3: ("write-combining", "write-combining"),
}


def every_map_info(matrix: Any, arguments: str = "") -> Iterator[dict[str, Any]]:
    yield from matrix(f"--json {arguments}").rows
    yield from matrix(f"--json --no-ioctl --guess uncached {arguments}").rows


def test_memtype_is_what_linux_listed_under_seabios(matrix: Any) -> None:
    compared = set()
    for row in every_map_info(matrix, "--firmware seabios"):
        if row["map_info"] is not None:
            assert row["memtype"] == LISTED[row["map_info"]][row["bar"] == "below-4g"]
            compared.add((row["map_info"], row["bar"], row["platform"]))
    assert compared == set(product(LISTED, ("above-4g", "below-4g"), X86))


#: for RAM with a write-back MTRR: platform -> NONE and CACHED, WC, UNCACHED
EFFECTIVE = {
    "intel": ("WB", "WB", "WB"),
    "intel-guest-pat": ("WB", "WC", "UC"),
    "amd": ("WB", "WC", "UC"),
    "arm64": ("Normal-WB", "Normal-NC", "Device-nGnRnE"),
    "arm64-fwb": ("Normal-WB", "Normal-WB", "Normal-WB"),
    "riscv-svpbmt": ("PMA", "NC", "IO"),
    "riscv": ("PMA", "PMA", "PMA"),
}


def test_effective_type_is_the_tables(matrix: Any) -> None:
    compared = set()
    for row in every_map_info(matrix):
        number, uncached_bar = row["map_info"], row["firmware"] == "ovmf" or row["bar"] == "below-4g"
        if number is not None:
            cached, combining, uncached = EFFECTIVE[row["platform"]]
            expected = {0: cached, 1: cached, 2: uncached, 3: combining}[number]
            if uncached_bar and number < 2 and row["platform"] != "intel":
                expected = "UC"
            assert row["effective"] == expected, row
            compared.add((row["platform"], number))
    assert compared == set(product(PLATFORMS, (0, 1, 2, 3)))


def test_pte_of_x86_selects_the_listed_type_from_linuxs_pat(matrix: Any) -> None:
    pat = 0x0407050600070106
    names = {6: "write-back", 1: "write-combining", 7: "uncached-minus"}
    rows = every_map_info(matrix, "--platform intel --platform amd")
    mapped = [row for row in rows if row["pte"] is not None]
    assert len(mapped) >= 4
    for row in mapped:
        slot = row["pte"] >> 3 & 1 | (row["pte"] >> 4 & 1) << 1 | (row["pte"] >> 7 & 1) << 2
        assert names[pat >> 8 * slot & 0xFF] == row["memtype"]
        assert row["pte"] & 1, "present"


def test_pte_of_arm64_selects_a_byte_of_linuxs_mair(matrix: Any) -> None:
    types = {0xFF: "MEM/NORMAL", 0x44: "MEM/NORMAL-NC", 0x00: "DEVICE/nGnRnE"}
    rows = every_map_info(matrix, "--platform arm64")
    mapped = [row for row in rows if row["pte"] is not None]
    assert len(mapped) >= 4
    for row in mapped:
        assert types[0x000000040044FFFF >> 8 * (row["pte"] >> 2 & 7) & 0xFF] == row["memtype"]
        assert row["pte"] & 3 == 3, "a valid page"


def test_pte_of_riscv_has_the_bits_of_svpbmt_where_there_is_svpbmt(matrix: Any) -> None:
    for name, masks in (("riscv-svpbmt", ("PMA", "NC", "IO")), ("riscv", ("PMA", "PMA", "PMA"))):
        mapped = [row for row in every_map_info(matrix, f"--platform {name}") if row["pte"] is not None]
        assert len(mapped) >= 4
        for row in mapped:
            assert row["memtype"] == masks[row["pte"] >> 61 & 3]


_WITH_THE_HOST = {(Role.EXPORTER, Role.GUEST_USER), (Role.GPU, Role.GUEST_USER)}


def worst(watch: AliasWatch) -> str:
    """What the alias checker said of the guest's mapping."""
    pairs = {(each.first.role, each.second.role): each.verdict.value for each in watch.conflicts}
    verdicts = {verdict for (first, second), verdict in pairs.items() if (first, second) in _WITH_THE_HOST}
    return next((word for word in ("mismatched", "tolerated, slower") if word in verdicts), "allowed")


def test_verdict_is_what_the_alias_checker_finds_in_the_running_machine(matrix: Any) -> None:
    rows = [row for row in every_map_info(matrix, "--profile strict") if row["exporter"] in {"wc", "cached"}]
    for row in rows:
        firmware = Firmware(row["firmware"]) if row["firmware"] else None
        bar = Bar(row["bar"]) if row["bar"] else None
        config = Config(
            dialect=Dialect(row["dialect"]),
            platform=platform(row["platform"], firmware=firmware, bar=bar),
            ioctl=row["map_info"] != 2,
            guess=MapCache.UNCACHED,
        )
        with Lockstep(config) as machine:
            machine.run(create_and_mmap(DrmFile(machine.driver), ExporterKind[row["exporter"].upper()]))
            assert machine.parts.aliases is not None
            assert worst(machine.parts.aliases) == row["verdict"], row


def test_exporter_that_does_not_tell_is_unknown_everywhere(matrix: Any) -> None:
    rows = matrix("--json --exporter silent --exporter drm --profile qemu-virgl").rows
    assert {row["verdict"] for row in rows} == {"unknown"}


def test_options_narrow_and_repeat(matrix: Any) -> None:
    exporters = "--exporter drm --exporter wc --exporter wc"
    hardware = "--platform riscv --platform amd --bar below-4g"
    rows = matrix(f"--json {exporters} {hardware} --dialect rfc3 --profile crosvm").rows
    assert [(row["exporter"], row["platform"], row["firmware"]) for row in rows] == [
        (exporter, "amd", firmware) for exporter in ("drm", "wc") for firmware in ("seabios", "ovmf")
    ]
    assert {(row["dialect"], row["profile"], row["bar"]) for row in rows} == {("rfc3", "crosvm", "below-4g")}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--platform ppc", "no platform 'ppc'; there are intel, intel-guest-pat, amd, arm64,"),
        ("--profile bhyve", "no profile 'bhyve'; there are crosvm, libkrun,"),
        ("--exporter vram", '"wc", "cached", "incoherent", "silent", "drm"'),
        ("--dialect rfc2", '"rfc1", "rfc3"'),
        ("--firmware uboot", '"seabios", "ovmf"'),
        ("--bar 64", '"above-4g", "below-4g"'),
        ("--platform arm64 --bar below-4g", "--bar: of no effect on arm64; only on intel, intel-guest-pat, amd"),
        ("--platform riscv --firmware ovmf --bar below-4g", "--firmware and --bar: of no effect on riscv"),
        ("--guess wc", "--guess goes with --no-ioctl"),
        ("--platform", "--platform"),
        ("amd", "amd"),
        ("--platform \x1b[31m", "\\x1b[31m"),
    ],
)
def test_mistake_is_one_line_that_lists_what_there_is(matrix: Any, arguments: str, says: str) -> None:
    answer = matrix(arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert says in answer.err


def test_tables_say_in_few_lines_what_the_rows_say(matrix: Any) -> None:
    answer = matrix()
    lines = answer.out.splitlines()
    assert len(lines) < 80
    assert max(map(len, lines)) <= 80
    table = answer.out.split("exporter wc: map_info 3 (WC)  every posting, every VMM\n")[1].split("\n\n")[0]
    fates = {line.split()[0]: line.split()[-1] for line in table.splitlines()[2:]}
    assert list(fates) == list(PLATFORMS)
    rows = matrix("--json --exporter wc").rows
    assert fates == {row["platform"]: row["verdict"].partition(",")[0] for row in rows}
    assert "incoherent: map_info 0 (NONE)  rfc3: qemu-virgl" in answer.out
    assert "exporter silent, drm: nothing mapped  rfc1: strict, qemu-rutabaga, crosvm," in answer.out


def test_variants_that_fare_alike_share_a_line(matrix: Any) -> None:
    out = matrix("--exporter cached --platform amd").out
    places = [" ".join(line.split()) for line in out.splitlines() if "4g" in line]
    assert places == [
        "amd seabios above-4g write-back WB allowed",
        "seabios below-4g, ovmf uncached-minus UC tolerated",
    ]
    assert " any " in matrix("--exporter wc --platform amd").out


def test_progress_is_told_after_two_seconds_and_not_before(capsys: pytest.CaptureFixture[str]) -> None:
    now = iter([0.0, 1.0, 2.0, 2.1, 4.0, 4.2])
    assert list(progress("matrix", 5, "abcde", lambda: next(now))) == list("abcde")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["vgpu-emu: matrix: 3 of 5", "vgpu-emu: matrix: 5 of 5"]


def test_whole_matrix_takes_no_time_to_speak_of(matrix: Any) -> None:
    start = time.process_time()
    assert matrix("--json").err == ""
    assert time.process_time() - start < 2
