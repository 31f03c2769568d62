"""The EDID: Debian's edid-decode finds nothing to complain about, and its preferred timing is the scanout's size."""

import shutil
import subprocess
from random import Random

import pytest
from device_kit import Rig

from vgpu_emu.assembly import Config
from vgpu_emu.vmm.edid import edid_block
from vgpu_wire.display import GetEdid, RespEdid

needs_edid_decode = pytest.mark.skipif(
    shutil.which("edid-decode") is None, reason="needs edid-decode: apt-get install edid-decode"
)
#: what 12 bits of a timing hold
MOST = 4095
KNOWN = ((640, 480), (800, 600), (1024, 768), (1280, 720), (1366, 768), (1920, 1080), (2560, 1600), (3840, 2160))
ODD = (
    (1, 1),
    (16, 16),
    (320, 200),
    (1, MOST),
    (MOST, 1),
    (MOST, MOST),
    (4096, 2160),
    (7680, 4320),
    (2**32 - 1, 2**32 - 1),
)
RANDOM = Random(7)
ANY = tuple((int(2 ** RANDOM.uniform(0, 13)), int(2 ** RANDOM.uniform(0, 13))) for _ in range(16))
every_size = pytest.mark.parametrize("size", KNOWN + ODD + ANY, ids=str)


def timing(block: bytes) -> dict[str, int]:
    """The first detailed timing descriptor, as VESA E-EDID 3.10.2 cuts it into nibbles."""
    clock = int.from_bytes(block[54:56], "little") * 10_000
    width, blank = block[56] | (block[58] & 0xF0) << 4, block[57] | (block[58] & 0x0F) << 8
    height, lines = block[59] | (block[61] & 0xF0) << 4, block[60] | (block[61] & 0x0F) << 8
    return {"clock": clock, "width": width, "height": height, "columns": width + blank, "lines": height + lines}


@needs_edid_decode
@every_size
def test_edid_decode_finds_no_failure_and_nothing_to_warn_of(size: tuple[int, int]) -> None:
    done = subprocess.run(["edid-decode", "--check-inline"], input=edid_block(*size), capture_output=True, check=False)
    report = done.stdout.decode(errors="replace")
    assert "EDID conformity: PASS" in report
    assert not [line for line in report.splitlines() if line.lower().startswith(("fail", "warn"))]
    assert done.returncode == 0


@needs_edid_decode
def test_edid_decode_does_find_what_is_wrong() -> None:
    block = bytearray(edid_block(1024, 768))
    block[20] ^= 0x80
    done = subprocess.run(["edid-decode", "--check-inline"], input=bytes(block), capture_output=True, check=False)
    assert b"EDID conformity: FAIL" in done.stdout


@needs_edid_decode
@pytest.mark.parametrize("size", KNOWN, ids=str)
def test_edid_decode_reads_the_size_and_60_hz(size: tuple[int, int]) -> None:
    done = subprocess.run(["edid-decode"], input=edid_block(*size), capture_output=True, check=True)
    dtd = next(line for line in done.stdout.decode().splitlines() if "DTD 1:" in line)
    assert f"{size[0]}x{size[1]}" in dtd
    assert 59.5 < float(dtd.split(" Hz")[0].split()[-1]) < 60.5


@every_size
def test_the_bytes_of_the_block_add_up_to_0(size: tuple[int, int]) -> None:
    block = edid_block(*size)
    assert len(block) == 128
    assert sum(block) % 256 == 0
    assert block[:8] == bytes.fromhex("00ffffffffffff00")
    assert block[126] == 0


@every_size
def test_the_preferred_timing_is_the_size_as_far_as_12_bits_go(size: tuple[int, int]) -> None:
    found = timing(edid_block(*size))
    assert (found["width"], found["height"]) == (min(size[0], MOST), min(size[1], MOST))
    refresh = found["clock"] / (found["columns"] * found["lines"])
    # the clock has 16 bits, too: very large displays are refreshed less often
    assert 59 < refresh < 61 or found["clock"] == 655_350_000


def test_each_scanout_has_its_own() -> None:
    sizes = ((800, 600), (1920, 1080), (1, 1))
    with Rig(Config(scanouts=sizes)) as rig:
        for scanout, size in enumerate(sizes):
            answer = rig.ok(GetEdid(scanout=scanout))
            assert isinstance(answer, RespEdid)
            assert answer.size == 128
            assert answer.edid == edid_block(*size) + bytes(1024 - 128)


def test_a_display_that_was_plugged_in_later_has_its_own_too() -> None:
    with Rig() as rig:
        rig.device.displays.plug(0, 1600, 1200)
        answer = rig.ok(GetEdid())
        assert isinstance(answer, RespEdid)
        assert timing(answer.edid)["width"] == 1600
