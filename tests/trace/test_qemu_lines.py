"""The lines of QEMU's trace events: against a real QEMU that traced the same guest and the same program.

tests/data/qemu_virtio_gpu_pci.trace.txt is what QEMU 11.1.2 wrote of its own virtio-gpu-pci device, driven by the guest
of the capture 2d.jsonl. Two things differ there: the size of the screen, and how often the console drew its text.
"""

import re
from pathlib import Path

import pytest

from vgpu_emu.cli import main
from vgpu_emu.trace.log import CONTROLQ, GUEST, RENDERER, VMM, Event, Message, Note
from vgpu_emu.trace.qemu import EVENTS, qemu_lines
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob, RespMapInfo
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.display import GetEdid, RespEdid, SetScanout
from vgpu_wire.render import CmdSubmit, CtxCreate, CtxResource, ResourceCreate3D

DATA = Path(__file__).parents[1] / "data"
QEMU = (DATA / "qemu_virtio_gpu_pci.trace.txt").read_text(encoding="utf-8").splitlines()
FENCE = CtrlFlag.FENCE.value
OK = HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)
REFUSED = HeaderOnly(type=CtrlType.RESP_ERR_UNSPEC.value)


def lines(*messages: CtrlHdr) -> list[str]:
    """Requests and answers in turn, each of one chain."""
    ways = ((GUEST, VMM), (VMM, GUEST))
    return list(qemu_lines(Message(0, CONTROLQ, *ways[n % 2], m.build(), n // 2) for n, m in enumerate(messages)))


def without_repeats(trace: list[str]) -> list[str]:
    """As often as the console draws, it transfers and flushes: once says as much as twice."""
    kept: list[str] = []
    for line in trace:
        kept.append(line.strip())
        while len(kept) >= 4 and kept[-4:-2] == kept[-2:]:
            del kept[-2:]
    return kept


def test_a_capture_gives_the_trace_that_qemu_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(DATA / "captures" / "2d.jsonl"), "-", "--format", "qemu"]) == 0
    ours = [line.replace("w 1024, h 768", "w 1280, h 800") for line in capsys.readouterr().out.splitlines()]
    # what the device offers is asked before there is a queue
    theirs = [line for line in QEMU if not line.startswith("virtio_gpu_features")]
    assert without_repeats(ours) == without_repeats(theirs)
    assert len(without_repeats(theirs)) == 135


def test_every_event_of_the_real_trace_is_known() -> None:
    names = {name for name, _ in EVENTS.values()}
    assert {line.split()[0] for line in QEMU} - names == {"virtio_gpu_features"}


def test_commands_of_the_gl_device() -> None:
    name = b"a\x1bb\0junk".ljust(64, b"\0")
    assert lines(CtxCreate(ctx_id=0x10, debug_name=name), OK)[0] == "virtio_gpu_cmd_ctx_create ctx 0x10, name a\\x1bb"
    assert lines(CtxResource(ctx_id=1, resource_id=31), OK) == ["virtio_gpu_cmd_ctx_res_attach ctx 0x1, res 0x1f"]
    assert lines(CmdSubmit(ctx_id=2, size=4, commands=b"1234"), OK) == ["virtio_gpu_cmd_ctx_submit ctx 0x2, size 4"]
    assert lines(ResourceCreate3D(resource_id=3, format=67, width=5, height=6, depth=7), OK) == [
        "virtio_gpu_cmd_res_create_3d res 0x3, fmt 0x43, w 5, h 6, d 7"
    ]


def test_numbers_are_signed_where_qemu_prints_them_so() -> None:
    (line,) = lines(ResourceCreateBlob(resource_id=1, size=(1 << 64) - 1), OK)
    assert line == "virtio_gpu_cmd_res_create_blob res 0x1, size -1"
    (line,) = lines(SetScanout(scanout_id=1 << 31, resource_id=(1 << 32) - 1), OK)
    assert line == "virtio_gpu_cmd_set_scanout id -2147483648, res 0xffffffff, w 0, h 0, x 0, y 0"


def test_a_mapping_is_told_when_it_is_made() -> None:
    asks, unmaps = ResourceMapBlob(resource_id=5), ResourceUnmapBlob(resource_id=5)
    assert lines(asks, REFUSED, unmaps, REFUSED) == []
    assert lines(asks, RespMapInfo(map_info=3), unmaps, OK) == [
        "virtio_gpu_cmd_res_map_blob res 0x5, vmr (nil), mr (nil)",
        "virtio_gpu_cmd_res_unmap_blob res 0x5, mr (nil), finish_unmapping 1",
    ]


def test_fences_have_events_in_the_gl_device_only() -> None:
    fenced = CmdSubmit(ctx_id=1, flags=FENCE, fence_id=0x1F)
    assert lines(fenced, OK) == [
        "virtio_gpu_cmd_ctx_submit ctx 0x1, size 0",
        "virtio_gpu_fence_ctrl fence 0x1f, type 0x207",
        "virtio_gpu_fence_resp fence 0x1f",
    ]
    assert lines(fenced)[1:] == ["virtio_gpu_fence_ctrl fence 0x1f, type 0x207"]
    assert lines(fenced, REFUSED)[1:] == []
    assert lines(SetScanout(flags=FENCE, fence_id=1), OK)[1:] == []
    # what is answered with data is answered at once
    assert lines(fenced, OK, GetEdid(flags=FENCE, fence_id=2), RespEdid())[3:] == ["virtio_gpu_cmd_get_edid scanout 0"]


def test_what_is_no_message_of_a_queue_has_no_line() -> None:
    events: list[Event] = [
        Note(0, GUEST, "note", {}),
        Message(0, RENDERER, GUEST, VMM, GetEdid().build()),
        Message(0, CONTROLQ, GUEST, VMM, b"\0"),
        Message(0, CONTROLQ, VMM, GUEST, OK.build()),
        Message(0, CONTROLQ, GUEST, VMM, HeaderOnly(type=0x999).build()),
    ]
    assert list(qemu_lines(events)) == []


def test_every_command_but_three_has_an_event() -> None:
    requests = {number for number in CtrlType if 0 < number < 0x1000}
    silent = {CtrlType.GET_CAPSET_INFO, CtrlType.GET_CAPSET, CtrlType.RESOURCE_ASSIGN_UUID}
    assert requests - set(EVENTS) == silent
    assert all(re.fullmatch("virtio_gpu_(cmd|update)_[a-z_0-9]+", name) for name, _ in EVENTS.values())
