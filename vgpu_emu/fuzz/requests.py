"""Requests that mostly make sense: one maker a command, which looks at what is alive.

A maker takes (rng, world, ids): where choices come from, the reference's view of the device, which ids are in use.
"""

from collections.abc import Callable
from random import Random

from vgpu_emu.fuzz.model.world import World
from vgpu_emu.fuzz.requests_blobs import create_blob, create_mappable, map_blob, mappable, unmap_blob
from vgpu_emu.fuzz.requests_choices import Ids, Maker
from vgpu_emu.fuzz.requests_contexts import (
    alloc,
    capset,
    capset_info,
    ctx_create,
    ctx_destroy,
    ctx_resource,
    submit,
    work,
)
from vgpu_emu.fuzz.requests_displays import cursor, display_info, edid, flush, is_cursor, set_scanout, set_scanout_blob
from vgpu_emu.fuzz.requests_images import (
    attach,
    create_2d,
    create_3d,
    create_cursor,
    detach,
    transfer_2d,
    transfer_3d,
    unref,
    uuid,
)
from vgpu_wire.device import CONTROLQ, CURSORQ

#: a maker -> the queue that its requests go to
MAKERS: dict[Maker, int] = {
    display_info: CONTROLQ,
    create_2d: CONTROLQ,
    unref: CONTROLQ,
    set_scanout: CONTROLQ,
    flush: CONTROLQ,
    transfer_2d: CONTROLQ,
    attach: CONTROLQ,
    detach: CONTROLQ,
    capset_info: CONTROLQ,
    capset: CONTROLQ,
    edid: CONTROLQ,
    uuid: CONTROLQ,
    create_blob: CONTROLQ,
    set_scanout_blob: CONTROLQ,
    ctx_create: CONTROLQ,
    ctx_destroy: CONTROLQ,
    ctx_resource: CONTROLQ,
    create_3d: CONTROLQ,
    transfer_3d: CONTROLQ,
    submit: CONTROLQ,
    work: CONTROLQ,
    alloc: CONTROLQ,
    create_mappable: CONTROLQ,
    map_blob: CONTROLQ,
    unmap_blob: CONTROLQ,
    create_cursor: CONTROLQ,
    cursor: CURSORQ,
}
#: subjects: what is done with each other, with weights. Nothing else needs so many steps that all succeed
THEMES: tuple[tuple[Maker, ...], ...] = (
    *((alloc, create_mappable, map_blob, map_blob, unmap_blob, unref),) * 3,
    *((submit, create_blob, create_mappable, map_blob, map_blob, map_blob, unmap_blob, unref),) * 3,
    (
        create_2d,
        attach,
        create_blob,
        set_scanout,
        set_scanout,
        set_scanout_blob,
        set_scanout_blob,
        flush,
        unref,
    ),
    (create_2d, attach, attach, detach, transfer_2d, transfer_2d, set_scanout, unref),
    (create_3d, attach, attach, detach, transfer_3d, transfer_3d, transfer_3d, unref),
    (ctx_create, ctx_create, ctx_destroy, ctx_resource, ctx_resource, create_2d, create_blob, submit, unref),
    (ctx_create, work, work, work, work, submit, flush),
    (create_cursor, cursor, cursor, cursor, unref),
    (display_info, edid, capset_info, capset, uuid, create_2d, unref),
)
#: what a maker is of no use without
NEEDS: dict[Maker, tuple[Maker, ...]] = {
    create_blob: (ctx_create, submit),
    map_blob: (ctx_create, submit, create_blob),
    unmap_blob: (ctx_create, submit, create_blob, map_blob),
    submit: (ctx_create,),
    work: (ctx_create,),
    ctx_resource: (ctx_create, create_2d),
    transfer_2d: (create_2d, attach),
    transfer_3d: (create_3d, attach),
    attach: (create_2d,),
    detach: (create_2d, attach),
    set_scanout: (create_2d, attach),
    set_scanout_blob: (create_blob,),
    flush: (create_2d, set_scanout),
    unref: (create_2d,),
    uuid: (create_2d,),
    cursor: (create_cursor,),
}
#: what there must be for a maker to be of use, in this order: who makes it, and how to know
WANTS: dict[Maker, tuple[tuple[Maker, Callable[[World], object]], ...]] = {
    submit: ((ctx_create, lambda w: w.contexts),),
    work: ((ctx_create, lambda w: w.contexts),),
    cursor: ((create_cursor, lambda w: any(is_cursor(r) for r in w.resources.values())),),
    create_blob: ((alloc, lambda w: any(context.objects for context in w.contexts.values())),),
    map_blob: ((create_mappable, lambda w: any(mappable(r) for r in w.resources.values())),),
    create_mappable: ((alloc, lambda w: any(context.objects for context in w.contexts.values())),),
    alloc: ((ctx_create, lambda w: w.contexts),),
    unmap_blob: ((map_blob, lambda w: w.mapped),),
    set_scanout_blob: ((create_blob, lambda w: any(r.kind == "blob" for r in w.resources.values())),),
    attach: ((create_2d, lambda w: any(r.stretches is None and not r.on_host for r in w.resources.values())),),
    detach: ((attach, lambda w: any(r.stretches is not None for r in w.resources.values())),),
    transfer_2d: ((attach, lambda w: any(r.stretches and r.kind == "2D" for r in w.resources.values())),),
    transfer_3d: (
        (create_3d, lambda w: any(r.kind == "3D" for r in w.resources.values())),
        (attach, lambda w: any(r.stretches and r.kind == "3D" for r in w.resources.values())),
    ),
    ctx_resource: ((ctx_create, lambda w: w.contexts), (create_2d, lambda w: w.resources)),
    set_scanout: ((create_2d, lambda w: any(r.kind != "blob" for r in w.resources.values())),),
    flush: ((set_scanout, lambda w: any(scanout.shown for scanout in w.scanouts)),),
    unref: ((create_2d, lambda w: w.resources),),
}


def towards(maker: Maker, world: World) -> Maker:
    """The maker or, where that has nothing to work on, the first that is of use on the way to it."""
    for needed, is_there in WANTS.get(maker, ()):
        if not is_there(world):
            return towards(needed, world)
    return maker


def to_map(world: World) -> Maker:
    """Who makes the next request on the way to one more mapping."""
    return towards(map_blob, world)


def make(maker: Maker, rng: Random, world: World, ids: Ids) -> tuple[bytes, int]:
    """A request of this kind, and the queue that it goes to."""
    return maker(rng, world, ids).build(), MAKERS[maker]
