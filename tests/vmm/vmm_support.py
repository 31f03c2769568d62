"""Requests to the device without a guest: what breaks a rule, who answers, and what the device knows afterwards."""

from typing import Any

from support import PAGE, alloc

from vgpu_emu.assembly import Config, Parts, size_only
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.state import Blob
from vgpu_wire.blob import BlobMem, ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.control import CtrlHdr
from vgpu_wire.device import CONTROLQ
from vgpu_wire.messages import parse_message
from vgpu_wire.render import CmdSubmit, CtxCreate
from vgpu_wire.resource import ResourceUnref

#: enough for every answer
CAPACITY = 4096

CONTEXT = CtxCreate(ctx_id=1)


def submit(stream: bytes = b"", ctx_id: int = 1) -> CmdSubmit:
    return CmdSubmit(ctx_id=ctx_id, size=len(stream), commands=stream)


def blob(resource_id: int = 5, blob_id: int = 1, size: int = PAGE, **members: Any) -> ResourceCreateBlob:
    members = {"ctx_id": 1, "blob_mem": BlobMem.HOST3D.value, "blob_flags": 1} | members
    return ResourceCreateBlob(resource_id=resource_id, blob_id=blob_id, size=size, **members)


def map_blob(resource_id: int = 5, offset: int = 0) -> ResourceMapBlob:
    return ResourceMapBlob(resource_id=resource_id, offset=offset)


def unmap(resource_id: int = 5) -> ResourceUnmapBlob:
    return ResourceUnmapBlob(resource_id=resource_id)


def unref(resource_id: int = 5) -> ResourceUnref:
    return ResourceUnref(resource_id=resource_id)


def with_blob(
    resource_id: int = 5, blob_id: int = 1, exporter: ExporterKind = ExporterKind.CACHED, size: int = PAGE
) -> list[CtrlHdr]:
    """The requests that make a blob in context 1, which exists."""
    return [submit(alloc(exporter, blob_id=blob_id, size=size)), blob(resource_id, blob_id, size)]


def bare(**options: Any) -> Lockstep:
    """The three parties with small buffers that have no bytes; the test stands in for the guest."""
    small: dict[str, Any] = {"backing": size_only, "host_visible": 16 * PAGE}
    return Lockstep(Config(**small | options))


def send(pair: Lockstep, request: CtrlHdr | bytes, capacity: int = CAPACITY) -> CtrlHdr:
    """One request's answer."""
    readable = request if isinstance(request, bytes) else request.build()
    return parse_message(answer_to(pair, Chain(7, CONTROLQ, readable, capacity)).written)


def prepare(pair: Lockstep, requests: list[CtrlHdr]) -> None:
    """Requests that must succeed."""
    for request in requests:
        assert send(pair, request).type < 0x1200, request


def answer_to(pair: Lockstep, chain: Chain) -> Used:
    """The device's answer to a chain that it answers at once."""
    used = pair.submit(chain)
    assert used is not None
    return used


def blobs(device: Device) -> dict[int, Blob]:
    return {number: known for number, known in device.resources.items() if isinstance(known, Blob)}


def known(parts: Parts) -> Any:
    """Everything that device, region and renderer know, as a value to compare."""
    device, renderer = parts.device, parts.renderer
    return (
        set(device.contexts),
        {number: (known.size, known.offset, known.exported) for number, known in blobs(device).items()},
        device.blob_bytes,
        [(slot.offset, slot.length, id(slot.memory), slot.memory.holders) for slot in parts.region],
        {number: (dict(context.objects), set(context.attached)) for number, context in renderer.contexts.items()},
        dict(renderer.resources),
        {fd: buf.inode for fd, buf in renderer.vmm.files.items()},
        {inode: (buf.refs, buf.memory.holders) for inode, buf in parts.kernel.live.items()},
    )
