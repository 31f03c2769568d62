"""Captures replayed: real drivers are served, a real device is modelled, and what differs is said."""

import json
from pathlib import Path

import pytest

from vgpu_emu.cli import main
from vgpu_emu.ids import BlobId
from vgpu_emu.replaying import infer, replay_capture
from vgpu_emu.trace.capture import Exchange, read_messages
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_wire.blob import BlobMem, MapCache, ResourceCreateBlob, ResourceMapBlob, RespMapInfo
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.control import CtrlFlag, CtrlType, HeaderOnly
from vgpu_wire.device import Feature
from vgpu_wire.display import GetEdid, SetScanout
from vgpu_wire.layout import Record
from vgpu_wire.render import CmdSubmit, CtxCreate, GetCapsetInfo, RespCapsetInfo

CAPTURES = Path(__file__).parent / "data" / "captures"
LINUX = ["2d", "blob2d", "virgl_classic", "virgl64"]
OK = HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)
UNSPEC = HeaderOnly(type=CtrlType.RESP_ERR_UNSPEC.value)


def load(name: str) -> list[Exchange]:
    with (CAPTURES / f"{name}.jsonl").open("rb") as stream:
        return [item for item in read_messages(stream, name) if isinstance(item, Exchange)]


def exchange(order: int, request: Record, response: Record) -> Exchange:
    return Exchange(order, "controlq", None, request.build(), response.build())


@pytest.mark.parametrize("name", LINUX)
def test_what_a_real_linux_driver_sent_is_accepted_whole(name: str) -> None:
    exchanges = load(name)
    outcome = replay_capture(exchanges, PROFILES["strict"])
    assert outcome.differences == []
    assert outcome.commands == outcome.same == len(exchanges) > 100


def test_fence_behind_work_is_answered_when_the_work_is_done() -> None:
    def submit(fence_id: int, microseconds: int) -> Exchange:
        stream = StreamWork(microseconds=microseconds).build()
        flags = CtrlFlag.FENCE.value
        request = CmdSubmit(ctx_id=1, flags=flags, fence_id=fence_id, size=len(stream), commands=stream)
        return exchange(fence_id, request, HeaderOnly(type=OK.type, flags=flags, fence_id=fence_id, ctx_id=1))

    exchanges = [exchange(0, CtxCreate(ctx_id=1), OK), submit(1, 2_000_000), submit(2, 5), submit(3, 0)]
    assert replay_capture(exchanges, PROFILES["strict"]).differences == []
    lost = Exchange(1, "controlq", None, submit(1, 5).request, b"")
    differences = replay_capture([exchanges[0], lost], PROFILES["strict"]).differences
    assert [difference.actual for difference in differences] == ["RESP_OK_NODATA"]


def test_map_info_is_compared_for_the_blob_ids_that_are_named() -> None:
    recorded = {0x100: MapCache.NONE, 0x101: MapCache.CACHED, 0x102: MapCache.UNCACHED, 0x103: MapCache.WC}
    named = {BlobId(blob_id): info for blob_id, info in recorded.items()}
    assert not replay_capture(load("virgl64"), PROFILES["strict"], map_infos=named).differences
    named[BlobId(0x103)] = MapCache.CACHED
    differences = replay_capture(load("virgl64"), PROFILES["strict"], map_infos=named).differences
    assert differences
    assert {(d.what, d.expected, d.actual) for d in differences} == {("map_info", "3", "1")}


def test_features_are_inferred_from_what_was_answered_ok() -> None:
    assert infer(load("2d")).features == {Feature.EDID}
    assert infer(load("blob2d")).features == {Feature.EDID, Feature.RESOURCE_UUID, Feature.RESOURCE_BLOB}
    assert infer(load("virgl_classic")).features == {Feature.EDID, Feature.VIRGL}
    assert Feature.CONTEXT_INIT in infer(load("virgl64")).features
    refused = exchange(1, GetEdid(), UNSPEC)
    assert infer([refused]).features == set()


def test_inferred_features_bring_those_that_they_need() -> None:
    assert infer([exchange(1, CtxCreate(ctx_id=1, context_init=4), OK)]).features == {
        Feature.VIRGL,
        Feature.CONTEXT_INIT,
    }
    host = ResourceCreateBlob(resource_id=1, blob_mem=BlobMem.HOST3D.value, size=4096)
    assert infer([exchange(1, host, OK)]).features == {Feature.VIRGL, Feature.RESOURCE_BLOB}


def test_hardware_is_inferred_and_poison_is_not_taken_for_a_capset() -> None:
    offer = infer(
        [
            exchange(1, GetCapsetInfo(capset_index=0), RespCapsetInfo(capset_id=7, capset_max_size=12)),
            exchange(2, GetCapsetInfo(capset_index=1), RespCapsetInfo(capset_id=0xFFFFFFFF)),
            exchange(3, SetScanout(scanout_id=3), OK),
            exchange(4, SetScanout(scanout_id=4000), OK),
        ]
    )
    assert {number: len(capset.data) for number, capset in offer.capsets.items()} == {7: 12}
    assert len(offer.scanouts) == 16


def test_difference_says_which_rule_was_broken() -> None:
    outcome = replay_capture([exchange(5, ResourceMapBlob(resource_id=9), RespMapInfo())], PROFILES["strict"])
    assert [(d.order, d.command, d.expected, d.actual) for d in outcome.differences] == [
        (5, "RESOURCE_MAP_BLOB", "RESP_OK_MAP_INFO", "RESP_ERR_INVALID_RESOURCE_ID")
    ]
    assert outcome.differences[0].because == ["MAP_KNOWN"]
    assert outcome.same == 0


def test_lost_fence_is_a_difference() -> None:
    fenced = GetEdid(flags=CtrlFlag.FENCE.value, fence_id=9)
    outcome = replay_capture([exchange(1, fenced, UNSPEC)], PROFILES["strict"])
    assert [(d.what, d.expected, d.actual) for d in outcome.differences] == [("fence", "None", "9")]


def test_other_fence_is_a_difference() -> None:
    fenced = GetEdid(flags=CtrlFlag.FENCE.value, fence_id=9)
    recorded = HeaderOnly(type=UNSPEC.type, flags=CtrlFlag.FENCE.value, fence_id=8)
    outcome = replay_capture([exchange(1, fenced, recorded)], PROFILES["strict"])
    assert [(d.what, d.expected, d.actual) for d in outcome.differences] == [("fence", "8", "9")]


def test_panic_is_the_reason_of_all_that_follows() -> None:
    differences = replay_capture(load("2d"), PROFILES["libkrun"]).differences
    assert differences
    assert all(each.because == ["the VMM panicked at UPDATE_CURSOR"] for each in differences)


def test_features_can_be_said() -> None:
    outcome = replay_capture(load("2d"), PROFILES["strict"], features=frozenset())
    assert [d.command for d in outcome.differences] == ["GET_EDID"]
    with pytest.raises(ValueError, match="CONTEXT_INIT"):
        replay_capture(load("2d"), PROFILES["strict"], features=frozenset({Feature.CONTEXT_INIT}))


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(CAPTURES / "2d.jsonl")]) == 0
    assert capsys.readouterr().out == "149 commands, 149 answered as recorded, 0 differences\n"
    assert main(["replay", "--json", "--features", "none", str(CAPTURES / "2d.jsonl")]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["schema"] == 1
    assert (printed["commands"], printed["same"]) == (149, 148)
    assert printed["differences"][0]["command"] == "GET_EDID"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--profile", "vmware"], "no profile 'vmware'"),
        (["--features", "3d"], "no feature '3d'"),
        (["--features", "context_init"], "the device refuses"),
        (["--blob-id", "1"], "it is ID=none|cached|uncached|wc"),
        (["--blob-id", "=wc"], "it is ID="),
        (["--blob-id", "0x10000000000000000=wc"], "it is ID="),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(CAPTURES / "2d.jsonl"), *arguments]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert complaint in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(("text", "complaint"), [("{", "line"), ("", "no request"), ("{}\n", "no request")])
def test_what_is_no_capture_is_not_replayed(
    text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "line.jsonl"
    file.write_text(text)
    assert main(["replay", str(file)]) == 2
    assert complaint in capsys.readouterr().err
