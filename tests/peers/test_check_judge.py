"""Judging a guest: each row is seen to turn when what the guest printed turns."""

from collections.abc import Mapping

import pytest

from vgpu_emu.attributes.mtrr import Bar
from vgpu_emu.peers.check.blobs import BLOBS
from vgpu_emu.peers.check.findings import Findings, parse
from vgpu_emu.peers.check.judge import judge
from vgpu_emu.peers.check.pictures import SHOULD_SHOW
from vgpu_emu.peers.check.rows import Outcome, Row
from vgpu_wire.device import Feature

_RESPONSE = "probe-80 [000] ..... 4.2: virtio_gpu_cmd_response: vdev=0 vq=0 name=control type=0x1105 flags=0x1"
#: as a guest prints it on a device that has everything, above 4 GiB
GOOD = """\
@driver text=/sys/bus/pci/drivers/virtio-pci
@debugfs text=virgl            : yes
@debugfs text=edid             : yes
@debugfs text=indirect         : yes
@debugfs text=resource uuid    : yes
@debugfs text=blob resources   : yes
@debugfs text=context init     : yes
{blobs}
@fence ring=-1 work_us=2000 waited_us=2500
@fence ring=0 work_us=2000 waited_us=2500
@fence ring=1 work_us=2000 waited_us=2500
@fence ring=2 work_us=2000 waited_us=2500
@fence ring=3 work_us=2000 waited_us=2500
@rings independent=yes quick_us=900 slow_us=300900
@rate of=execbuffer count=500 per_second=2190
@prime of=dumb exported=yes imported=yes same_bytes=yes
@prime of=blob exported=yes imported=yes same_bytes=yes
@trace text=probe-80 [000] ..... 4.1: virtio_gpu_cmd_queue: vdev=0 vq=0 name=control type=0x10b flags=0x1
@trace text={response}
@mode width=1024 height=768 name=1024x768
@flips count=30 per_second=73
@cursor set=yes moves=10
@dmesg text=[    3.6] [drm] fb0: virtio_gpudrmfb frame buffer device
@@DONE
"""
_TYPES = {0: "write-back", 1: "write-back", 2: "uncached-minus", 3: "write-combining"}


def blob_lines() -> str:
    lines = []
    for number, blob in enumerate(BLOBS):
        start = 0x800000000 + number * 0x10000
        listed = f"PAT: [mem 0x{start:016x}-0x{start + 0x10000:016x}] {_TYPES[blob.map_info.value]}"
        tag = b"VGPUBLOB".hex() + blob.blob_id.to_bytes(8, "little").hex()
        lines += [f"@tag blob={blob.blob_id} bytes={tag}", f"@memtype blob={blob.blob_id} text={listed}"]
        lines.append(f"@answer blob={blob.blob_id} text=seen, and answered, on the host")
    return "\n".join(lines)


GOOD = GOOD.format(blobs=blob_lines(), response=_RESPONSE)


def rows(text: str, bar: Bar = Bar.ABOVE_4G, screens: Mapping[str, str] = SHOULD_SHOW) -> list[Row]:
    return judge(Findings(text.splitlines()), frozenset(Feature), bar, screens)


def differs(row: Row) -> bool:
    return row.outcome is Outcome.DIFFERS


def differing(text: str, screens: Mapping[str, str] = SHOULD_SHOW) -> list[tuple[str, str]]:
    return [(row.topic, row.seen) for row in rows(text, screens=screens) if differs(row)]


def test_guest_that_found_what_was_expected_differs_nowhere() -> None:
    assert differing(GOOD) == []


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        ("@driver", "@xdriver", ("driver", "nothing")),
        (
            "context init     : yes",
            "context init     : no",
            ("driver", "virgl, edid, resource uuid, blob resources"),
        ),
        (
            "0x0000000800030000-0x0000000800040000] write-combining",
            "0x0000000800030000-0x0000000800040000] write-back",
            ("attribute", "write-back"),
        ),
        (
            "[mem 0x0000000800030000-0x0000000800040000]",
            "[mem 0x00000000c0030000-0x00000000c0040000]",
            ("attribute", "write-combining, but below-4g"),
        ),
        ("@memtype blob=3", "@refused what=blob-map errno=EINVAL\n@xmemtype blob=3", ("attribute", "EINVAL")),
        ("@tag blob=2 bytes=56", "@tag blob=2 bytes=00", ("data", "5 of 6 blobs")),
        ("@answer blob=4 text=seen", "@answer blob=4 text=not seen", ("data", "5 of 6 blobs")),
        (
            "@fence ring=2 work_us=2000 waited_us=2500",
            "@fence ring=2 work_us=2000 waited_us=1999",
            ("fence", "4 of 5 timelines"),
        ),
        ("@fence ring=3 work_us=2000", "@fence ring=3 wo[    4.0] *", ("fence", "4 of 5 timelines")),
        ("@rings independent=yes", "@rings independent=no", ("fence", "no")),
        (
            "@prime of=blob exported=yes imported=yes same_bytes=yes",
            "@refused what=prime-export errno=ENOENT",
            ("prime", "ENOENT"),
        ),
        ("type=0x1105", "type=0x1200", ("uuid", "no UUID in the answer")),
        ("@flips count=30", "@refused what=flip errno=EBUSY", ("screen", "EBUSY")),
        ("@cursor set=yes moves=10", "@cursor set=yes moves=9", ("screen", "set yes, moved 9 times")),
        (
            "[drm] fb0: virtio_gpudrmfb",
            "[drm] *ERROR* response 0x1200",
            ("kernel", "[    3.6] [drm] *ERROR* response 0x1200 frame buffer device"),
        ),
    ],
)
def test_what_turns_is_seen_to_differ(before: str, after: str, seen: tuple[str, str]) -> None:
    assert before in GOOD
    assert differing(GOOD.replace(before, after)) == [seen]


@pytest.mark.parametrize(("name", "seen"), [("screen", "7 of 8 bands"), ("console", "no picture")])
def test_picture_that_is_wrong_or_missing_differs(name: str, seen: str) -> None:
    assert differing(GOOD, {**SHOULD_SHOW, name: seen}) == [("screen", seen)]


def test_below_4_gib_the_model_expects_no_write_back() -> None:
    below = GOOD.replace("0x00000008000", "0x00000000c00")
    found = [row for row in rows(below, Bar.BELOW_4G) if row.topic == "attribute"]
    # what was listed above 4 GiB would be wrong here for none, cached and the exporter that says cached
    assert [row.outcome is Outcome.OK for row in found] == [False, False, True, True, True, False]


def kept(*starts: str) -> Findings:
    """Of what a guest finds on a device that has everything only these lines."""
    return Findings([line for line in GOOD.splitlines() if line.startswith(starts)])


def test_device_owes_nothing_that_it_does_not_offer() -> None:
    screen = ("@driver", "@flips", "@cursor", "@mode", "@prime of=dumb", "@debugfs text=edid")
    assert [row for row in judge(kept(*screen), frozenset({Feature.EDID}), None, SHOULD_SHOW) if differs(row)] == []
    contexts = (*screen, "@debugfs text=virgl", "@fence ring=-1")
    found = judge(kept(*contexts), frozenset({Feature.EDID, Feature.VIRGL}), None, SHOULD_SHOW)
    assert [row for row in found if differs(row)] == []
    assert [row.expected for row in found if row.topic == "fence"] == ["1 of 1 timelines"]


def test_features_of_a_device_that_nobody_configured_are_only_told() -> None:
    rows = judge(kept("@debugfs"), None, None, SHOULD_SHOW)
    features = next(row for row in rows if row.what == "features")
    assert (features.seen, features.outcome) == (
        "virgl, edid, resource uuid, blob resources, context init",
        Outcome.SEEN,
    )


@pytest.mark.parametrize(
    ("line", "name", "values"),
    [
        (
            "@memtype blob=2 text=PAT: [mem 1-2] write-back\r",
            "memtype",
            {"blob": "2", "text": "PAT: [mem 1-2] write-back"},
        ),
        ("[    4.5] random: crng init done@end", "end", {}),
        ("@debugfs text=virgl            : no", "debugfs", {"text": "virgl            : no"}),
        ("@debugfs text=", "debugfs", {"text": ""}),
    ],
)
def test_line_of_the_serial_port_is_a_finding(line: str, name: str, values: dict[str, str]) -> None:
    finding = parse(line)
    assert finding is not None
    assert (finding.name, finding.values) == (name, values)


@pytest.mark.parametrize("line", ["", "@@DONE", "mail@example.org is no finding", "@", "@Upper x=1"])
def test_other_lines_are_not(line: str) -> None:
    assert parse(line) is None
