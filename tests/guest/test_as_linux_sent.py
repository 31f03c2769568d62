"""The model against a real Linux guest: a blob's life byte for byte, and where drm_mm put every blob."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import PAGE, Call, GuestAlone

from vgpu_emu.guest.drm_mm import DrmMm
from vgpu_emu.guest.file import DrmFile
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob
from vgpu_wire.control import CtrlHdr
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CmdSubmit
from vgpu_wire.resource import ResourceUnref

CAPTURE = Path(__file__).parents[1] / "data" / "captures" / "virgl64.jsonl"
LIFE = ["RESOURCE_CREATE_BLOB", "RESOURCE_MAP_BLOB", "CTX_ATTACH_RESOURCE", "CTX_DETACH_RESOURCE"]
LIFE += ["RESOURCE_UNMAP_BLOB", "RESOURCE_UNREF"]


class Line(NamedTuple):
    """A request of the capture, and the sizes of its chain's writable descriptors."""

    command: str
    request: CtrlHdr
    capacities: list[int]


def _captured(*commands: str) -> list[Line]:
    """The requests of these types, in order."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in CAPTURE.read_text(encoding="utf-8").splitlines()]
    return [
        Line(line["cmd"], parse_message(bytes.fromhex(line["request"])), line["inn"])
        for line in lines
        if line["cmd"] in commands
    ]


def _first_lives() -> list[list[Line]]:
    """The lives of the first blobs: each begins with a SUBMIT_3D, and is over before the next begins."""
    lines = _captured("SUBMIT_3D", *LIFE)
    return [lines[start : start + 7] for start in range(0, 28, 7)]


def _guest_before(made: ResourceCreateBlob, mapped: ResourceMapBlob) -> tuple[GuestAlone, DrmFile]:
    """A guest that comes to the same numbers next, and a file whose context exists."""
    guest = GuestAlone(host_visible=8 << 30)
    for _ in range(2, made.resource_id - 1):
        guest.driver.new_resource_id()
    if mapped.offset:
        guest.driver.mm.insert(mapped.offset)
    # the framebuffer console is an open file too, so the program's is the second
    file = DrmFile(guest.driver)
    guest.run(file.resource_create_blob(size=PAGE, blob_flags=2))
    return guest, file


@pytest.mark.parametrize("life", _first_lives())
def test_life_of_a_blob_is_byte_for_byte_that_of_real_linux(life: list[Line]) -> None:
    assert [line.command for line in life] == ["SUBMIT_3D", *LIFE]
    stream, made, mapped = (line.request for line in life[:3])
    assert isinstance(stream, CmdSubmit)
    assert isinstance(made, ResourceCreateBlob)
    assert isinstance(mapped, ResourceMapBlob)
    guest, file = _guest_before(made, mapped)
    create = file.resource_create_blob(
        size=made.size, blob_id=made.blob_id, blob_flags=made.blob_flags, cmd=stream.commands
    )
    handle = Call(create).value
    guest.kick()
    Call(file.gem_close(handle))
    guest.kick()
    assert [parse_message(chain.readable) for chain in guest.sent] == [line.request for line in life]
    assert [[chain.capacity] for chain in guest.sent] == [line.capacities for line in life]


def test_every_blob_goes_through_the_same_commands_in_the_same_order() -> None:
    lives: dict[int, list[str]] = {}
    for line in _captured(*LIFE):
        lives.setdefault(getattr(line.request, "resource_id", 0), []).append(line.command)
    mapped = [commands for commands in lives.values() if "RESOURCE_MAP_BLOB" in commands]
    assert mapped == [LIFE] * 204


def test_linux_chose_the_same_offset_for_every_blob() -> None:
    """A node is free when RESOURCE_UNREF is completed, at an unknown moment after it was sent; completions keep their
    order. So every number of completions that agrees with all offsets so far is kept; one must be left."""
    sizes: dict[int, int] = {}
    offsets: dict[int, int] = {}
    unreferenced: list[int] = []
    #: how many of the unreferenced are completed -> the allocator then
    possible = {0: DrmMm(8 << 30)}
    for _, request, _ in _captured(*LIFE):
        if isinstance(request, ResourceCreateBlob):
            sizes[request.resource_id] = request.size
        elif isinstance(request, ResourceUnref) and request.resource_id in offsets:
            unreferenced.append(offsets[request.resource_id])
        elif isinstance(request, ResourceMapBlob):
            offsets[request.resource_id] = request.offset
            possible = _agreeing(possible, unreferenced, sizes[request.resource_id], request.offset)
            assert possible, f"no order of completions explains offset {request.offset:#x}"
    assert (len(offsets), len(set(offsets.values()))) == (204, 6)


def _agreeing(possible: dict[int, DrmMm], unreferenced: list[int], size: int, offset: int) -> dict[int, DrmMm]:
    """The allocators that put a node of this size where Linux put it, after any number of further completions."""
    agreeing: dict[int, DrmMm] = {}
    for completed, allocator in possible.items():
        mm = deepcopy(allocator)
        for count in range(completed, len(unreferenced) + 1):
            if count > completed:
                mm.remove(unreferenced[count - 1])
            tried = deepcopy(mm)
            if tried.insert(size) == offset:
                agreeing.setdefault(count, tried)
    return agreeing
