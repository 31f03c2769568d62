"""Contexts, command streams, capability sets (virtio 1.4, 5.7.6.9): what must come of each request."""

from functools import lru_cache

from vgpu_emu.fuzz.model.expectation import Expected, Refusal, Verdict, differs, leave_open, must, refuse
from vgpu_emu.fuzz.model.images import known
from vgpu_emu.fuzz.model.setup import PAGE
from vgpu_emu.fuzz.model.world import Context, World
from vgpu_wire.context_stream import ExporterKind, StreamAlloc, StreamWork, stream_commands
from vgpu_wire.control import CtrlFlag, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.errors import WireError
from vgpu_wire.render import (
    CONTEXT_INIT_CAPSET_ID_MASK,
    CmdSubmit,
    CtxCreate,
    CtxDestroy,
    CtxResource,
    GetCapset,
    GetCapsetInfo,
    RespCapset,
    RespCapsetInfo,
)

_RING = CtrlFlag.INFO_RING_IDX.value
#: stands before what the renderer says of a command stream
STREAM = "the renderer does not take the stream: "
_EXPORTERS = frozenset(kind.value for kind in ExporterKind)


def create(world: World, request: CtxCreate) -> Expected:
    refuse(not request.ctx_id or request.ctx_id in world.contexts, "the id is 0, or the context exists", "I8")
    refuse(request.context_init and not world.has(Feature.CONTEXT_INIT), "context_init without the feature")
    capset = request.context_init & CONTEXT_INIT_CAPSET_ID_MASK
    refuse(capset and capset not in [known_id for known_id, _, _ in world.setup.capsets], "no such capset")
    refuse(len(world.contexts) >= world.setup.contexts, "no room for a context more")

    def success(_answer: object) -> None:
        world.contexts[request.ctx_id] = Context(request.context_init)

    return must(success)


def context(world: World, ctx_id: int) -> Context:
    refuse(ctx_id not in world.contexts, "no such context")
    return world.contexts[ctx_id]


def destroy(world: World, request: CtxDestroy) -> Expected:
    context(world, request.ctx_id)

    def success(_answer: object) -> None:
        del world.contexts[request.ctx_id]
        for ring in [ring for ring in world.busy if ring[0] == request.ctx_id]:
            del world.busy[ring]
        for pending in world.pending:
            pending.firm = False
            pending.works = {ring: until for ring, until in pending.works.items() if ring[0] != request.ctx_id}

    return must(success)


def resource(world: World, request: CtxResource) -> Expected:
    attached = context(world, request.ctx_id).attached
    resource_id = known(world, request.resource_id).resource_id
    is_detached = request.type == CtrlType.CTX_DETACH_RESOURCE and resource_id not in attached
    leave_open(is_detached, "the resource is not attached")

    def success(_answer: object) -> None:
        if request.type == CtrlType.CTX_ATTACH_RESOURCE:
            attached.add(resource_id)
        else:
            attached.discard(resource_id)

    return must(success)


def submit(world: World, request: CmdSubmit) -> Expected:
    """The stream is carried out as far as it goes, whatever is answered then."""
    there = context(world, request.ctx_id)
    refuse(request.size > world.setup.submit_bytes, "more bytes than the device takes")
    ring = (request.ctx_id, request.ring_idx if request.flags & _RING else 0)
    try:
        for command in stream_commands(request.commands):
            if isinstance(command, StreamAlloc):
                _alloc(world, there, command)
            elif isinstance(command, StreamWork):
                world.work(ring, command.microseconds / 1e6)
                there.work[ring[1]] = there.work.get(ring[1], 0) + command.microseconds
            else:
                refuse(command.blob_id not in there.objects, "no such object")
                del there.objects[command.blob_id]
    except (WireError, Refusal) as wrong:
        return Expected(Verdict.REFUSE, f"{STREAM}{wrong}", "I26")
    return must()


def _alloc(world: World, there: Context, command: StreamAlloc) -> None:
    refuse(command.blob_id in there.objects, "the object exists")
    refuse(command.exporter not in _EXPORTERS or not command.size, "no such exporter, or no bytes")
    refuse(world.objects >= world.setup.objects, "the renderer has no room for an object more")
    size = -(-command.size // PAGE) * PAGE
    refuse(world.object_bytes + size > world.setup.object_bytes, "the renderer has no room for so many bytes")
    there.objects[command.blob_id] = (command.exporter, size)


def capset_info(world: World, request: GetCapsetInfo) -> Expected:
    refuse(request.capset_index >= len(world.setup.capsets), "no such capset index")
    index, said = request.capset_index, world.capsets

    def payload(answer: RespCapsetInfo) -> str | None:
        """Which set has which index is the device's choice, once."""
        found = (answer.capset_id, answer.capset_max_version, answer.capset_max_size)
        others = [capset for other, capset in said.items() if other != index]
        if found not in world.setup.capsets or found in others or said.setdefault(index, found) != found:
            return f"capset {index} is {found}"
        return differs("padding", answer.padding, 0)

    return must(payload=payload, oracle="I18")


def capset(world: World, request: GetCapset) -> Expected:
    found = [entry for entry in world.setup.capsets if entry[0] == request.capset_id]
    refuse(not found or request.capset_version > found[0][1], "no such capset or version")

    def payload(answer: RespCapset) -> str | None:
        return differs("capset_data", answer.capset_data, capset_data(found[0][0], found[0][2]))

    return must(payload=payload, oracle="I18")


@lru_cache
def capset_data(capset_id: int, size: int) -> bytes:
    """What the capability set of a device under test holds: bytes that tell the id and the place."""
    return bytes((capset_id * 31 + place) % 251 for place in range(size))
