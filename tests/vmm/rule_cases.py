"""Requests that break one rule each in a furnished device."""

from errno import EINVAL, EIO, ENOENT, ENOMEM
from typing import NamedTuple

from device_kit import BGRA, Prepare
from furnished import (
    BARE_BLOB,
    BARE_IMAGE,
    BLOB,
    GUEST_BLOB,
    IMAGE,
    MAPPED,
    MEMORY,
    NOBODY,
    OBJECT,
    RECT,
    RESOURCES,
    SHARED,
    SILENT_BLOB,
    UNMAPPABLE,
    VOLUME,
    limits,
    refusing,
    unexportable,
    without,
    without_fences,
    without_memory,
)

from vgpu_emu.drive.requests import FENCE, HOST3D, PAGE, RING, attach, guest_blob, host_blob, submit
from vgpu_emu.vmm.rules import Rule
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature
from vgpu_wire.display import CursorPos, GetEdid, Rect, ResourceFlush, SetScanout, SetScanoutBlob, UpdateCursor
from vgpu_wire.render import (
    Box,
    CmdSubmit,
    CtxCreate,
    CtxDestroy,
    CtxResource,
    GetCapset,
    GetCapsetInfo,
    ResourceCreate3D,
    TransferHost3D,
)
from vgpu_wire.renderer_link import Op
from vgpu_wire.resource import (
    ResourceAssignUuid,
    ResourceCreate2D,
    ResourceDetachBacking,
    ResourceUnref,
    TransferToHost2D,
)

OK = CtrlType.RESP_OK_NODATA
UNSPEC = CtrlType.RESP_ERR_UNSPEC
OUT_OF_MEMORY = CtrlType.RESP_ERR_OUT_OF_MEMORY
SCANOUT_ID = CtrlType.RESP_ERR_INVALID_SCANOUT_ID
RESOURCE_ID = CtrlType.RESP_ERR_INVALID_RESOURCE_ID
CONTEXT_ID = CtrlType.RESP_ERR_INVALID_CONTEXT_ID
PARAMETER = CtrlType.RESP_ERR_INVALID_PARAMETER


class Case(NamedTuple):
    """A request that breaks one rule, in a furnished device, once `prepare` has run."""

    rule: Rule
    expected: CtrlType
    request: CtrlHdr | bytes
    prepare: Prepare = lambda rig: None

    def __str__(self) -> str:
        return self.rule.name

    @property
    def data(self) -> bytes:
        return self.request if isinstance(self.request, bytes) else self.request.build()

    @property
    def queue(self) -> int:
        return CURSORQ if self.data[1:2] == b"\x03" else CONTROLQ


def flush(flags: int = 0, ring_idx: int = 0) -> ResourceFlush:
    return ResourceFlush(flags=flags, fence_id=7, ring_idx=ring_idx, r=RECT, resource_id=IMAGE)


def scanout_blob(
    resource_id: int = GUEST_BLOB, *, pixel_format: int = BGRA, height: int = 16, stride: int = 64
) -> CtrlHdr:
    return SetScanoutBlob(
        r=RECT,
        resource_id=resource_id,
        width=16,
        height=height,
        format=pixel_format,
        strides=(stride, 0, 0, 0),
    )


def cursor(resource_id: int, scanout_id: int = 0, move: bool = False) -> CtrlHdr:
    kind = CtrlType.MOVE_CURSOR if move else CtrlType.UPDATE_CURSOR
    return UpdateCursor(type=kind.value, pos=CursorPos(scanout_id=scanout_id), resource_id=resource_id)


def transfer_2d(resource_id: int, r: Rect = RECT, offset: int = 0) -> CtrlHdr:
    return TransferToHost2D(r=r, offset=offset, resource_id=resource_id)


def transfer_3d(resource_id: int, box: Box, *, offset: int = 0, level: int = 0) -> CtrlHdr:
    return TransferHost3D(ctx_id=1, box=box, offset=offset, resource_id=resource_id, level=level)


def short_submit(size: int, commands: bytes) -> bytes:
    return (
        CmdSubmit(ctx_id=1, size=len(commands), commands=commands).build()[:24] + size.to_bytes(8, "little") + commands
    )


def detach_resource(ctx_id: int, resource_id: int) -> CtrlHdr:
    return CtxResource(type=CtrlType.CTX_DETACH_RESOURCE.value, ctx_id=ctx_id, resource_id=resource_id)


CUBE = Box(w=8, h=8, d=2)
CREATE_3D = ResourceCreate3D(resource_id=30, format=BGRA, width=8, height=8, depth=1)
CASES = (
    # any command
    Case(Rule.HEADER_WHOLE, UNSPEC, HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value).build()[:23]),
    Case(Rule.HEADER_WHOLE, UNSPEC, b""),
    Case(Rule.HEADER_WHOLE, UNSPEC, ResourceMapBlob().build()[:4], without(Feature.RESOURCE_BLOB)),
    Case(Rule.COMMAND_KNOWN, UNSPEC, HeaderOnly(type=0x10E)),
    Case(Rule.COMMAND_KNOWN, UNSPEC, HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)),
    Case(Rule.COMMAND_NEGOTIATED, UNSPEC, GetEdid(), without(Feature.EDID)),
    Case(Rule.BLOB_NEGOTIATED, UNSPEC, guest_blob(30, PAGE), without(Feature.RESOURCE_BLOB)),
    Case(Rule.BLOB_NEGOTIATED, UNSPEC, SetScanoutBlob(), without(Feature.RESOURCE_BLOB)),
    Case(Rule.UUID_NEGOTIATED, UNSPEC, ResourceAssignUuid(resource_id=IMAGE), without(Feature.RESOURCE_UUID)),
    Case(Rule.FENCE_MADE, OK, flush(FENCE), without_fences),
    Case(Rule.REQUEST_WHOLE, PARAMETER, ResourceUnref(resource_id=IMAGE).build()[:31]),
    Case(Rule.ENTRIES_WHOLE, PARAMETER, attach(BARE_IMAGE, (0, 64), (64, 64)).build()[:-1]),
    Case(Rule.ENTRIES_WHOLE, PARAMETER, guest_blob(30, PAGE, (0, PAGE)).build()[:-16]),
    Case(Rule.FENCE_LIMIT, OUT_OF_MEMORY, flush(FENCE), limits(fences=0)),
    Case(Rule.MEMORY_THERE, UNSPEC, transfer_2d(IMAGE), without_memory),
    Case(Rule.RING_IDX_VALID, PARAMETER, flush(FENCE | RING, ring_idx=64)),
    Case(Rule.RING_IDX_VALID, PARAMETER, flush(RING, ring_idx=255)),
    # resources
    Case(
        Rule.RESOURCE_LIMIT,
        OUT_OF_MEMORY,
        ResourceCreate2D(resource_id=30, format=BGRA, width=1, height=1),
        limits(resources=RESOURCES),
    ),
    Case(Rule.RESOURCE_LIMIT, OUT_OF_MEMORY, CREATE_3D, limits(resources=RESOURCES)),
    Case(Rule.RESOURCE_LIMIT, OUT_OF_MEMORY, guest_blob(30, PAGE), limits(resources=RESOURCES)),
    Case(
        Rule.HOST_MEMORY_LIMIT,
        OUT_OF_MEMORY,
        ResourceCreate2D(resource_id=30, format=BGRA, width=2**32 - 1, height=2**32 - 1),
    ),
    Case(
        Rule.HOST_MEMORY_LIMIT,
        OUT_OF_MEMORY,
        ResourceCreate3D(
            resource_id=30,
            format=BGRA,
            width=2**32 - 1,
            height=2**32 - 1,
            depth=2**32 - 1,
            array_size=2**32 - 1,
            last_level=2**32 - 1,
        ),
    ),
    Case(Rule.CREATE_ID_NONZERO, RESOURCE_ID, ResourceCreate2D(resource_id=0, format=BGRA, width=1, height=1)),
    Case(Rule.CREATE_ID_NONZERO, RESOURCE_ID, ResourceCreate3D(resource_id=0, format=BGRA, width=1, height=1, depth=1)),
    Case(Rule.CREATE_ID_FREE, RESOURCE_ID, ResourceCreate2D(resource_id=IMAGE, format=BGRA, width=1, height=1)),
    Case(Rule.CREATE_ID_FREE, RESOURCE_ID, ResourceCreate3D(resource_id=BLOB, format=BGRA, width=1, height=1, depth=1)),
    Case(Rule.CREATE_2D_FORMAT, PARAMETER, ResourceCreate2D(resource_id=30, format=5, width=1, height=1)),
    Case(Rule.CREATE_SIZE_NONZERO, PARAMETER, ResourceCreate2D(resource_id=30, format=BGRA, width=0, height=1)),
    Case(
        Rule.CREATE_SIZE_NONZERO, PARAMETER, ResourceCreate3D(resource_id=30, format=BGRA, width=1, height=1, depth=0)
    ),
    Case(Rule.UNREF_KNOWN, RESOURCE_ID, ResourceUnref(resource_id=NOBODY)),
    Case(Rule.UUID_KNOWN, RESOURCE_ID, ResourceAssignUuid(resource_id=NOBODY)),
    # backing
    Case(Rule.ATTACH_KNOWN, RESOURCE_ID, attach(NOBODY, (0, 64))),
    Case(Rule.ATTACH_ONCE, UNSPEC, attach(IMAGE, (0, 1024))),
    Case(Rule.ATTACH_GUEST_MEMORY, PARAMETER, attach(BLOB, (0, PAGE))),
    Case(Rule.ATTACH_ENTRIES_PRESENT, OK, attach(BARE_IMAGE)),
    Case(Rule.ENTRIES_LIMIT, OUT_OF_MEMORY, attach(BARE_IMAGE, (0, 64), (64, 64)), limits(entries=1)),
    Case(Rule.ENTRIES_LIMIT, OUT_OF_MEMORY, guest_blob(30, PAGE, (0, PAGE), (0, PAGE)), limits(entries=1)),
    Case(Rule.ENTRIES_IN_MEMORY, PARAMETER, attach(BARE_IMAGE, (MEMORY - 1, 2))),
    Case(Rule.ENTRIES_IN_MEMORY, PARAMETER, attach(BARE_IMAGE, (0, 64), (2**64 - 1, 2**32 - 1))),
    Case(Rule.ENTRIES_IN_MEMORY, PARAMETER, guest_blob(30, PAGE, (MEMORY, PAGE))),
    Case(Rule.DETACH_KNOWN, RESOURCE_ID, ResourceDetachBacking(resource_id=NOBODY)),
    Case(Rule.DETACH_ATTACHED, UNSPEC, ResourceDetachBacking(resource_id=BARE_IMAGE)),
    # transfers
    Case(Rule.TRANSFER_KNOWN, RESOURCE_ID, transfer_2d(NOBODY)),
    Case(Rule.TRANSFER_KNOWN, RESOURCE_ID, transfer_3d(NOBODY, CUBE)),
    Case(Rule.TRANSFER_BACKED, UNSPEC, transfer_2d(BARE_IMAGE)),
    Case(Rule.TRANSFER_IMAGE, PARAMETER, transfer_2d(VOLUME)),
    Case(Rule.TRANSFER_IMAGE, PARAMETER, transfer_3d(IMAGE, CUBE)),
    Case(Rule.TRANSFER_INSIDE, PARAMETER, transfer_2d(IMAGE, Rect(x=1, width=16, height=16))),
    Case(Rule.TRANSFER_INSIDE, PARAMETER, transfer_2d(IMAGE, Rect(y=2**32 - 1, width=1, height=2))),
    Case(Rule.TRANSFER_INSIDE, PARAMETER, transfer_3d(VOLUME, Box(z=1, w=8, h=8, d=2))),
    Case(Rule.TRANSFER_INSIDE, PARAMETER, transfer_3d(VOLUME, Box(w=1, h=1, d=1), level=2)),
    Case(Rule.TRANSFER_INSIDE, PARAMETER, transfer_3d(VOLUME, Box(w=5, h=1, d=1), level=1)),
    Case(Rule.TRANSFER_BACKING_LONG, PARAMETER, transfer_2d(IMAGE, offset=4)),
    Case(Rule.TRANSFER_BACKING_LONG, PARAMETER, transfer_2d(IMAGE, Rect(width=1, height=1), offset=2**64 - 4)),
    Case(Rule.TRANSFER_BACKING_LONG, PARAMETER, transfer_3d(VOLUME, CUBE, offset=4)),
    # displays
    Case(Rule.SCANOUT_KNOWN, SCANOUT_ID, SetScanout(r=RECT, scanout_id=1, resource_id=IMAGE)),
    Case(Rule.SCANOUT_KNOWN, SCANOUT_ID, SetScanoutBlob(scanout_id=16)),
    Case(Rule.SCANOUT_RESOURCE_KNOWN, RESOURCE_ID, SetScanout(r=RECT, resource_id=NOBODY)),
    Case(Rule.SCANOUT_RESOURCE_KNOWN, RESOURCE_ID, scanout_blob(NOBODY)),
    Case(Rule.SCANOUT_RESOURCE_BACKED, OK, SetScanout(r=RECT, resource_id=BARE_IMAGE)),
    Case(Rule.SCANOUT_RESOURCE_KIND, PARAMETER, SetScanout(r=RECT, resource_id=GUEST_BLOB)),
    Case(Rule.SCANOUT_RESOURCE_KIND, PARAMETER, scanout_blob(IMAGE)),
    Case(Rule.SCANOUT_RECT_INSIDE, PARAMETER, SetScanout(r=Rect(y=1, width=16, height=16), resource_id=IMAGE)),
    Case(Rule.SCANOUT_RECT_INSIDE, PARAMETER, scanout_blob(height=15)),
    Case(Rule.SCANOUT_RECT_NONEMPTY, PARAMETER, SetScanout(r=Rect(width=0, height=16), resource_id=IMAGE)),
    Case(Rule.SCANOUT_RECT_LARGE, OK, SetScanout(r=Rect(width=1, height=1), resource_id=IMAGE)),
    Case(Rule.SCANOUT_FORMAT, PARAMETER, scanout_blob(pixel_format=0)),
    Case(Rule.SCANOUT_BLOB_LONG, PARAMETER, scanout_blob(height=65)),
    Case(Rule.SCANOUT_BLOB_LONG, PARAMETER, scanout_blob(stride=60)),
    Case(Rule.FLUSH_ID_NONZERO, RESOURCE_ID, ResourceFlush(r=RECT)),
    Case(Rule.FLUSH_BLOB_SHOWN, OK, ResourceFlush(r=RECT, resource_id=GUEST_BLOB)),
    Case(Rule.FLUSH_KNOWN, RESOURCE_ID, ResourceFlush(r=RECT, resource_id=NOBODY)),
    Case(Rule.FLUSH_INSIDE, PARAMETER, ResourceFlush(r=Rect(x=1, width=16, height=16), resource_id=IMAGE)),
    Case(Rule.EDID_SCANOUT_KNOWN, SCANOUT_ID, GetEdid(scanout=1)),
    Case(Rule.CURSOR_SCANOUT_KNOWN, SCANOUT_ID, cursor(0, scanout_id=1)),
    Case(Rule.CURSOR_SCANOUT_KNOWN, SCANOUT_ID, cursor(0, scanout_id=2**32 - 1, move=True)),
    Case(Rule.CURSOR_RESOURCE_KNOWN, RESOURCE_ID, cursor(NOBODY)),
    Case(Rule.CURSOR_RESOURCE_SIZE, PARAMETER, cursor(IMAGE)),
    # capability sets
    Case(Rule.CAPSET_INDEX_VALID, PARAMETER, GetCapsetInfo(capset_index=4)),
    Case(Rule.CAPSET_KNOWN, PARAMETER, GetCapset(capset_id=9)),
    Case(Rule.CAPSET_KNOWN, PARAMETER, GetCapset(capset_id=1, capset_version=2)),
    Case(Rule.CAPSET_LIMIT, OUT_OF_MEMORY, GetCapset(capset_id=1, capset_version=1), limits(capset_bytes=307)),
    # contexts
    Case(Rule.CTX_CREATE_ID_FREE, CONTEXT_ID, CtxCreate(ctx_id=0)),
    Case(Rule.CTX_CREATE_ID_FREE, CONTEXT_ID, CtxCreate(ctx_id=1)),
    Case(Rule.CTX_CREATE_INIT_NEGOTIATED, UNSPEC, CtxCreate(ctx_id=2, context_init=1), without(Feature.CONTEXT_INIT)),
    Case(Rule.CTX_CREATE_CAPSET_KNOWN, PARAMETER, CtxCreate(ctx_id=2, context_init=9)),
    Case(Rule.CTX_LIMIT, OUT_OF_MEMORY, CtxCreate(ctx_id=2), limits(contexts=1)),
    Case(Rule.CTX_KNOWN, CONTEXT_ID, CtxDestroy(ctx_id=2)),
    Case(Rule.CTX_KNOWN, CONTEXT_ID, CtxResource(ctx_id=2, resource_id=IMAGE)),
    Case(Rule.CTX_KNOWN, CONTEXT_ID, detach_resource(2, IMAGE)),
    Case(Rule.CTX_RESOURCE_KNOWN, RESOURCE_ID, CtxResource(ctx_id=1, resource_id=NOBODY)),
    Case(Rule.CTX_RESOURCE_KNOWN, RESOURCE_ID, detach_resource(1, NOBODY)),
    Case(Rule.SUBMIT_CTX_KNOWN, CONTEXT_ID, submit(2)),
    Case(Rule.SUBMIT_WHOLE, PARAMETER, short_submit(24, bytes(23))),
    Case(Rule.SUBMIT_PRESENT, PARAMETER, short_submit(24, b"")),
    Case(Rule.SUBMIT_LIMIT, OUT_OF_MEMORY, CmdSubmit(ctx_id=1, size=24, commands=bytes(24)), limits(submit_bytes=23)),
    Case(Rule.SUBMIT_LIMIT, OUT_OF_MEMORY, short_submit(2**32 - 1, bytes(24))),
    # blobs
    Case(Rule.CREATE_BLOB_ID_NONZERO, RESOURCE_ID, guest_blob(0, PAGE)),
    Case(Rule.CREATE_BLOB_ID_FREE, RESOURCE_ID, guest_blob(IMAGE, PAGE)),
    Case(Rule.CREATE_BLOB_MEM_VALID, PARAMETER, ResourceCreateBlob(resource_id=30, blob_mem=0, size=PAGE)),
    Case(Rule.CREATE_BLOB_MEM_VALID, PARAMETER, ResourceCreateBlob(resource_id=30, blob_mem=4, size=PAGE)),
    Case(Rule.CREATE_BLOB_MEM_NEGOTIATED, UNSPEC, host_blob(OBJECT), without(Feature.VIRGL)),
    Case(Rule.CREATE_BLOB_FLAGS_VALID, PARAMETER, guest_blob(30, PAGE, flags=8)),
    Case(Rule.CREATE_BLOB_SIZE_NONZERO, PARAMETER, guest_blob(30, 0)),
    Case(Rule.CREATE_BLOB_SIZE_ALIGNED, PARAMETER, guest_blob(30, PAGE + 4)),
    Case(
        Rule.CREATE_BLOB_ENTRIES_NONE,
        PARAMETER,
        ResourceCreateBlob(
            ctx_id=1,
            resource_id=30,
            blob_mem=HOST3D,
            blob_id=OBJECT,
            size=PAGE,
            nr_entries=1,
            entries=attach(1, (0, PAGE)).entries,
        ),
    ),
    Case(Rule.CREATE_BLOB_ENTRIES_LONG, PARAMETER, guest_blob(30, PAGE, (0, PAGE - 1))),
    Case(Rule.CREATE_BLOB_ENTRIES_LONG, PARAMETER, attach(BARE_BLOB, (0, PAGE - 1))),
    Case(
        Rule.CREATE_BLOB_CTX_KNOWN,
        CONTEXT_ID,
        ResourceCreateBlob(ctx_id=2, resource_id=30, blob_mem=HOST3D, blob_id=OBJECT, size=PAGE),
    ),
    Case(Rule.BLOB_BYTES_LIMIT, OUT_OF_MEMORY, guest_blob(30, 2**64 - PAGE)),
    Case(Rule.MAP_KNOWN, RESOURCE_ID, ResourceMapBlob(resource_id=NOBODY)),
    Case(Rule.MAP_HOST_ONLY, PARAMETER, ResourceMapBlob(resource_id=GUEST_BLOB, offset=3 * PAGE)),
    Case(Rule.MAP_HOST_ONLY, PARAMETER, ResourceMapBlob(resource_id=IMAGE, offset=3 * PAGE)),
    Case(Rule.MAP_MAPPABLE, PARAMETER, ResourceMapBlob(resource_id=UNMAPPABLE, offset=3 * PAGE)),
    Case(Rule.MAP_ONCE, UNSPEC, ResourceMapBlob(resource_id=MAPPED, offset=3 * PAGE)),
    Case(Rule.MAP_ONCE_SHAREABLE, UNSPEC, ResourceMapBlob(resource_id=SHARED, offset=2 * PAGE)),
    Case(Rule.MAP_INSIDE, PARAMETER, ResourceMapBlob(resource_id=BLOB, offset=256 << 20)),
    Case(Rule.MAP_INSIDE, PARAMETER, ResourceMapBlob(resource_id=BLOB, offset=2**64 - PAGE)),
    Case(Rule.MAP_ALIGNED, PARAMETER, ResourceMapBlob(resource_id=BLOB, offset=PAGE + 8)),
    Case(Rule.MAP_DISJOINT, PARAMETER, ResourceMapBlob(resource_id=BLOB, offset=0)),
    Case(Rule.MAP_EXPORTED, UNSPEC, ResourceMapBlob(resource_id=NOBODY, offset=3 * PAGE), unexportable),
    Case(Rule.MAP_INFO_KNOWN, UNSPEC, ResourceMapBlob(resource_id=SILENT_BLOB, offset=3 * PAGE)),
    Case(Rule.UNMAP_KNOWN, RESOURCE_ID, ResourceUnmapBlob(resource_id=NOBODY)),
    Case(Rule.UNMAP_MAPPED, UNSPEC, ResourceUnmapBlob(resource_id=BLOB)),
    Case(Rule.UNMAP_MAPPED, UNSPEC, ResourceUnmapBlob(resource_id=IMAGE)),
    # the renderer said no
    Case(Rule.RENDERER_ACCEPTS, PARAMETER, host_blob(NOBODY)),
    Case(Rule.RENDERER_ACCEPTS, PARAMETER, CtxCreate(ctx_id=2), refusing(Op.CTX_CREATE, EINVAL)),
    Case(Rule.RENDERER_ACCEPTS, PARAMETER, CtxDestroy(ctx_id=1), refusing(Op.CTX_DESTROY, ENOENT)),
    Case(Rule.RENDERER_HAS_ROOM, OUT_OF_MEMORY, host_blob(OBJECT), refusing(Op.CREATE_BLOB, ENOMEM)),
    Case(Rule.RENDERER_WORKS, UNSPEC, CtxResource(ctx_id=1, resource_id=BLOB), refusing(Op.CTX_ATTACH, EIO)),
    Case(Rule.RENDERER_WORKS, UNSPEC, detach_resource(1, BLOB), refusing(Op.CTX_DETACH, EIO)),
)
#: rules of other VMMs that strict never gets to: a rule before them has refused such a request already
UNBREAKABLE = {Rule.CREATE_BLOB_GUEST_HANDLE}
