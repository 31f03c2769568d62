"""Commands on contexts and capability sets (virtio 1.4, 5.7.6.9)."""

from collections.abc import Callable

from vgpu_emu.ids import ContextId, ResourceId
from vgpu_emu.vmm.asking import Steps
from vgpu_emu.vmm.command import OK, Command
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Blob, Context
from vgpu_wire.blob import BlobMem
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import (
    CmdSubmit,
    CtxCreate,
    CtxDestroy,
    CtxResource,
    GetCapset,
    GetCapsetInfo,
    RespCapset,
    RespCapsetInfo,
)
from vgpu_wire.renderer_link import ContextQuestion, Op, Submit

_RING = CtrlFlag.INFO_RING_IDX.value


def ctx_create(device: Device, request: CtxCreate) -> Steps[CtrlHdr]:
    ctx_id, init = ContextId(request.ctx_id), request.context_init
    device.require(ctx_id and ctx_id not in device.contexts, Rule.CTX_CREATE_ID_FREE)
    device.require(not init or Feature.CONTEXT_INIT in device.features, Rule.CTX_CREATE_INIT_NEGOTIATED)
    capset = init & device.profile.capset_id_mask
    device.require(not capset or capset in device.capsets, Rule.CTX_CREATE_CAPSET_KNOWN)
    device.require(len(device.contexts) < device.limits.contexts, Rule.CTX_LIMIT)
    yield from device.call(ContextQuestion(op=Op.CTX_CREATE.value, ctx_id=ctx_id, value=init))
    device.contexts[ctx_id] = Context(ctx_id, init)
    return OK


def ctx_destroy(device: Device, request: CtxDestroy) -> Steps[CtrlHdr]:
    device.require(ContextId(request.ctx_id) in device.contexts, Rule.CTX_KNOWN)
    yield from device.call(ContextQuestion(op=Op.CTX_DESTROY.value, ctx_id=request.ctx_id))
    device.contexts.pop(ContextId(request.ctx_id), None)
    return OK


def ctx_attach_resource(device: Device, request: CtxResource) -> CtrlHdr | Steps[CtrlHdr]:
    context = device.find_context(request.ctx_id) or _unknown(device, request)
    resource = device.find(request.resource_id) or device.missing(Rule.CTX_RESOURCE_KNOWN)
    if isinstance(resource, Blob) and resource.blob_mem is not BlobMem.GUEST:
        return _tell(device, Op.CTX_ATTACH, context, resource, context.attached.add)
    context.attached.add(resource.resource_id)
    return OK


def ctx_detach_resource(device: Device, request: CtxResource) -> CtrlHdr | Steps[CtrlHdr]:
    """Detaching what is not attached changes nothing."""
    context = device.find_context(request.ctx_id) or _unknown(device, request)
    resource = device.find(request.resource_id) or device.missing(Rule.CTX_RESOURCE_KNOWN)
    if isinstance(resource, Blob) and resource.blob_mem is not BlobMem.GUEST:
        return _tell(device, Op.CTX_DETACH, context, resource, context.attached.discard)
    context.attached.discard(resource.resource_id)
    return OK


def _tell(device: Device, op: Op, context: Context, blob: Blob, then: Callable[[ResourceId], None]) -> Steps[CtrlHdr]:
    """The renderer knows of blobs that are on the host."""
    yield from device.call(ContextQuestion(op=op.value, ctx_id=context.ctx_id, value=blob.resource_id))
    then(blob.resource_id)
    return OK


def _unknown(device: Device, request: CtxResource) -> Context:
    """Where a VMM does not look, a context that nobody knows."""
    device.require(False, Rule.CTX_KNOWN)
    return Context(ContextId(request.ctx_id))


def submit_3d(device: Device, request: CmdSubmit) -> Steps[CtrlHdr]:
    device.require(ContextId(request.ctx_id) in device.contexts, Rule.SUBMIT_CTX_KNOWN)
    device.require(request.size <= device.limits.submit_bytes, Rule.SUBMIT_LIMIT)
    ring_idx = request.ring_idx if request.flags & _RING else 0
    # a stream that is refused at its end has begun, too
    device.fences.busy.add((request.ctx_id, ring_idx))
    yield from device.call(
        Submit(ctx_id=request.ctx_id, ring_idx=ring_idx, size=request.size, commands=request.commands)
    )
    return OK


def get_capset_info(device: Device, request: GetCapsetInfo) -> CtrlHdr:
    ids = list(device.capsets)
    device.insist(request.capset_index < len(ids), Rule.CAPSET_INDEX_VALID)
    capset_id = ids[request.capset_index]
    capset = device.capsets[capset_id]
    return RespCapsetInfo(capset_id=capset_id, capset_max_version=capset.version, capset_max_size=len(capset.data))


def get_capset(device: Device, request: GetCapset) -> CtrlHdr:
    capset = device.capsets.get(request.capset_id)
    device.require(capset is not None and request.capset_version <= capset.version, Rule.CAPSET_KNOWN)
    data = capset.data if capset is not None else b""
    device.require(len(data) <= device.limits.capset_bytes, Rule.CAPSET_LIMIT)
    return RespCapset(capset_data=data)


COMMANDS = {
    CtrlType.CTX_CREATE: Command(ctx_create, feature=Feature.VIRGL),
    CtrlType.CTX_DESTROY: Command(ctx_destroy, feature=Feature.VIRGL),
    CtrlType.CTX_ATTACH_RESOURCE: Command(ctx_attach_resource, feature=Feature.VIRGL),
    CtrlType.CTX_DETACH_RESOURCE: Command(ctx_detach_resource, feature=Feature.VIRGL),
    CtrlType.SUBMIT_3D: Command(submit_3d, feature=Feature.VIRGL),
    CtrlType.GET_CAPSET_INFO: Command(get_capset_info, feature=Feature.VIRGL),
    CtrlType.GET_CAPSET: Command(get_capset, feature=Feature.VIRGL),
}
