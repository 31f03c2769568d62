"""A furnished device, and ways to take from it what a command needs."""

from errno import EIO, EMFILE

from device_kit import BGRA, Prepare, Rig

from vgpu_emu.drive.requests import PAGE, attach, guest_blob, submit, work
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.blob import BlobFlag, ResourceMapBlob
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.device import Feature
from vgpu_wire.display import Rect
from vgpu_wire.render import (
    ResourceCreate3D,
)
from vgpu_wire.renderer_link import Op

#: what `furnish` makes
IMAGE, BARE_IMAGE, VOLUME, MAPPED, BLOB, UNMAPPABLE, GUEST_BLOB, BARE_BLOB, SILENT_BLOB = (
    1,
    2,
    3,
    10,
    11,
    12,
    13,
    14,
    15,
)
#: mapped, and shareable
SHARED = 16
RESOURCES = 10
#: an object of context 1 that no resource took yet
OBJECT = 20
NOBODY = 99
SHAREABLE = (BlobFlag.USE_MAPPABLE | BlobFlag.USE_SHAREABLE).value
RECT = Rect(width=16, height=16)
MEMORY = 1 << 20


def furnish(rig: Rig) -> None:
    rig.image(IMAGE, 16, 16)
    rig.image(BARE_IMAGE, 16, 16, at=None)
    rig.ok(ResourceCreate3D(resource_id=VOLUME, format=BGRA, width=8, height=8, depth=2, last_level=1))
    rig.ok(attach(VOLUME, (0, 512)))
    for resource_id in (MAPPED, BLOB):
        rig.blob(resource_id)
    rig.blob(UNMAPPABLE, flags=0)
    rig.blob(SILENT_BLOB, exporter=ExporterKind.SILENT)
    rig.ok(guest_blob(GUEST_BLOB, PAGE, (0, PAGE)), guest_blob(BARE_BLOB, PAGE))
    rig.blob(SHARED, flags=SHAREABLE)
    rig.ok(ResourceMapBlob(resource_id=MAPPED), ResourceMapBlob(resource_id=SHARED, offset=PAGE))
    rig.ok(submit(1, StreamAlloc(exporter=ExporterKind.WC.value, blob_id=OBJECT, size=PAGE)))


def limits(**kinds: int) -> Prepare:
    def prepare(rig: Rig) -> None:
        rig.device.limits = DeviceLimits(**kinds)

    return prepare


def without(*features: Feature) -> Prepare:
    def prepare(rig: Rig) -> None:
        rig.device.features -= set(features)

    return prepare


def refusing(op: Op, errno: int) -> Prepare:
    def prepare(rig: Rig) -> None:
        rig.refusals[op] = errno

    return prepare


def without_memory(rig: Rig) -> None:
    rig.memory.remove(0, MEMORY)


def without_fences(rig: Rig) -> None:
    rig.ok(work(1, 1000))
    rig.refusals[Op.FENCE] = EIO


def unexportable(rig: Rig) -> None:
    rig.refusals[Op.EXPORT_BLOB] = EMFILE
    rig.blob(NOBODY)
