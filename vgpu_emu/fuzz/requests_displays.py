"""Makers of requests about scanouts, displays and cursors."""

from random import Random

from vgpu_emu.fuzz.model.world import BYTES_PER_PIXEL, Resource, World
from vgpu_emu.fuzz.requests_choices import FORMATS, Ids, choose, live, shown_rect, some_rect
from vgpu_wire.control import CtrlType, HeaderOnly
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


def set_scanout(rng: Random, world: World, ids: Ids) -> Record:
    scanout_id = int(rng.random() * (len(world.scanouts) + 0.1))
    if rng.random() < 0.15:
        return SetScanout(scanout_id=scanout_id)
    resource_id = live(rng, world, ids, lambda r: r.kind != "blob")
    there = world.resources.get(resource_id)
    r = shown_rect(rng, there.width or 1, there.height or 1) if there is not None else Rect(width=16, height=16)
    return SetScanout(scanout_id=scanout_id, resource_id=resource_id, r=r)


def set_scanout_blob(rng: Random, world: World, ids: Ids) -> Record:
    scanout_id = int(rng.random() * (len(world.scanouts) + 0.1))
    resource_id = live(rng, world, ids, lambda r: r.kind == "blob")
    width, height = choose(rng, (16, 16, 32)), choose(rng, (16, 16, 32))
    stride = width * BYTES_PER_PIXEL + choose(rng, (0, 0, 64))
    room = world.resources[resource_id].size - stride * height if resource_id in world.resources else 0
    return SetScanoutBlob(
        scanout_id=scanout_id,
        resource_id=resource_id if rng.random() < 0.9 else 0,
        r=shown_rect(rng, width, height),
        width=width,
        height=height,
        format=choose(rng, FORMATS),
        strides=(stride, 0, 0, 0),
        offsets=(max(choose(rng, (0, 0, room, room // 2, room + 65)), 0), 0, 0, 0),
    )


def flush(rng: Random, world: World, ids: Ids) -> Record:
    resource_id = live(rng, world, ids)
    there = world.resources.get(resource_id)
    size = (there.width or 16, there.height or 16) if there is not None else (16, 16)
    return ResourceFlush(resource_id=resource_id, r=some_rect(rng, *size))


def display_info(_rng: Random, _world: World, _ids: Ids) -> Record:
    return HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)


def edid(rng: Random, world: World, _ids: Ids) -> Record:
    return GetEdid(scanout=int(rng.random() * (len(world.scanouts) + 0.2)))


def cursor(rng: Random, world: World, ids: Ids) -> Record:
    number = choose(rng, (CtrlType.UPDATE_CURSOR, CtrlType.MOVE_CURSOR)).value
    resource_id = live(rng, world, ids, is_cursor) if rng.random() < 0.8 else 0
    x, y, hot_x, hot_y = (choose(rng, (0, 1, 63, 64, int(rng.random() * 99), 65536, (1 << 32) - 1)) for _ in range(4))
    pos = CursorPos(scanout_id=int(rng.random() * (len(world.scanouts) + 0.1)), x=x, y=y)
    return UpdateCursor(type=number, pos=pos, resource_id=resource_id, hot_x=hot_x, hot_y=hot_y)


def is_cursor(resource: Resource) -> bool:
    return resource.width == resource.height == CURSOR_SIZE
