"""Commands on the backing of resources, and on their names and ends (virtio 1.4, 5.7.6.8)."""

from collections.abc import Sequence
from uuid import UUID

from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.vmm.asking import Steps
from vgpu_emu.vmm.command import OK, Command
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Backing, Blob, Image
from vgpu_wire.blob import BlobMem
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.resource import (
    MemEntry,
    ResourceAssignUuid,
    ResourceAttachBacking,
    ResourceDetachBacking,
    ResourceUnref,
    RespResourceUuid,
)


def checked_backing(device: Device, entries: Sequence[MemEntry]) -> Backing:
    """The backing that these entries describe; the command ends if there are too many or one is not guest memory."""
    device.require(len(entries) <= device.limits.entries, Rule.ENTRIES_LIMIT)
    backing = Backing(entries)
    for addr, length in backing.stretches:
        device.require(_in_memory(device.memory, addr, length), Rule.ENTRIES_IN_MEMORY)
    return backing


def _in_memory(memory: GuestMemory, addr: int, length: int) -> bool:
    try:
        memory.require(addr, length)
    except OSError:
        return False
    return True


def resource_attach_backing(device: Device, request: ResourceAttachBacking) -> CtrlHdr:
    resource = device.resource(request.resource_id, Rule.ATTACH_KNOWN)
    on_host = isinstance(resource, Blob) and resource.blob_mem is BlobMem.HOST3D
    device.require(not on_host, Rule.ATTACH_GUEST_MEMORY)
    device.require(resource.backing is None, Rule.ATTACH_ONCE)
    device.require(request.nr_entries, Rule.ATTACH_ENTRIES_PRESENT)
    backing = checked_backing(device, request.entries)
    if isinstance(resource, Blob):
        device.require(backing.length >= resource.size, Rule.CREATE_BLOB_ENTRIES_LONG)
    resource.backing = backing if backing.stretches else None
    return OK


def resource_detach_backing(device: Device, request: ResourceDetachBacking) -> CtrlHdr:
    resource = device.resource(request.resource_id, Rule.DETACH_KNOWN)
    device.require(resource.backing is not None, Rule.DETACH_ATTACHED)
    resource.backing = None
    return OK


def resource_unref(device: Device, request: ResourceUnref) -> CtrlHdr | Steps[CtrlHdr]:
    resource = device.resource(request.resource_id, Rule.UNREF_KNOWN)
    if isinstance(resource, Image):
        device.forget_image(resource)
        return OK
    return _unref_blob(device, resource)


def _unref_blob(device: Device, blob: Blob) -> Steps[CtrlHdr]:
    """One that is still mapped is unmapped first."""
    yield from device.forget(blob)
    return OK


def resource_assign_uuid(device: Device, request: ResourceAssignUuid) -> CtrlHdr:
    """The same resource always gets the same name."""
    resource_id = device.resource(request.resource_id, Rule.UUID_KNOWN).resource_id
    if device.profile.uuid_of == "resource_id":
        return RespResourceUuid(uuid=resource_id.to_bytes(16, "big"))
    scattered = resource_id * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)
    return RespResourceUuid(uuid=UUID(int=scattered, version=4).bytes)


COMMANDS = {
    CtrlType.RESOURCE_UNREF: Command(resource_unref),
    CtrlType.RESOURCE_ATTACH_BACKING: Command(resource_attach_backing),
    CtrlType.RESOURCE_DETACH_BACKING: Command(resource_detach_backing),
    CtrlType.RESOURCE_ASSIGN_UUID: Command(
        resource_assign_uuid, feature=Feature.RESOURCE_UUID, gate=Rule.UUID_NEGOTIATED
    ),
}
