"""Makers of requests about contexts, their command streams and capability sets."""

from functools import partial
from random import Random

from vgpu_emu.fuzz.model.world import World
from vgpu_emu.fuzz.requests_choices import Ids, choose, live, some_context
from vgpu_emu.fuzz.requests_images import used
from vgpu_wire.context_stream import StreamAlloc, StreamFree, StreamWork
from vgpu_wire.control import CtrlType
from vgpu_wire.layout import Record
from vgpu_wire.render import CmdSubmit, CtxCreate, CtxDestroy, CtxResource, GetCapset, GetCapsetInfo

#: microseconds of work: around 16 bits, and around a frame's, a poll's and a person's patience
LONG_WORK = (0xFFFF, 0x10000, 0x10001, 150_000, 2_100_000)
#: bytes of an object in which there are places, also in its second half, that 16 bits do not tell
_LARGE = 160 << 10


def capset_info(rng: Random, world: World, _ids: Ids) -> Record:
    return GetCapsetInfo(capset_index=int(rng.random() * (len(world.setup.capsets) + 0.5)))


def capset(rng: Random, world: World, _ids: Ids) -> Record:
    # a device for 2D has none, and has to say so
    number, version, _size = choose(rng, world.setup.capsets or ((1, 1, 0),))
    return GetCapset(capset_id=number, capset_version=int(rng.random() * (version + 1.2)))


def ctx_create(rng: Random, world: World, ids: Ids) -> Record:
    init = choose(rng, (0, 0, 4, 6, 3)) if world.features & 16 else 0
    # the first that is free, so that one is used again soon; now and then more than there is room for
    ctx_id = ids.nth(int(1 + rng.random() * choose(rng, (4, 4, 4, 12))))
    if rng.random() < 0.5:
        ctx_id = next(
            number for number in map(ids.nth, range(1, len(world.contexts) + 2)) if number not in world.contexts
        )
    length = choose(rng, (4, 4, 4, 0, 63, 64))
    return CtxCreate(ctx_id=ctx_id, nlen=length, debug_name=(b"fuzz" * 16)[:length].ljust(64, b"\0"), context_init=init)


def ctx_destroy(rng: Random, world: World, ids: Ids) -> Record:
    return CtxDestroy(ctx_id=some_context(rng, world, ids))


def ctx_resource(rng: Random, world: World, ids: Ids) -> Record:
    way = CtrlType.CTX_ATTACH_RESOURCE if rng.random() < 0.7 else CtrlType.CTX_DETACH_RESOURCE
    shared = rng.random() < 0.4
    resource_id = live(rng, world, ids, partial(used, world) if shared else bool)
    return CtxResource(type=way.value, ctx_id=some_context(rng, world, ids), resource_id=resource_id)


def _microseconds(rng: Random) -> int:
    """Mostly little, now and then more than fits into 16 bits, or seconds."""
    return choose(rng, (1, 10, 100, 1000)) if rng.random() < 0.95 else choose(rng, LONG_WORK)


def submit(rng: Random, world: World, ids: Ids) -> Record:
    commands = b""
    for _ in range(60 if rng.random() < 0.01 else int(1 + rng.random() * 3)):
        # of 64 bits, where ids of resources have 32
        blob_id, choice = 1 + int(rng.random() * 6) + (int(rng.random() + 0.2) << 32), rng.random()
        if choice < 0.65:
            sizes = (1, 4096, 8192, 16384, _LARGE)
            size = choose(rng, sizes) if rng.random() < 0.3 else max(world.setup.blob_alignment, 4096)
            # mostly one of those that can be mapped: write-combined and cached
            exporter = int(1 + rng.random() * 5.02) if rng.random() < 0.25 else int(1 + rng.random() * 2)
            commands += StreamAlloc(exporter=exporter, blob_id=blob_id, size=size).build()
        elif choice < 0.9:
            commands += StreamWork(microseconds=_microseconds(rng)).build()
        else:
            commands += StreamFree(blob_id=blob_id).build()
    return CmdSubmit(ctx_id=some_context(rng, world, ids), size=len(commands), commands=commands)


def alloc(rng: Random, world: World, ids: Ids) -> Record:
    """A few objects that a host knows how to map: write-combined and cached ones."""
    size, first = max(world.setup.blob_alignment, 4096), int(rng.random() * 40)
    if rng.random() < 0.1:
        size = _LARGE
    commands = b"".join(
        StreamAlloc(exporter=choose(rng, (1, 2)), blob_id=10 + first + number, size=size).build()
        for number in range(choose(rng, (1, 2, 4)))
    )
    return CmdSubmit(ctx_id=some_context(rng, world, ids), size=len(commands), commands=commands)


def work(rng: Random, world: World, ids: Ids) -> Record:
    """A command stream that takes time, and nothing else; now and then one for which there is just room, or not."""
    if rng.random() < 0.95:
        commands = StreamWork(microseconds=_microseconds(rng)).build()
    else:
        one = StreamWork(microseconds=1).build()
        commands = one * (world.setup.submit_bytes // len(one) + choose(rng, (-1, 0, 0, 1)))
    return CmdSubmit(ctx_id=some_context(rng, world, ids), size=len(commands), commands=commands)
