"""Every command as a driver uses it, and fences: what a device must be able to do."""

from collections.abc import Sequence

from vgpu_emu.drive.conditions import CONTEXT, IMAGE, Condition, asked, blob_of_an_object
from vgpu_emu.drive.requests import (
    ATTACH,
    DETACH,
    FENCE,
    FULL,
    IMAGE_BYTES,
    RING,
    SHAREABLE,
    attach,
    create_2d,
    create_3d,
    ctx_resource,
    cursor,
    flush,
    guest_blob,
    scanout,
    transfer,
)
from vgpu_emu.drive.wrong_2d import show_blob
from vgpu_wire.blob import ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.display import GetEdid, ResourceFlush
from vgpu_wire.render import Box, CmdSubmit, CtxCreate, CtxDestroy, GetCapset, GetCapsetInfo, TransferHost3D
from vgpu_wire.resource import Format, ResourceDetachBacking, ResourceUnref

_BACKED = (*IMAGE, attach(1, (0, IMAGE_BYTES)))
_SHOWN = (*_BACKED, scanout())
_BLOB = guest_blob(7, IMAGE_BYTES, (0, IMAGE_BYTES), flags=SHAREABLE)
_3D = (*CONTEXT, create_3d(1))
_BOX = Box(w=1, h=1, d=1)

_IMAGES = (
    asked("RESOURCE_CREATE_2D", create_2d(1)),
    *(asked(f"CREATE_2D {each.name}", create_2d(1, pixel_format=each.value)) for each in Format),
    asked("RESOURCE_ATTACH_BACKING", attach(1, (0, IMAGE_BYTES)), *IMAGE),
    asked("ATTACH 2 entries", attach(1, (0, IMAGE_BYTES // 2), (1 << 16, IMAGE_BYTES // 2)), *IMAGE),
    asked("TRANSFER_TO_HOST_2D", transfer(), *_BACKED),
    asked("RESOURCE_DETACH_BACKING", ResourceDetachBacking(resource_id=1), *_BACKED),
    asked("RESOURCE_UNREF", ResourceUnref(resource_id=1), *IMAGE),
    asked("UNREF of what is shown", ResourceUnref(resource_id=1), *_SHOWN),
)
_DISPLAYS = (
    asked("GET_DISPLAY_INFO", HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)),
    asked("GET_EDID", GetEdid()),
    asked("SET_SCANOUT", scanout(), *_BACKED),
    asked("RESOURCE_FLUSH", flush(), *_SHOWN),
    asked("FLUSH of what nobody shows", flush(), *_BACKED),
    asked("UPDATE_CURSOR", cursor(), *_BACKED),
    asked("UPDATE_CURSOR hides it", cursor(0)),
    asked("MOVE_CURSOR", cursor(0, move=True)),
    asked("SET_SCANOUT_BLOB", show_blob(FULL), _BLOB),
    asked("FLUSH of a blob", flush(7), _BLOB, show_blob(FULL)),
)
_FENCES = (
    asked("FLUSH fenced", ResourceFlush(flags=FENCE, fence_id=7, r=FULL, resource_id=1), *_SHOWN),
    asked("UNREF unknown, fenced", ResourceUnref(flags=FENCE, fence_id=7, resource_id=77)),
    asked(
        "FLUSH fenced on ring 1",
        ResourceFlush(flags=FENCE | RING, fence_id=7, ring_idx=1, r=FULL, resource_id=1),
        *_SHOWN,
    ),
    asked("FLUSH fenced, unknown flags", ResourceFlush(flags=0xFFFFFFFD, fence_id=7, r=FULL, resource_id=1), *_SHOWN),
)
_CONTEXTS = (
    asked("CTX_CREATE", CtxCreate(ctx_id=1)),
    asked("CTX_DESTROY", CtxDestroy(ctx_id=1), *CONTEXT),
    asked("RESOURCE_CREATE_3D", create_3d(1)),
    asked("CTX_ATTACH_RESOURCE", ctx_resource(ATTACH), *_3D),
    asked("CTX_DETACH_RESOURCE", ctx_resource(DETACH), *_3D, ctx_resource(ATTACH)),
    asked(
        "TRANSFER_TO_HOST_3D",
        TransferHost3D(ctx_id=1, box=_BOX, resource_id=1),
        *_3D,
        ctx_resource(ATTACH),
        attach(1, (0, IMAGE_BYTES)),
    ),
    asked(
        "TRANSFER_FROM_HOST_3D",
        TransferHost3D(type=CtrlType.TRANSFER_FROM_HOST_3D.value, ctx_id=1, box=_BOX, resource_id=1),
        *_3D,
        ctx_resource(ATTACH),
        attach(1, (0, IMAGE_BYTES)),
    ),
    asked("SUBMIT_3D fenced", CmdSubmit(flags=FENCE, fence_id=7, ctx_id=1), *CONTEXT),
)
_MAPPED = (*blob_of_an_object(), ResourceMapBlob(resource_id=5))
_BLOBS = (
    asked("RESOURCE_CREATE_BLOB guest", _BLOB),
    asked("RESOURCE_CREATE_BLOB host", blob_of_an_object()[1], *CONTEXT, blob_of_an_object()[0], objects=True),
    asked("RESOURCE_MAP_BLOB", _MAPPED[-1], *CONTEXT, *_MAPPED[:-1], objects=True),
    asked("RESOURCE_UNMAP_BLOB", ResourceUnmapBlob(resource_id=5), *CONTEXT, *_MAPPED, objects=True),
)


def right(capsets: Sequence[tuple[int, int]]) -> tuple[Condition, ...]:
    """capsets: (id, version) of those that the device has."""
    first = GetCapsetInfo(capset_index=0)
    known = [asked(f"GET_CAPSET {each}", GetCapset(capset_id=each, capset_version=v)) for each, v in capsets]
    return (*_IMAGES, *_DISPLAYS, *_FENCES, asked("GET_CAPSET_INFO", first), *known, *_CONTEXTS, *_BLOBS)
