"""Requests that mostly make sense: one maker a command, which looks at what is alive.

A maker takes (rng, world, ids): where choices come from, the reference's view of the device, which ids are in use.
"""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import NamedTuple, TypeVar

from vgpu_emu.fuzz.model.blobs import alignment
from vgpu_emu.fuzz.model.images import level_size, pixel_bytes
from vgpu_emu.fuzz.model.world import BYTES_PER_PIXEL, PAGE, Resource, World
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.context_stream import StreamAlloc, StreamFree, StreamWork
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ, CURSORQ
from vgpu_wire.display import (
    CURSOR_SIZE,
    CursorPos,
    GetEdid,
    Rect,
    ResourceFlush,
    SetScanout,
    SetScanoutBlob,
    UpdateCursor,
)
from vgpu_wire.layout import Record
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
from vgpu_wire.resource import (
    Format,
    MemEntry,
    ResourceAssignUuid,
    ResourceAttachBacking,
    ResourceCreate2D,
    ResourceDetachBacking,
    ResourceUnref,
    TransferToHost2D,
)
from vgpu_wire.terms import Records


class Ids(NamedTuple):
    """How many ids are in use, and how far they lie apart: those that are far apart have the same low bits."""

    number: int
    step: int = 1

    def nth(self, place: int) -> int:
        """0 is 0: no id at all."""
        return 1 + (place - 1) * self.step if place else 0

    def any(self, rng: Random) -> int:
        return self.nth(int(rng.random() * (self.number + 1)))


Maker = Callable[[Random, World, Ids], Record]
T = TypeVar("T")
_FORMATS = tuple(fmt.value for fmt in Format)


def _any(rng: Random, items: Sequence[T]) -> T:
    return items[int(rng.random() * len(items))]


def _live(rng: Random, world: World, ids: Ids, wanted: Callable[[Resource], object] = bool) -> int:
    """A resource that is wanted, often the youngest, to which then much happens; now and then, or if there is none, any
    id."""
    found = [r.resource_id for r in world.resources.values() if wanted(r)]
    if found and rng.random() < 0.3:
        return found[-1]
    return _any(rng, found) if found and rng.random() < 0.95 else ids.any(rng)


def _free(rng: Random, world: World, ids: Ids) -> int:
    """An id for something new: mostly the lowest that is free, so that ids are used again soon."""
    if rng.random() < 0.05:
        return ids.any(rng)
    numbers = map(ids.nth, range(1, len(world.resources) + 2))
    return next(number for number in numbers if number not in world.resources)


def _with_objects(rng: Random, world: World, ids: Ids) -> int:
    """A context that a blob can be made in, if there is one."""
    found = [ctx_id for ctx_id, context in world.contexts.items() if context.objects]
    return _any(rng, found) if found and rng.random() < 0.95 else _context(rng, world, ids)


def _context(rng: Random, world: World, ids: Ids) -> int:
    found = list(world.contexts)
    return _any(rng, found) if found and rng.random() < 0.97 else ids.nth(int(rng.random() * 4))


def _rect(rng: Random, width: int, height: int) -> Rect:
    if rng.random() < 0.4:
        return Rect(width=width, height=height)
    x, y = int(rng.random() * width), int(rng.random() * height)
    return Rect(x=x, y=y, width=1 + int(rng.random() * (width - x)), height=1 + int(rng.random() * (height - y)))


def _shown(rng: Random, width: int, height: int) -> Rect:
    """Of at least 16x16 pixels where there are so many: no less is shown."""
    r = _rect(rng, max(width - 15, 1), max(height - 15, 1)) if rng.random() < 0.9 else _rect(rng, width, height)
    return Rect(x=r.x, y=r.y, width=min(r.width + 15, width - r.x), height=min(r.height + 15, height - r.y))


def _entries(rng: Random, world: World, size: int) -> list[MemEntry]:
    """Guest memory of at least so many bytes, in a few pieces."""
    left = max(size, 1)
    if rng.random() < 0.01:
        return [MemEntry(addr=place, length=left) for place in range(world.setup.entries + _any(rng, (0, 1)))]
    found: list[MemEntry] = []
    most = _any(rng, (1, 4, 4, 12))
    while left > 0:
        length = left if len(found) >= most - 1 or rng.random() < 0.3 else 1 + int(rng.random() * left)
        found.append(MemEntry(addr=_address(rng, world, length, found), length=length % (1 << 32)))
        left -= length
    return found


def _address(rng: Random, world: World, length: int, before: list[MemEntry]) -> int:
    """Anywhere; on a page; behind the piece before, or once more where that is; at the end of the memory."""
    end, choice = world.setup.memory - length, rng.random()
    if choice < 0.02:
        return max(end + _any(rng, (0, 1)), 0)
    if choice < 0.12 and before:
        address = before[-1].addr + (before[-1].length if choice < 0.08 else 0)
        return address if address <= end else 0
    address = int(rng.random() * max(end, 1))
    return address & -PAGE if choice < 0.4 else address


# -- makers, in the order of the spec


def _create_2d(rng: Random, world: World, ids: Ids) -> Record:
    side = _any(rng, (4, 16, 16, 24, 64))
    return ResourceCreate2D(
        resource_id=_free(rng, world, ids), format=_any(rng, _FORMATS), width=side, height=_any(rng, (4, 16, side))
    )


def _create_cursor(rng: Random, world: World, ids: Ids) -> Record:
    return ResourceCreate2D(
        resource_id=_free(rng, world, ids), format=_any(rng, _FORMATS), width=CURSOR_SIZE, height=CURSOR_SIZE
    )


def _create_3d(rng: Random, world: World, ids: Ids) -> Record:
    return ResourceCreate3D(
        resource_id=_free(rng, world, ids),
        target=2,
        format=_any(rng, (1, 2, 64, 65, 66, 67)),
        bind=2,
        width=_any(rng, (4, 16, 17)),
        height=_any(rng, (1, 4, 16)),
        depth=_any(rng, (1, 3, 4)),
        array_size=_any(rng, (1, 1, 2, 3)),
        last_level=_any(rng, (0, 0, 1, 2)),
    )


def _image_size(image: Resource) -> int:
    return len(image.pixels) or image.size


def _attach(rng: Random, world: World, ids: Ids) -> Record:
    resource_id = _live(rng, world, ids, lambda r: r.stretches is None and not r.on_host)
    there = world.resources.get(resource_id)
    size = _image_size(there) if there is not None else 64
    # room for lines and layers that lie farther apart
    entries = _entries(rng, world, _any(rng, (size, size, size * 3 // 2, size * 3)))
    return ResourceAttachBacking(
        resource_id=resource_id, nr_entries=len(entries), entries=Records.of(MemEntry, entries)
    )


def _detach(rng: Random, world: World, ids: Ids) -> Record:
    return ResourceDetachBacking(resource_id=_live(rng, world, ids, lambda r: r.stretches is not None))


def _unref(rng: Random, world: World, ids: Ids) -> Record:
    in_use = rng.random() < 0.5
    return ResourceUnref(resource_id=_live(rng, world, ids, partial(_used, world) if in_use else bool))


def _used(world: World, resource: Resource) -> bool:
    """It is mapped or shown, a cursor, or a context has it."""
    return (
        resource.offset is not None
        or any(resource.resource_id in context.attached for context in world.contexts.values())
        or any(resource.resource_id in (s.cursor[4], s.shown and s.shown[0]) for s in world.scanouts)
    )


def _uuid(rng: Random, world: World, ids: Ids) -> Record:
    return ResourceAssignUuid(resource_id=_live(rng, world, ids))


def _transfer_2d(rng: Random, world: World, ids: Ids) -> Record:
    # of a blob there is nothing to transfer, and nothing wrong about it
    kind = "2D" if rng.random() < 0.95 else "blob"
    resource_id = _live(rng, world, ids, lambda r: r.kind == kind and r.stretches is not None)
    there = world.resources.get(resource_id)
    if there is None or there.kind != "2D":
        return TransferToHost2D(resource_id=resource_id, r=Rect(width=4, height=4))
    r = _rect(rng, there.width, there.height)
    offset = (r.y * there.width + r.x) * BYTES_PER_PIXEL if rng.random() < 0.8 else int(rng.random() * 64)
    return TransferToHost2D(resource_id=resource_id, r=r, offset=offset)


def _transfer_3d(rng: Random, world: World, ids: Ids) -> Record:
    number = _any(rng, (CtrlType.TRANSFER_TO_HOST_3D, CtrlType.TRANSFER_FROM_HOST_3D)).value
    resource_id = _live(rng, world, ids, lambda r: r.kind == "3D" and r.stretches is not None)
    there = world.resources.get(resource_id)
    if there is None or there.kind != "3D":
        return TransferHost3D(type=number, resource_id=resource_id, box=Box(w=1, h=1, d=1))
    level = int(rng.random() * (there.last_level + 1))
    width, height, slices = level_size(there, level)
    r, z = _rect(rng, width, height), 0 if rng.random() < 0.4 else int(rng.random() * slices)
    depth = slices - z if rng.random() < 0.5 else 1 + int(rng.random() * (slices - z))
    stride = 0 if rng.random() < 0.6 else _any(rng, (r.width, width)) * pixel_bytes(there) + _any(rng, (0, 0, 4))
    layer = (stride or width * pixel_bytes(there)) * _any(rng, (r.height, height)) + _any(rng, (0, 8))
    return TransferHost3D(
        type=number,
        resource_id=resource_id,
        level=level,
        box=Box(x=r.x, y=r.y, z=z, w=r.width, h=r.height, d=depth),
        offset=0 if rng.random() < 0.7 else int(rng.random() * 64),
        stride=stride,
        layer_stride=0 if rng.random() < 0.5 else layer,
    )


def _set_scanout(rng: Random, world: World, ids: Ids) -> Record:
    scanout_id = int(rng.random() * (len(world.scanouts) + 0.1))
    if rng.random() < 0.15:
        return SetScanout(scanout_id=scanout_id)
    resource_id = _live(rng, world, ids, lambda r: r.kind != "blob")
    there = world.resources.get(resource_id)
    r = _shown(rng, there.width or 1, there.height or 1) if there is not None else Rect(width=16, height=16)
    return SetScanout(scanout_id=scanout_id, resource_id=resource_id, r=r)


def _set_scanout_blob(rng: Random, world: World, ids: Ids) -> Record:
    scanout_id = int(rng.random() * (len(world.scanouts) + 0.1))
    resource_id = _live(rng, world, ids, lambda r: r.kind == "blob")
    width, height = _any(rng, (16, 16, 32)), _any(rng, (16, 16, 32))
    stride = width * BYTES_PER_PIXEL + _any(rng, (0, 0, 64))
    room = world.resources[resource_id].size - stride * height if resource_id in world.resources else 0
    return SetScanoutBlob(
        scanout_id=scanout_id,
        resource_id=resource_id if rng.random() < 0.9 else 0,
        r=_shown(rng, width, height),
        width=width,
        height=height,
        format=_any(rng, _FORMATS),
        strides=(stride, 0, 0, 0),
        offsets=(max(_any(rng, (0, 0, room, room // 2, room + 65)), 0), 0, 0, 0),
    )


def _flush(rng: Random, world: World, ids: Ids) -> Record:
    resource_id = _live(rng, world, ids)
    there = world.resources.get(resource_id)
    size = (there.width or 16, there.height or 16) if there is not None else (16, 16)
    return ResourceFlush(resource_id=resource_id, r=_rect(rng, *size))


def _display_info(_rng: Random, _world: World, _ids: Ids) -> Record:
    return HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)


def _edid(rng: Random, world: World, _ids: Ids) -> Record:
    return GetEdid(scanout=int(rng.random() * (len(world.scanouts) + 0.2)))


def _capset_info(rng: Random, world: World, _ids: Ids) -> Record:
    return GetCapsetInfo(capset_index=int(rng.random() * (len(world.setup.capsets) + 0.5)))


def _capset(rng: Random, world: World, _ids: Ids) -> Record:
    # a device for 2D has none, and has to say so
    number, version, _size = _any(rng, world.setup.capsets or ((1, 1, 0),))
    return GetCapset(capset_id=number, capset_version=int(rng.random() * (version + 1.2)))


def _ctx_create(rng: Random, world: World, ids: Ids) -> Record:
    init = _any(rng, (0, 0, 4, 6, 3)) if world.setup.features & 16 else 0
    # now and then more than there is room for
    ctx_id = ids.nth(int(1 + rng.random() * _any(rng, (4, 4, 4, 12))))
    length = _any(rng, (4, 4, 4, 0, 63, 64))
    return CtxCreate(ctx_id=ctx_id, nlen=length, debug_name=(b"fuzz" * 16)[:length].ljust(64, b"\0"), context_init=init)


def _ctx_destroy(rng: Random, world: World, ids: Ids) -> Record:
    return CtxDestroy(ctx_id=_context(rng, world, ids))


def _ctx_resource(rng: Random, world: World, ids: Ids) -> Record:
    way = CtrlType.CTX_ATTACH_RESOURCE if rng.random() < 0.7 else CtrlType.CTX_DETACH_RESOURCE
    shared = rng.random() < 0.4
    resource_id = _live(rng, world, ids, partial(_used, world) if shared else bool)
    return CtxResource(type=way.value, ctx_id=_context(rng, world, ids), resource_id=resource_id)


def _submit(rng: Random, world: World, ids: Ids) -> Record:
    commands = b""
    for _ in range(60 if rng.random() < 0.01 else int(1 + rng.random() * 3)):
        # of 64 bits, where ids of resources have 32
        blob_id, choice = 1 + int(rng.random() * 6) + (int(rng.random() + 0.2) << 32), rng.random()
        if choice < 0.65:
            size = _any(rng, (1, 4096, 8192, 16384)) if rng.random() < 0.3 else max(world.setup.blob_alignment, 4096)
            # mostly one of those that can be mapped: write-combined and cached
            exporter = int(1 + rng.random() * 5.02) if rng.random() < 0.25 else int(1 + rng.random() * 2)
            commands += StreamAlloc(exporter=exporter, blob_id=blob_id, size=size).build()
        elif choice < 0.9:
            commands += StreamWork(microseconds=_any(rng, (1, 10, 100, 1000))).build()
        else:
            commands += StreamFree(blob_id=blob_id).build()
    return CmdSubmit(ctx_id=_context(rng, world, ids), size=len(commands), commands=commands)


def _alloc(rng: Random, world: World, ids: Ids) -> Record:
    """A few objects that a host knows how to map: write-combined and cached ones."""
    size, first = max(world.setup.blob_alignment, 4096), int(rng.random() * 40)
    commands = b"".join(
        StreamAlloc(exporter=_any(rng, (1, 2)), blob_id=10 + first + number, size=size).build()
        for number in range(_any(rng, (1, 2, 4)))
    )
    return CmdSubmit(ctx_id=_context(rng, world, ids), size=len(commands), commands=commands)


def _create_mappable(rng: Random, world: World, ids: Ids) -> Record:
    """A blob of a context's object that a guest can map, all of it."""
    ctx_id, objects = next(((i, c.objects) for i, c in world.contexts.items() if c.objects), (1, {}))
    blob_id, (_exporter, size) = _any(rng, list(objects.items())) if objects else (1, (1, 4096))
    return ResourceCreateBlob(
        ctx_id=ctx_id,
        resource_id=_free(rng, world, ids),
        blob_mem=2,
        blob_flags=_any(rng, (1, 1, 3, 7)),
        blob_id=blob_id,
        size=size,
    )


def _work(rng: Random, world: World, ids: Ids) -> Record:
    """A command stream that takes time, and nothing else; now and then one for which there is just room, or not."""
    if rng.random() < 0.95:
        commands = StreamWork(microseconds=_any(rng, (1, 10, 100, 1000))).build()
    else:
        one = StreamWork(microseconds=1).build()
        commands = one * (world.setup.submit_bytes // len(one) + _any(rng, (-1, 0, 0, 1)))
    return CmdSubmit(ctx_id=_context(rng, world, ids), size=len(commands), commands=commands)


def _create_blob(rng: Random, world: World, ids: Ids) -> Record:
    ctx_id, resource_id = _with_objects(rng, world, ids), _free(rng, world, ids)
    flags = _any(rng, (1, 1, 1, 1, 3, 7, 2, 0))
    objects = (
        [(blob_id, size) for blob_id, (_e, size) in world.contexts[ctx_id].objects.items()]
        if (ctx_id in world.contexts)
        else []
    )
    if objects and rng.random() < 0.75:
        blob_id, size = _any(rng, objects)
        size = _blob_size(rng, world, size)
        mem = 2 if rng.random() < 0.9 else 3
        entries = _entries(rng, world, size) if mem == 3 and rng.random() < 0.5 else []
    else:
        ctx_id = blob_id = 0
        mem, size = 1, _blob_size(rng, world, _any(rng, (4096, 8192, 16384)))
        entries = _entries(rng, world, size)
    return ResourceCreateBlob(
        ctx_id=ctx_id,
        resource_id=resource_id,
        blob_mem=mem,
        blob_flags=flags,
        blob_id=blob_id,
        size=size,
        nr_entries=len(entries),
        entries=Records.of(MemEntry, entries),
    )


def _blob_size(rng: Random, world: World, size: int) -> int:
    """All of it, or less; where sizes need not be aligned, also a part of a page."""
    choice = rng.random()
    if choice < 0.6:
        return size
    if choice < 0.8 or alignment(world) > 1:
        return min(size, 4096)
    return max(size - _any(rng, (1, 4095, 4096, 100, 2048)), 1)


def _map_blob(rng: Random, world: World, ids: Ids) -> Record:
    again = rng.random() < 0.1
    resource_id = _live(rng, world, ids, lambda r: r.offset is not None if again else _mappable(r))
    return ResourceMapBlob(resource_id=resource_id, offset=_place(rng, world, resource_id))


def _place(rng: Random, world: World, resource_id: int) -> int:
    """Where to map: mostly a free place next to what is there; sometimes over it, or at the end of the region."""
    size = world.resources[resource_id].pages if resource_id in world.resources else PAGE
    region, choice = world.setup.host_visible, rng.random()
    if choice < 0.6:
        # behind a mapping, or so that it ends where one begins
        starts = [offset - size for offset, _length in world.mapped if offset >= size and choice < 0.2]
        return _any(rng, starts or [0, *(offset + length for offset, length in world.mapped)])
    if choice < 0.85:
        return int(rng.random() * (region // PAGE)) * PAGE
    if choice < 0.95:
        return max(region - size, 0)
    return _any(rng, (region, region - size + PAGE, (1 << 64) - size, (1 << 64) - PAGE)) % (1 << 64)


def _unmap_blob(rng: Random, world: World, ids: Ids) -> Record:
    return ResourceUnmapBlob(resource_id=_live(rng, world, ids, lambda r: r.offset is not None))


def _cursor(rng: Random, world: World, ids: Ids) -> Record:
    number = _any(rng, (CtrlType.UPDATE_CURSOR, CtrlType.MOVE_CURSOR)).value
    resource_id = _live(rng, world, ids, _is_cursor) if rng.random() < 0.8 else 0
    x, y, hot_x, hot_y = (_any(rng, (0, 1, 63, 64, int(rng.random() * 99), 65536, (1 << 32) - 1)) for _ in range(4))
    pos = CursorPos(scanout_id=int(rng.random() * (len(world.scanouts) + 0.1)), x=x, y=y)
    return UpdateCursor(type=number, pos=pos, resource_id=resource_id, hot_x=hot_x, hot_y=hot_y)


MAKERS: dict[Maker, int] = {
    _display_info: CONTROLQ,
    _create_2d: CONTROLQ,
    _unref: CONTROLQ,
    _set_scanout: CONTROLQ,
    _flush: CONTROLQ,
    _transfer_2d: CONTROLQ,
    _attach: CONTROLQ,
    _detach: CONTROLQ,
    _capset_info: CONTROLQ,
    _capset: CONTROLQ,
    _edid: CONTROLQ,
    _uuid: CONTROLQ,
    _create_blob: CONTROLQ,
    _set_scanout_blob: CONTROLQ,
    _ctx_create: CONTROLQ,
    _ctx_destroy: CONTROLQ,
    _ctx_resource: CONTROLQ,
    _create_3d: CONTROLQ,
    _transfer_3d: CONTROLQ,
    _submit: CONTROLQ,
    _work: CONTROLQ,
    _alloc: CONTROLQ,
    _create_mappable: CONTROLQ,
    _map_blob: CONTROLQ,
    _unmap_blob: CONTROLQ,
    _create_cursor: CONTROLQ,
    _cursor: CURSORQ,
}
#: subjects: what is done with each other, with weights. Nothing else needs so many steps that all succeed
THEMES: tuple[tuple[Maker, ...], ...] = (
    *((_alloc, _create_mappable, _map_blob, _map_blob, _unmap_blob, _unref),) * 3,
    *((_submit, _create_blob, _create_mappable, _map_blob, _map_blob, _map_blob, _unmap_blob, _unref),) * 3,
    (
        _create_2d,
        _attach,
        _create_blob,
        _set_scanout,
        _set_scanout,
        _set_scanout_blob,
        _set_scanout_blob,
        _flush,
        _unref,
    ),
    (_create_2d, _attach, _attach, _detach, _transfer_2d, _transfer_2d, _set_scanout, _unref),
    (_create_3d, _attach, _attach, _detach, _transfer_3d, _transfer_3d, _transfer_3d, _unref),
    (_ctx_create, _ctx_create, _ctx_destroy, _ctx_resource, _ctx_resource, _create_2d, _create_blob, _submit, _unref),
    (_ctx_create, _work, _work, _work, _work, _submit, _flush),
    (_create_cursor, _cursor, _cursor, _cursor, _unref),
    (_display_info, _edid, _capset_info, _capset, _uuid, _create_2d, _unref),
)
#: what a maker is of no use without
NEEDS: dict[Maker, tuple[Maker, ...]] = {
    _create_blob: (_ctx_create, _submit),
    _map_blob: (_ctx_create, _submit, _create_blob),
    _unmap_blob: (_ctx_create, _submit, _create_blob, _map_blob),
    _submit: (_ctx_create,),
    _work: (_ctx_create,),
    _ctx_resource: (_ctx_create, _create_2d),
    _transfer_2d: (_create_2d, _attach),
    _transfer_3d: (_create_3d, _attach),
    _attach: (_create_2d,),
    _detach: (_create_2d, _attach),
    _set_scanout: (_create_2d, _attach),
    _set_scanout_blob: (_create_blob,),
    _flush: (_create_2d, _set_scanout),
    _unref: (_create_2d,),
    _uuid: (_create_2d,),
    _cursor: (_create_cursor,),
}

#: what there must be for a maker to be of use, in this order: who makes it, and how to know
WANTS: dict[Maker, tuple[tuple[Maker, Callable[[World], object]], ...]] = {
    _submit: ((_ctx_create, lambda w: w.contexts),),
    _work: ((_ctx_create, lambda w: w.contexts),),
    _cursor: ((_create_cursor, lambda w: any(_is_cursor(r) for r in w.resources.values())),),
    _create_blob: ((_alloc, lambda w: any(context.objects for context in w.contexts.values())),),
    _map_blob: ((_create_mappable, lambda w: any(_mappable(r) for r in w.resources.values())),),
    _create_mappable: ((_alloc, lambda w: any(context.objects for context in w.contexts.values())),),
    _alloc: ((_ctx_create, lambda w: w.contexts),),
    _unmap_blob: ((_map_blob, lambda w: w.mapped),),
    _set_scanout_blob: ((_create_blob, lambda w: any(r.kind == "blob" for r in w.resources.values())),),
    _attach: ((_create_2d, lambda w: any(r.stretches is None and not r.on_host for r in w.resources.values())),),
    _detach: ((_attach, lambda w: any(r.stretches is not None for r in w.resources.values())),),
    _transfer_2d: ((_attach, lambda w: any(r.stretches and r.kind == "2D" for r in w.resources.values())),),
    _transfer_3d: (
        (_create_3d, lambda w: any(r.kind == "3D" for r in w.resources.values())),
        (_attach, lambda w: any(r.stretches and r.kind == "3D" for r in w.resources.values())),
    ),
    _ctx_resource: ((_ctx_create, lambda w: w.contexts), (_create_2d, lambda w: w.resources)),
    _set_scanout: ((_create_2d, lambda w: any(r.kind != "blob" for r in w.resources.values())),),
    _flush: ((_set_scanout, lambda w: any(scanout.shown for scanout in w.scanouts)),),
    _unref: ((_create_2d, lambda w: w.resources),),
}


def _is_cursor(resource: Resource) -> bool:
    return resource.width == resource.height == CURSOR_SIZE


def _mappable(resource: Resource) -> bool:
    return bool(resource.blob_mem == 2 and resource.blob_flags & 1 and resource.offset is None)


def towards(maker: Maker, world: World) -> Maker:
    """The maker or, where that has nothing to work on, the first that is of use on the way to it."""
    for needed, is_there in WANTS.get(maker, ()):
        if not is_there(world):
            return towards(needed, world)
    return maker


def to_map(world: World) -> Maker:
    """Who makes the next request on the way to one more mapping."""
    return towards(_map_blob, world)


def make(maker: Maker, rng: Random, world: World, ids: Ids) -> tuple[bytes, int]:
    """A request of this kind, and the queue that it goes to."""
    return maker(rng, world, ids).build(), MAKERS[maker]
