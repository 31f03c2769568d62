"""Snapshot and restore: everything is where it was, with the attribute it had; fences neither vanish nor fire twice."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from vgpu_emu.assembly import Config, assemble
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.ids import ResourceId
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.commands import COMMANDS
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.displays import Displays
from vgpu_emu.vmm.picture import scanout_picture
from vgpu_emu.vmm.snapshot import restore, take
from vgpu_emu.vmm.snapshot_state import SnapshotError, check, parse
from vgpu_emu.vmm.state import DeviceLimits, Image
from vgpu_wire.blob import MapCache, ResourceCreateBlob
from vgpu_wire.context_stream import ExporterKind, StreamAlloc, StreamWork
from vgpu_wire.control import CtrlFlag, CtrlType
from vgpu_wire.display import Rect, SetScanout, SetScanoutBlob
from vgpu_wire.layout import Record
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CmdSubmit, CtxCreate, ResourceCreate3D
from vgpu_wire.resource import Format, MemEntry, ResourceAttachBacking, ResourceCreate2D, TransferToHost2D

FENCED = int(CtrlFlag.FENCE | CtrlFlag.INFO_RING_IDX)


@pytest.fixture
def machine() -> Iterator[Lockstep]:
    with Lockstep() as machine:
        yield machine
    assert not machine.parts.leaks()


def send(machine: Lockstep, request: Record, device: Device | None = None) -> Used | None:
    steps = (device or machine.parts.device).handle(Chain(0, 0, request.build(), 4096))
    return steps if steps is None or isinstance(steps, Used) else machine.carry(steps)


def ok(machine: Lockstep, request: Record) -> None:
    used = send(machine, request)
    assert used is not None
    assert CtrlType.RESP_OK_NODATA <= parse_message(used.written).type < CtrlType.RESP_ERR_UNSPEC


def restart(machine: Lockstep) -> Device:
    """A VMM that knows nothing yet, in front of the renderer and the guest that there are."""
    old = machine.parts.device
    machine.parts.region.clear()
    for resource in old.resources.values():
        exported = getattr(resource, "exported", None)
        if exported is not None:
            machine.parts.renderer.vmm.close(exported.fd)
            exported.memory.release()
    old.resources.clear()
    return Device(
        old.profile,
        old.region,
        old.memory,
        dialect=old.dialect,
        log=old.log,
        commands=COMMANDS,
        displays=Displays([(640, 480)]),
        capsets=old.capsets,
    )


def mapped_blob(machine: Lockstep) -> Any:
    file = DrmFile(machine.driver)
    cmd = StreamAlloc(exporter=ExporterKind.WC.value, blob_id=1, size=8192).build()
    handle = machine.run(file.resource_create_blob(size=8192, blob_id=1, cmd=cmd))
    return machine.run(file.mmap(file.map(handle), 8192))


def test_blob_is_mapped_where_it_was_with_the_attribute_it_had(machine: Lockstep) -> None:
    vma = mapped_blob(machine)
    vma.write(0, b"before")
    saved = take(machine.parts.device)
    device = restart(machine)
    with pytest.raises(OSError, match="mapped nothing"):
        vma.read(0, 6)
    assert machine.carry(restore(device, saved)) == []
    assert vma.read(0, 6) == b"before"
    blob = device.resources[vma.vram.resource_id]
    assert (blob.offset, blob.map_info) == (vma.start, MapCache.WC)  # type: ignore[union-attr]
    assert take(device) == saved
    machine.carry(device.reset())


def test_picture_survives(machine: Lockstep) -> None:
    machine.parts.memory.write(0x1000, bytes(range(256)) * 16)
    ok(machine, ResourceCreate2D(resource_id=9, format=Format.B8G8R8X8_UNORM.value, width=32, height=32))
    ok(machine, ResourceAttachBacking(resource_id=9, nr_entries=1, entries=[MemEntry(addr=0x1000, length=4096)]))
    ok(machine, TransferToHost2D(resource_id=9, r=Rect(width=32, height=32)))
    ok(machine, SetScanout(resource_id=9, r=Rect(x=8, width=16, height=16)))
    before = scanout_picture(machine.parts.device, 0)
    assert before is not None
    saved = take(machine.parts.device)
    device = restart(machine)
    machine.carry(restore(device, saved))
    assert scanout_picture(device, 0) == before
    assert device.image_bytes == 4096


def test_everything_that_a_device_knows_is_the_same_afterwards(machine: Lockstep) -> None:
    mapped_blob(machine)
    old = machine.parts.device
    for ctx_id in (5, 6):
        ok(machine, CtxCreate(ctx_id=ctx_id))
    ok(
        machine,
        ResourceCreate3D(resource_id=40, target=8, format=1, width=8, height=8, depth=1, array_size=2, last_level=2),
    )
    entries = [MemEntry(addr=0x3000, length=4096)]
    ok(machine, ResourceCreateBlob(resource_id=41, blob_mem=1, size=4096, nr_entries=1, entries=entries))
    old.displays.events = 1
    saved = take(old)
    counts = old.image_bytes, old.blob_bytes
    device = restart(machine)
    machine.carry(restore(device, saved))
    assert json.loads(take(device)) == json.loads(saved)
    assert (device.image_bytes, device.blob_bytes, device.displays.events) == (*counts, 1)
    assert counts[1] == 8192 + 4096
    image = device.resources[ResourceId(40)]
    assert isinstance(image, Image)
    assert (image.array_size, image.last_level) == (2, 2)
    machine.carry(device.reset())


def test_blobs_that_overlap_in_the_region_are_refused(machine: Lockstep) -> None:
    mapped_blob(machine)
    saved = json.loads(take(machine.parts.device))
    (blob,) = saved["blobs"]
    device = restart(machine)
    for behind, fits in ((4096, False), (8192, True)):
        blobs = [blob, blob | {"resource_id": 99, "offset": blob["offset"] + behind}]
        snapshot = parse(json.dumps(saved | {"blobs": blobs}).encode())
        if fits:
            check(device, snapshot)
            continue
        with pytest.raises(SnapshotError, match="cannot be mapped"):
            check(device, snapshot)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_as_many_fences_as_the_limit_says(machine: Lockstep, over: int) -> None:
    saved = take(machine.parts.device)
    device = restart(machine)
    device.limits = DeviceLimits(fences=3)
    snapshot = parse(edited(saved, {"fences": [fence_state(head=n) for n in range(3 + over)]}))
    if over <= 0:
        check(device, snapshot)
        return
    with pytest.raises(SnapshotError, match="4 fences"):
        check(device, snapshot)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_scanout_of_a_blob_ends_with_it(machine: Lockstep, over: int) -> None:
    """16 x 8 pixels, 64 bytes a line: 512 bytes."""
    entries = [MemEntry(addr=0x3000, length=4096)]
    ok(machine, ResourceCreateBlob(resource_id=41, blob_mem=1, size=4096, nr_entries=1, entries=entries))
    shown = SetScanoutBlob(
        resource_id=41, r=Rect(width=16, height=8), width=16, height=8, format=1, strides=(64, 0, 0, 0)
    )
    ok(machine, shown)
    saved = json.loads(take(machine.parts.device))
    saved["scanouts"][0]["shown"]["offset"] = 4096 - 512 + over
    device = restart(machine)
    snapshot = parse(json.dumps(saved).encode())
    if over <= 0:
        check(device, snapshot)
        return
    with pytest.raises(SnapshotError, match="cannot show resource 41"):
        check(device, snapshot)


def submit_work(machine: Lockstep, microseconds: int, fence_id: int) -> Used | None:
    work = StreamWork(microseconds=microseconds).build()
    return send(machine, CmdSubmit(ctx_id=1, flags=FENCED, fence_id=fence_id, size=len(work), commands=work))


def test_pending_fence_is_answered_once_after_restore(machine: Lockstep) -> None:
    ok(machine, CtxCreate(ctx_id=1))
    assert submit_work(machine, 1000, 5) is None
    saved = take(machine.parts.device)
    device = restart(machine)
    assert machine.carry(restore(device, saved)) == []
    machine.now = 1.0
    signals = machine.parts.renderer.rings.due(machine.now)
    assert [signal.fence_id for signal in signals] == [5, 5], "asked before and after the restart"
    answered = [used for signal in signals for used in device.signal((1, 0), signal.fence_id)]
    assert [parse_message(used.written).fence_id for used in answered] == [5]


def test_fence_that_completed_meanwhile_is_answered_by_restore(machine: Lockstep) -> None:
    ok(machine, CtxCreate(ctx_id=1))
    assert submit_work(machine, 1000, 5) is None
    saved = take(machine.parts.device)
    device = restart(machine)
    machine.now = 1.0
    answered = machine.carry(restore(device, saved))
    assert [parse_message(used.written).fence_id for used in answered] == [5]
    assert not device.fences.count


def edited(data: bytes, edit: dict[str, Any]) -> bytes:
    return json.dumps(json.loads(data) | edit).encode()


def fence_state(**change: int) -> dict[str, Any]:
    return {"ctx_id": 0, "ring_idx": -1, "fence_id": 1, "head": 0, "queue": 0, "written": ""} | change


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        ({"schema": 2}, "schema 2"),
        ({"profile": "crosvm"}, "profile 'crosvm'"),
        ({"features": ["TELEPORT"]}, "unknown feature"),
        ({"features": ["CONTEXT_INIT"]}, "lack what they need"),
        ({"events": -1}, "events out of range"),
        ({"scanouts": []}, "0 scanouts"),
        ({"scanouts": [{"width": 0, "height": 1}]}, "no such size"),
        ({"scanouts": [{"width": 1, "height": 1 << 32}]}, "no such size"),
        ({"scanouts": [{"width": 1, "height": 1, "x": -1}]}, "no such size"),
        ({"busy": [[1, 64]]}, "no timeline"),
        ({"busy": [[0, -2]]}, "no timeline"),
        ({"fences": [fence_state(ctx_id=-5)]}, "no timeline"),
        ({"fences": [fence_state(queue=2)]}, "on queue 2"),
        ({"fences": [fence_state(fence_id=1 << 64)]}, "out of range"),
        ({"surprise": 1}, "surprise"),
        ({"contexts": [{"ctx_id": 0, "context_init": 0, "attached": []}]}, "context id"),
        ({"contexts": [{"ctx_id": 1, "context_init": 0, "attached": [77]}]}, "unknown resource"),
        ({"events": "many"}, "Expected `int`"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_happens(
    machine: Lockstep, edit: dict[str, Any], complaint: str
) -> None:
    saved = take(machine.parts.device)
    device = restart(machine)
    with pytest.raises(SnapshotError, match=complaint):
        next(restore(device, edited(saved, edit)))
    assert not device.resources
    assert not device.contexts


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"offset": 4095}, "cannot be mapped"),
        ({"offset": 256 << 20}, "cannot be mapped"),
        ({"map_info": None}, "cannot be mapped"),
        ({"size": 0}, "without bytes"),
        ({"size": 1 << 40}, "too many bytes"),
        ({"resource_id": 0}, "out of range"),
        ({"backing": [[1 << 50, 8192]]}, "no memory"),
        ({"backing": [[0, 4096]]}, "longer than its backing"),
    ],
)
def test_blob_that_cannot_be_is_refused(machine: Lockstep, change: dict[str, Any], complaint: str) -> None:
    mapped_blob(machine)
    saved = json.loads(take(machine.parts.device))
    saved["blobs"][0] |= change
    saved["contexts"][0]["attached"] = []
    device = restart(machine)
    with pytest.raises(SnapshotError, match=complaint):
        next(restore(device, json.dumps(saved).encode()))
    assert not len(machine.parts.region)


@pytest.mark.parametrize("garbage", [b"", b"\x80\x04N.", b"[]", b"{", b"\xff\xfe"])
def test_garbage_is_no_snapshot(garbage: bytes) -> None:
    with pytest.raises(SnapshotError):
        next(restore(assemble(Config(), Log()).device, garbage))
