"""Commands on contexts (virtio 1.4, 5.7.6.9)."""

from vgpu_emu.ids import ContextId
from vgpu_emu.vmm.asking import Steps
from vgpu_emu.vmm.device import OK, Command, Device
from vgpu_emu.vmm.rules import Rule
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import CmdSubmit, CtxCreate, CtxDestroy, CtxResource
from vgpu_wire.renderer_link import ContextQuestion, Op, Submit


def ctx_create(device: Device, request: CtxCreate) -> Steps[CtrlHdr]:
    ctx_id = ContextId(request.ctx_id)
    device.require(ctx_id and ctx_id not in device.contexts, Rule.CTX_CREATE_ID_FREE)
    negotiated = Feature.CONTEXT_INIT in device.features
    device.require(not request.context_init or negotiated, Rule.CTX_CREATE_INIT_NEGOTIATED)
    device.require(len(device.contexts) < device.limits.contexts, Rule.CTX_LIMIT)
    yield from device.call(ContextQuestion(op=Op.CTX_CREATE.value, ctx_id=ctx_id, value=request.context_init))
    device.contexts.add(ctx_id)
    return OK


def ctx_destroy(device: Device, request: CtxDestroy) -> Steps[CtrlHdr]:
    device.require(ContextId(request.ctx_id) in device.contexts, Rule.CTX_KNOWN)
    device.contexts.discard(ContextId(request.ctx_id))
    yield from device.call(ContextQuestion(op=Op.CTX_DESTROY.value, ctx_id=request.ctx_id))
    return OK


def ctx_resource(device: Device, request: CtxResource) -> Steps[CtrlHdr]:
    device.require(ContextId(request.ctx_id) in device.contexts, Rule.CTX_KNOWN)
    resource = device.resource(request.resource_id, Rule.CTX_RESOURCE_KNOWN)
    op = Op.CTX_ATTACH if request.type == CtrlType.CTX_ATTACH_RESOURCE else Op.CTX_DETACH
    yield from device.call(ContextQuestion(op=op.value, ctx_id=request.ctx_id, value=resource.resource_id))
    return OK


def submit_3d(device: Device, request: CmdSubmit) -> Steps[CtrlHdr]:
    device.require(ContextId(request.ctx_id) in device.contexts, Rule.SUBMIT_CTX_KNOWN)
    device.require(request.size <= device.limits.submit_bytes, Rule.SUBMIT_LIMIT)
    yield from device.call(Submit(ctx_id=request.ctx_id, size=request.size, commands=request.commands))
    return OK


COMMANDS = {
    CtrlType.CTX_CREATE: Command(ctx_create, Feature.VIRGL),
    CtrlType.CTX_DESTROY: Command(ctx_destroy, Feature.VIRGL),
    CtrlType.CTX_ATTACH_RESOURCE: Command(ctx_resource, Feature.VIRGL),
    CtrlType.CTX_DETACH_RESOURCE: Command(ctx_resource, Feature.VIRGL),
    CtrlType.SUBMIT_3D: Command(submit_3d, Feature.VIRGL),
}
