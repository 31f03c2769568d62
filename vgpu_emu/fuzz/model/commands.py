"""Every request of virtio 1.4: who says what must come of it, on which queue, and with which feature it is there."""

from collections.abc import Callable
from typing import Any, NamedTuple

from vgpu_emu.fuzz.model import backings, blobs, contexts, displays, images
from vgpu_emu.fuzz.model.expectation import Expected
from vgpu_emu.fuzz.model.world import World
from vgpu_wire.control import CtrlType
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature


class Command(NamedTuple):
    find: Callable[[World, Any], Expected]
    feature: Feature | None = None
    queue: int = CONTROLQ


_T = CtrlType
COMMANDS: dict[int, Command] = {
    _T.GET_DISPLAY_INFO: Command(displays.display_info),
    _T.RESOURCE_CREATE_2D: Command(images.create_2d),
    _T.RESOURCE_UNREF: Command(backings.unref),
    _T.SET_SCANOUT: Command(displays.set_scanout),
    _T.RESOURCE_FLUSH: Command(displays.flush),
    _T.TRANSFER_TO_HOST_2D: Command(images.transfer_2d),
    _T.RESOURCE_ATTACH_BACKING: Command(backings.attach),
    _T.RESOURCE_DETACH_BACKING: Command(backings.detach),
    _T.GET_CAPSET_INFO: Command(contexts.capset_info, Feature.VIRGL),
    _T.GET_CAPSET: Command(contexts.capset, Feature.VIRGL),
    _T.GET_EDID: Command(displays.edid, Feature.EDID),
    _T.RESOURCE_ASSIGN_UUID: Command(backings.assign_uuid, Feature.RESOURCE_UUID),
    _T.RESOURCE_CREATE_BLOB: Command(blobs.create_blob, Feature.RESOURCE_BLOB),
    _T.SET_SCANOUT_BLOB: Command(displays.set_scanout_blob, Feature.RESOURCE_BLOB),
    _T.CTX_CREATE: Command(contexts.create, Feature.VIRGL),
    _T.CTX_DESTROY: Command(contexts.destroy, Feature.VIRGL),
    _T.CTX_ATTACH_RESOURCE: Command(contexts.resource, Feature.VIRGL),
    _T.CTX_DETACH_RESOURCE: Command(contexts.resource, Feature.VIRGL),
    _T.RESOURCE_CREATE_3D: Command(images.create_3d, Feature.VIRGL),
    _T.TRANSFER_TO_HOST_3D: Command(images.transfer_3d, Feature.VIRGL),
    _T.TRANSFER_FROM_HOST_3D: Command(images.transfer_3d, Feature.VIRGL),
    _T.SUBMIT_3D: Command(contexts.submit, Feature.VIRGL),
    _T.RESOURCE_MAP_BLOB: Command(blobs.map_blob, Feature.RESOURCE_BLOB),
    _T.RESOURCE_UNMAP_BLOB: Command(blobs.unmap_blob, Feature.RESOURCE_BLOB),
    _T.UPDATE_CURSOR: Command(displays.cursor, queue=CURSORQ),
    _T.MOVE_CURSOR: Command(displays.cursor, queue=CURSORQ),
}
