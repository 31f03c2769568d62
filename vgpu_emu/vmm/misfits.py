"""Requests of more or fewer bytes than their structure has."""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from vgpu_emu.trace.log import VMM
from vgpu_emu.vmm.rules import Rule
from vgpu_wire.blob import ResourceCreateBlob
from vgpu_wire.control import CtrlHdr
from vgpu_wire.errors import WireError
from vgpu_wire.layout import leaves
from vgpu_wire.messages import MESSAGES
from vgpu_wire.render import CmdSubmit
from vgpu_wire.resource import ResourceAttachBacking

if TYPE_CHECKING:
    from vgpu_emu.vmm.device import Device

_HEADER = CtrlHdr.layout.size
#: structures with a counted tail -> where they count it
_COUNTS: dict[type[CtrlHdr], int] = {
    structure: next(leaf.offset for leaf in leaves(structure) if leaf.path == counter)
    for structure, counter in (
        (ResourceAttachBacking, "nr_entries"),
        (ResourceCreateBlob, "nr_entries"),
        (CmdSubmit, "size"),
    )
}


def fit(device: "Device", data: bytes, error: WireError) -> CtrlHdr:
    """The request in bytes that its structure does not take. Bytes behind it are ignored, as in every VMM."""
    structure = MESSAGES[int.from_bytes(data[:4], "little")]
    if error.kind == "trailing":
        return structure.parse(data[: error.offset])
    device.log.note(VMM, "malformed", detail=str(error))
    if len(data) < _HEADER:
        raise device.broken(Rule.HEADER_WHOLE)
    if structure not in _COUNTS or len(data) < structure.layout.size:
        raise device.broken(Rule.REQUEST_WHOLE)
    return _short_tail(device, structure, data)


def _short_tail(device: "Device", structure: type[CtrlHdr], data: bytes) -> CtrlHdr:
    """Less follows than the fixed part says. Whether that is too much is looked at first."""
    count = int.from_bytes(data[_COUNTS[structure] :][:4], "little")
    if structure is CmdSubmit:
        device.require(count <= device.limits.submit_bytes, Rule.SUBMIT_LIMIT)
        return _short_submit(device, data)
    device.require(count <= device.limits.entries, Rule.ENTRIES_LIMIT)
    raise device.broken(Rule.ENTRIES_WHOLE)


def _short_submit(device: "Device", data: bytes) -> CtrlHdr:
    """SUBMIT_3D of fewer bytes than it says: of a VMM that does not look, what is there is submitted."""
    size = CmdSubmit.layout.size
    device.require(False, Rule.SUBMIT_WHOLE if len(data) > size else Rule.SUBMIT_PRESENT)
    head = CmdSubmit.parse(data[:24] + bytes(8))
    return replace(head, size=len(data) - size, commands=data[size:])
