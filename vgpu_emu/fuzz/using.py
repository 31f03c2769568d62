"""Everything that is alive, used as a right driver uses it: what is wrong with something shows when it is used."""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

from vgpu_emu.fuzz.actions import Poke, Send, Step
from vgpu_emu.fuzz.model.images import level_size, pixel_bytes
from vgpu_emu.fuzz.model.setup import PAGE
from vgpu_emu.fuzz.model.world import Resource, World
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.display import CursorPos, GetEdid, Rect, ResourceFlush, UpdateCursor
from vgpu_wire.layout import Record
from vgpu_wire.messages import MESSAGES
from vgpu_wire.render import Box, CmdSubmit, CtxResource, GetCapset, GetCapsetInfo, TransferHost3D
from vgpu_wire.resource import MemEntry, ResourceAssignUuid, ResourceAttachBacking, ResourceUnref, TransferToHost2D
from vgpu_wire.terms import Records

_TO_HOST = (CtrlType.TRANSFER_TO_HOST_2D.value, CtrlType.TRANSFER_TO_HOST_3D.value)
#: a request, if what it is about is still there
Use = Callable[[World], Record | None]


def uses(world: World, rng: Random) -> list[Use]:
    """One or two of each thing that the device has, in any order."""
    found = [*_resources(world), *_contexts(world), *of_displays(world)]
    rng.shuffle(found)
    return found


def _resources(world: World) -> Iterator[Use]:
    for resource_id in world.resources:
        yield from (partial(use, resource_id) for use in _OF_RESOURCES)


def _contexts(world: World) -> Iterator[Use]:
    for ctx_id, context in world.contexts.items():
        yield partial(_work, ctx_id)
        yield from (partial(_attach, ctx_id, resource_id) for resource_id in list(world.resources)[:2])
        yield from (partial(_take, ctx_id, blob_id) for blob_id in context.objects)


def of_displays(world: World) -> Iterator[Use]:
    """What a driver asks of displays, and what it does with each."""
    yield lambda _world: HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)
    if world.setup.capsets:
        # one of them, as there is nothing that changes them
        index = len(world.resources) % len(world.setup.capsets)
        number, version, _size = world.setup.capsets[index]
        yield partial(_just, GetCapsetInfo(capset_index=index))
        yield partial(_just, GetCapset(capset_id=number, capset_version=version))
    for scanout_id in range(len(world.scanouts)):
        yield partial(_just, GetEdid(scanout=scanout_id))
        yield partial(_flush, scanout_id)
        pos = CursorPos(scanout_id=scanout_id, x=scanout_id + 5, y=7)
        yield partial(_just, UpdateCursor(type=CtrlType.MOVE_CURSOR.value, pos=pos))


def _just(request: Record, _world: World) -> Record:
    return request


# -- resources


def _exchange(resource_id: int, world: World) -> Record | None:
    """A blob is mapped, or unmapped; an image gets a backing, and then its pixels."""
    resource = world.resources.get(resource_id)
    if resource is None:
        return None
    if resource.kind == "blob":
        return _map(resource, world)
    return _fill(resource, world) if resource.stretches is None else _transfer(resource, CtrlType.TRANSFER_TO_HOST_3D)


def _map(blob: Resource, world: World) -> Record | None:
    if blob.offset is not None:
        return ResourceUnmapBlob(resource_id=blob.resource_id)
    places = [0, *(offset + length for offset, length in world.mapped)]
    return ResourceMapBlob(resource_id=blob.resource_id, offset=places[-1]) if blob.blob_flags & 1 else None


def _fill(image: Resource, world: World) -> Record:
    entry = MemEntry(addr=0, length=min(max(len(image.pixels), 1), world.setup.memory))
    return ResourceAttachBacking(resource_id=image.resource_id, nr_entries=1, entries=Records.of(MemEntry, [entry]))


def _transfer(image: Resource, way: CtrlType) -> Record:
    if image.kind == "2D":
        return TransferToHost2D(resource_id=image.resource_id, r=Rect(width=image.width, height=image.height))
    level = image.last_level
    width, height, slices = level_size(image, level)
    box = Box(w=width, h=height, d=slices)
    stride = width * pixel_bytes(image)
    return TransferHost3D(type=way.value, resource_id=image.resource_id, level=level, box=box, stride=stride)


def _read(resource_id: int, world: World) -> Record | None:
    resource = world.resources.get(resource_id)
    is_readable = resource is not None and resource.kind == "3D" and resource.stretches is not None
    return _transfer(resource, CtrlType.TRANSFER_FROM_HOST_3D) if resource is not None and is_readable else None


def _name(resource_id: int, world: World) -> Record | None:
    return ResourceAssignUuid(resource_id=resource_id) if resource_id in world.resources else None


def _end(resource_id: int, world: World) -> Record | None:
    """One of three: what is left must be what it was."""
    return ResourceUnref(resource_id=resource_id) if resource_id in list(world.resources)[::3] else None


_OF_RESOURCES = (_exchange, _exchange, _read, _name, _end)


def again(data: bytes, world: World, rng: Random) -> list[Step]:
    """After a transfer to the host: a store to what it has read, and the same once more; the last step first."""
    number = int.from_bytes(data[:4], "little")
    if number not in _TO_HOST:
        return []
    request: Any = MESSAGES[number].parse(data)
    resource = world.resources.get(request.resource_id)
    at = request.offset
    for address, size in (resource and resource.stretches) or ():
        if at < size:
            return [Send(data), Poke(address + at, rng.randbytes(min(size - at, 64)))]
        at -= size
    return []


# -- contexts


def _work(ctx_id: int, world: World) -> Record | None:
    commands = StreamWork(microseconds=10).build()
    is_there = ctx_id in world.contexts
    return CmdSubmit(ctx_id=ctx_id, size=len(commands), commands=commands) if is_there else None


def _attach(ctx_id: int, resource_id: int, world: World) -> Record | None:
    if ctx_id not in world.contexts or resource_id not in world.resources:
        return None
    is_attached = resource_id in world.contexts[ctx_id].attached
    way = CtrlType.CTX_DETACH_RESOURCE if is_attached else CtrlType.CTX_ATTACH_RESOURCE
    return CtxResource(type=way.value, ctx_id=ctx_id, resource_id=resource_id)


def _take(ctx_id: int, blob_id: int, world: World) -> Record | None:
    """An object becomes a blob that can be mapped."""
    context = world.contexts.get(ctx_id)
    if context is None or blob_id not in context.objects:
        return None
    resource_id = next(number for number in range(1, 1 + PAGE) if number not in world.resources)
    return ResourceCreateBlob(
        ctx_id=ctx_id,
        resource_id=resource_id,
        blob_mem=2,
        blob_flags=1,
        blob_id=blob_id,
        size=context.objects[blob_id][1],
    )


# -- displays


def _flush(scanout_id: int, world: World) -> Record | None:
    shown = world.scanouts[scanout_id].shown
    return ResourceFlush(resource_id=shown[0], r=shown[1]) if shown is not None else None
