"""Short ways to say the requests that a device is asked about: small images, blobs, contexts."""

from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.control import CtrlFlag, CtrlType
from vgpu_wire.display import CursorPos, Rect, ResourceFlush, SetScanout, UpdateCursor
from vgpu_wire.layout import Record
from vgpu_wire.render import CmdSubmit, CtxResource, ResourceCreate3D
from vgpu_wire.resource import Format, MemEntry, ResourceAttachBacking, ResourceCreate2D, TransferToHost2D

PAGE = 4096
#: pixels of an image's side, and its bytes
SIDE = 64
IMAGE_BYTES = SIDE * SIDE * 4
FULL = Rect(width=SIDE, height=SIDE)
BGRX = Format.B8G8R8X8_UNORM.value
GUEST, HOST3D = BlobMem.GUEST.value, BlobMem.HOST3D.value
MAPPABLE, SHAREABLE = BlobFlag.USE_MAPPABLE.value, BlobFlag.USE_SHAREABLE.value
FENCE, RING = CtrlFlag.FENCE.value, CtrlFlag.INFO_RING_IDX.value
ATTACH, DETACH = CtrlType.CTX_ATTACH_RESOURCE.value, CtrlType.CTX_DETACH_RESOURCE.value


def create_2d(resource_id: int, pixel_format: int = BGRX, width: int = SIDE, height: int = SIDE) -> ResourceCreate2D:
    return ResourceCreate2D(resource_id=resource_id, format=pixel_format, width=width, height=height)


def create_3d(resource_id: int) -> ResourceCreate3D:
    return ResourceCreate3D(
        resource_id=resource_id, target=2, format=1, bind=2, width=SIDE, height=SIDE, depth=1, array_size=1
    )


def attach(resource_id: int, *entries: tuple[int, int]) -> ResourceAttachBacking:
    """entries: (guest physical address, bytes)."""
    return ResourceAttachBacking(resource_id=resource_id, nr_entries=len(entries), entries=mem_entries(*entries))


def mem_entries(*entries: tuple[int, int]) -> list[MemEntry]:
    return [MemEntry(addr=addr, length=length) for addr, length in entries]


def transfer(resource_id: int = 1, r: Rect = FULL, offset: int = 0) -> TransferToHost2D:
    return TransferToHost2D(r=r, offset=offset, resource_id=resource_id)


def scanout(scanout_id: int = 0, resource_id: int = 1, r: Rect = FULL) -> SetScanout:
    return SetScanout(r=r, scanout_id=scanout_id, resource_id=resource_id)


def flush(resource_id: int = 1, r: Rect = FULL) -> ResourceFlush:
    return ResourceFlush(r=r, resource_id=resource_id)


def cursor(resource_id: int = 1, scanout_id: int = 0, *, move: bool = False) -> UpdateCursor:
    kind = CtrlType.MOVE_CURSOR if move else CtrlType.UPDATE_CURSOR
    return UpdateCursor(type=kind.value, pos=CursorPos(scanout_id=scanout_id), resource_id=resource_id)


def ctx_resource(command: int, ctx_id: int = 1, resource_id: int = 1) -> CtxResource:
    return CtxResource(type=command, ctx_id=ctx_id, resource_id=resource_id)


def host_blob(
    resource_id: int, size: int = PAGE, *, flags: int = MAPPABLE, blob_mem: int = HOST3D
) -> ResourceCreateBlob:
    """In context 1. Its blob_id is its resource id."""
    return ResourceCreateBlob(
        ctx_id=1, resource_id=resource_id, blob_mem=blob_mem, blob_flags=flags, blob_id=resource_id, size=size
    )


def guest_blob(resource_id: int, size: int, *entries: tuple[int, int], flags: int = MAPPABLE) -> ResourceCreateBlob:
    return ResourceCreateBlob(
        resource_id=resource_id,
        blob_mem=GUEST,
        blob_flags=flags,
        size=size,
        nr_entries=len(entries),
        entries=mem_entries(*entries),
    )


def submit(ctx_id: int, *commands: Record, flags: int = 0, fence_id: int = 0, ring_idx: int = 0) -> CmdSubmit:
    stream = b"".join(command.build() for command in commands)
    return CmdSubmit(
        ctx_id=ctx_id, flags=flags, fence_id=fence_id, ring_idx=ring_idx, size=len(stream), commands=stream
    )


def work(ctx_id: int, milliseconds: int, ring_idx: int | None = None, fence_id: int | None = None) -> CmdSubmit:
    """Keep a ring busy; of no ring_idx, the context's first, and a fence is then a global one."""
    flags = (RING if ring_idx is not None else 0) | (FENCE if fence_id is not None else 0)
    busy = StreamWork(microseconds=milliseconds * 1000)
    return submit(ctx_id, busy, flags=flags, fence_id=fence_id or 0, ring_idx=ring_idx or 0)
