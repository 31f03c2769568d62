"""What can be wrong with images, their backing, displays and the cursor."""

from vgpu_emu.drive.conditions import IMAGE, NOBODY, OUTSIDE, asked
from vgpu_emu.drive.requests import (
    FENCE,
    FULL,
    IMAGE_BYTES,
    PAGE,
    RING,
    SHAREABLE,
    SIDE,
    attach,
    create_2d,
    create_3d,
    cursor,
    flush,
    guest_blob,
    scanout,
    transfer,
)
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature
from vgpu_wire.display import GetEdid, Rect, ResourceFlush, SetScanoutBlob
from vgpu_wire.resource import (
    ResourceAssignUuid,
    ResourceAttachBacking,
    ResourceDetachBacking,
    ResourceUnref,
)

_BACKED = (*IMAGE, attach(1, (0, IMAGE_BYTES)))
_BLOB = (guest_blob(7, PAGE, (0, PAGE), flags=SHAREABLE),)
_LARGE_BLOB = guest_blob(7, IMAGE_BYTES, (0, IMAGE_BYTES), flags=SHAREABLE)
_LINE = 4 * SIDE


def show_blob(r: Rect, *, height: int = SIDE, pixel_format: int = 2) -> SetScanoutBlob:
    return SetScanoutBlob(
        r=r, resource_id=7, width=SIDE, height=height, format=pixel_format, strides=(_LINE, 0, 0, 0), offsets=(0,) * 4
    )


HEADERS = (
    asked("a request of 23 bytes", HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value).build()[:23]),
    asked("a request of no bytes", b""),
    asked("unknown command", HeaderOnly(type=0x1FF)),
    asked("a response as a command", HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)),
    asked("UPDATE_CURSOR on the controlq", cursor(0), queue=CONTROLQ),
    asked("GET_DISPLAY_INFO on the cursorq", HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value), queue=CURSORQ),
    asked("RESOURCE_UNREF of 31 bytes", ResourceUnref(resource_id=1).build()[:31], *IMAGE),
    asked(
        "FLUSH with ring_idx 64",
        ResourceFlush(flags=FENCE | RING, fence_id=7, ring_idx=64, r=FULL, resource_id=1),
        *_BACKED,
    ),
)

RESOURCES = (
    asked("CREATE_2D id 0", create_2d(0)),
    asked("CREATE_3D id 0", create_3d(0)),
    asked("CREATE_2D duplicate id", create_2d(1), *IMAGE),
    asked("CREATE_3D duplicate id", create_3d(1), *IMAGE),
    asked("CREATE_2D bad format", create_2d(1, pixel_format=999)),
    asked("CREATE_2D after a bad format", create_2d(1), create_2d(1, pixel_format=999)),
    asked("CREATE_2D too big", create_2d(1, width=1 << 16, height=1 << 16)),
    asked("CREATE_2D without pixels", create_2d(1, width=0)),
    asked("UNREF unknown", ResourceUnref(resource_id=NOBODY)),
    asked("ASSIGN_UUID", ResourceAssignUuid(resource_id=1), *_BACKED),
    asked("ASSIGN_UUID unknown", ResourceAssignUuid(resource_id=NOBODY)),
    asked("ASSIGN_UUID without its bit", ResourceAssignUuid(resource_id=1), *_BACKED, without=Feature.RESOURCE_UUID),
)

BACKING = (
    asked("TRANSFER_2D unknown", transfer(NOBODY)),
    asked("TRANSFER_2D no backing", transfer(), *IMAGE),
    asked("TRANSFER_2D rect outside", transfer(r=Rect(x=60, width=64, height=64)), *_BACKED),
    asked("TRANSFER_2D beyond the backing", transfer(offset=4), *_BACKED),
    asked("TRANSFER_2D of a blob", transfer(7, Rect(width=4, height=4)), *_BLOB),
    asked("ATTACH unknown", attach(NOBODY, (0, PAGE))),
    asked("ATTACH twice", attach(1, (0, IMAGE_BYTES)), *_BACKED),
    asked("ATTACH 16385 entries", attach(1, *[(0, 16)] * 16385), *IMAGE),
    asked("ATTACH fewer entries", attach(1, (0, PAGE), (0, PAGE)).build()[:-16], *IMAGE),
    asked("ATTACH outside memory", attach(1, (OUTSIDE, PAGE)), *IMAGE),
    asked("ATTACH 0 entries", ResourceAttachBacking(resource_id=1), *IMAGE),
    asked("DETACH none attached", ResourceDetachBacking(resource_id=1), *IMAGE),
    asked("DETACH unknown", ResourceDetachBacking(resource_id=NOBODY)),
)

DISPLAYS = (
    asked("SET_SCANOUT scanout 16", scanout(16), *_BACKED),
    asked("SET_SCANOUT scanout 5 of 2", scanout(5), *_BACKED),
    asked("SET_SCANOUT resource 0", scanout(resource_id=0), *_BACKED),
    asked("SET_SCANOUT unknown resource", scanout(resource_id=NOBODY)),
    asked("SET_SCANOUT no backing", scanout(), *IMAGE),
    asked("SET_SCANOUT rect outside", scanout(r=Rect(x=16, width=64, height=64)), *_BACKED),
    asked("SET_SCANOUT rect 8x8", scanout(r=Rect(width=8, height=8)), *_BACKED),
    asked("SET_SCANOUT x + width wraps", scanout(r=Rect(x=0xFFFFFFF0, width=32, height=64)), *_BACKED),
    asked("SET_SCANOUT rect without pixels", scanout(r=Rect(width=0, height=64)), *_BACKED),
    asked("SET_SCANOUT of a blob", scanout(resource_id=7), _LARGE_BLOB),
    asked("SET_SCANOUT_BLOB bad format", show_blob(FULL, pixel_format=999), _LARGE_BLOB),
    asked("SET_SCANOUT_BLOB blob too short", show_blob(FULL, height=SIDE + 1), _LARGE_BLOB),
    asked("FLUSH unknown", flush(NOBODY)),
    asked("FLUSH id 0", flush(0)),
    asked("FLUSH rect outside", flush(r=Rect(x=60, width=64, height=64)), *_BACKED),
    asked(
        "FLUSH blob that nobody shows",
        flush(7, Rect(x=40, y=40, width=8, height=8)),
        _LARGE_BLOB,
        show_blob(Rect(width=32, height=32)),
    ),
    asked("GET_EDID bad scanout", GetEdid(scanout=16)),
    asked("GET_EDID without its bit", GetEdid(), without=Feature.EDID),
    asked("UPDATE_CURSOR bad scanout", cursor(scanout_id=16), *_BACKED),
    asked("UPDATE_CURSOR unknown resource", cursor(NOBODY)),
    asked("UPDATE_CURSOR of 55 bytes", cursor().build()[:55], *_BACKED),
    asked("UPDATE_CURSOR wrong size", cursor(2), create_2d(2, width=32, height=32)),
)

WRONG_2D = HEADERS + RESOURCES + BACKING + DISPLAYS
