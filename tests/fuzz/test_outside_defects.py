"""Each defect of outside.py and outside_renderer.py is reachable, and breaks what a driver was promised.

A story is told twice, to a machine as it is and to one with the defect, and no oracle is asked.
"""

from collections.abc import Callable
from typing import Any

import pytest
from outside_rig import Told, alloc, outcome

from vgpu_emu.drive.requests import MAPPABLE, PAGE, attach, create_2d, cursor, guest_blob, host_blob, scanout, submit
from vgpu_emu.drive.requests import transfer as transfer_2d
from vgpu_emu.fuzz.defects import outside, outside_renderer
from vgpu_emu.fuzz.defects.outside_seams import Outside
from vgpu_emu.vmm.state import Image
from vgpu_wire.blob import MapCache, ResourceMapBlob, ResourceUnmapBlob, RespMapInfo
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.display import Rect, SetScanoutBlob
from vgpu_wire.render import Box, CtxCreate, GetCapset, GetCapsetInfo, ResourceCreate3D, RespCapset, TransferHost3D
from vgpu_wire.resource import Format, ResourceDetachBacking, ResourceUnref

BGRX = Format.B8G8R8X8_UNORM.value


def scanout_that_shows_a_blob_after_an_image(machine: Told) -> Any:
    """Whether it still does when the image, which nobody shows any more, ends."""
    machine.tell(create_2d(1), attach(1, (0, 16384)), scanout(0, 1))
    shown = SetScanoutBlob(
        resource_id=2, r=Rect(width=16, height=16), width=16, height=16, format=BGRX, strides=(64, 0, 0, 0)
    )
    machine.tell(guest_blob(2, PAGE, (0, PAGE)), shown, ResourceUnref(resource_id=1))
    return machine.parts.screen(0) is not None


def cursor_moved_where_it_is_hidden(machine: Told) -> Any:
    machine.device.displays.scanouts.append(type(machine.device.displays.scanouts[0])(64, 64))
    machine.tell(create_2d(1))
    for request in (cursor(1, 0), cursor(0, 1, move=True)):
        machine.send(request)
    return [scanout.cursor.resource_id for scanout in machine.device.displays.scanouts]


def backing_exchanged_for_other_pages(machine: Told) -> Any:
    machine.parts.memory.write(0, b"old!" * 4096)
    machine.parts.memory.write(0x10000, b"new!" * 4096)
    machine.tell(create_2d(1), attach(1, (0, 16384)), transfer_2d())
    machine.tell(ResourceDetachBacking(resource_id=1), attach(1, (0x10000, 16384)), transfer_2d())
    image = machine.device.find(1)
    assert isinstance(image, Image)
    return bytes(image.pixels[:4])


def two_slices_of_the_second_level(machine: Told) -> Any:
    """Of 4 x 4 x 4 pixels: the first pixel of the second slice."""
    for pixel in range(64):
        machine.parts.memory.write(4 * pixel, bytes([pixel] * 4))
    shape = ResourceCreate3D(resource_id=1, target=2, format=1, bind=2, width=4, height=4, depth=4, last_level=1)
    box = Box(w=2, h=2, d=2)
    machine.tell(shape, attach(1, (0, 256)), TransferHost3D(resource_id=1, level=1, box=box, stride=8))
    image = machine.device.find(1)
    assert isinstance(image, Image)
    return image.pixels[4 * (64 + 4)]


def blob_that_gets_the_descriptor_of_a_mapped_one(machine: Told) -> Any:
    machine.tell(CtxCreate(ctx_id=1), submit(1, alloc(1, PAGE), alloc(2, PAGE, ExporterKind.CACHED)))
    machine.tell(host_blob(1), ResourceMapBlob(resource_id=1), ResourceUnref(resource_id=1), host_blob(2))
    answer = machine.tell(ResourceMapBlob(resource_id=2))
    assert isinstance(answer, RespMapInfo)
    return MapCache(answer.map_info)


def blob_of_a_page_and_a_byte_is_unmapped(machine: Told) -> Any:
    """Where its second page was, is something else refused?"""
    machine.tell(
        CtxCreate(ctx_id=1), submit(1, alloc(1, 2 * PAGE), alloc(2, PAGE)), host_blob(1, PAGE + 1), host_blob(2)
    )
    machine.tell(ResourceMapBlob(resource_id=1), ResourceUnmapBlob(resource_id=1))
    return machine.refuses(ResourceMapBlob(resource_id=2, offset=PAGE))


def capset_asked_for_after_the_size_of_a_smaller_one(machine: Told) -> Any:
    machine.tell(GetCapsetInfo(capset_index=0), GetCapsetInfo(capset_index=1))
    answer = machine.tell(GetCapset(capset_id=2, capset_version=2))
    assert isinstance(answer, RespCapset)
    return bytes(answer.capset_data).count(0)


def two_contexts_with_an_object_of_one_name(machine: Told) -> Any:
    machine.tell(CtxCreate(ctx_id=2), CtxCreate(ctx_id=1))
    machine.tell(submit(2, alloc(1, PAGE)), submit(1, alloc(1, PAGE, ExporterKind.CACHED)))
    answer = machine.tell(host_blob(1), ResourceMapBlob(resource_id=1))
    assert isinstance(answer, RespMapInfo)
    return MapCache(answer.map_info)


def blob_made_after_one_that_was_too_long(machine: Told) -> Any:
    machine.tell(CtxCreate(ctx_id=1), submit(1, alloc(1, PAGE)))
    assert machine.refuses(host_blob(1, 2 * PAGE, flags=MAPPABLE))
    return machine.refuses(host_blob(1))


#: defect, story, what is promised, what comes of it with the defect
STORIES: list[tuple[type[Outside], Callable[[Told], Any], Any, Any]] = [
    (outside.StaleScanoutBit, scanout_that_shows_a_blob_after_an_image, True, False),
    (outside.CursorOfAnotherScanout, cursor_moved_where_it_is_hidden, [1, 0], [1, 1]),
    (outside.BackingAttachedAgain, backing_exchanged_for_other_pages, b"new!", b"old!"),
    (outside.LayersOfTheFirstLevel, two_slices_of_the_second_level, 4, 8),
    (outside.MapInfoByDescriptor, blob_that_gets_the_descriptor_of_a_mapped_one, MapCache.CACHED, MapCache.WC),
    (outside.LastPageStaysMapped, blob_of_a_page_and_a_byte_is_unmapped, False, True),
    (outside.CapsetOfTheLastSize, capset_asked_for_after_the_size_of_a_smaller_one, 0, 300 - 64),
    (outside_renderer.ObjectOfAnotherContext, two_contexts_with_an_object_of_one_name, MapCache.CACHED, MapCache.WC),
    (outside_renderer.RefusedBlobTakesObject, blob_made_after_one_that_was_too_long, False, True),
]


@pytest.mark.parametrize(
    ("kind", "story", "promised", "wrong"), STORIES, ids=lambda value: getattr(value, "__name__", "")
)
def test_defect_breaks_the_promise(
    kind: type[Outside], story: Callable[[Told], Any], promised: Any, wrong: Any
) -> None:
    assert kind.depth == "L3"
    assert outcome(story) == promised
    assert outcome(story, kind) == wrong
