"""What a device says when it is asked: a VMM that goes on from a snapshot says what the one before it said (I30)."""

from collections.abc import Iterator
from itertools import islice

from vgpu_emu.fuzz.model.world import World
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.vmm.device import Device
from vgpu_wire.control import CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import CONTROLQ
from vgpu_wire.display import GetEdid
from vgpu_wire.messages import type_name
from vgpu_wire.render import GetCapsetInfo
from vgpu_wire.resource import ResourceAssignUuid

#: bytes that every answer has room in; a head that no request has
_CAPACITY, _HEAD = 2048, (1 << 32) - 1
#: how many resources are asked about
_RESOURCES = 3
#: request, answer
Said = dict[CtrlHdr, bytes | None]


def told(device: Device, world: World) -> Said:
    """What the device answers to questions that change nothing."""
    return {request: _answer(device, request) for request in _questions(world)}


def _questions(world: World) -> Iterator[CtrlHdr]:
    yield HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)
    yield from (GetEdid(scanout=index) for index in range(len(world.scanouts)))
    yield from (GetCapsetInfo(capset_index=index) for index in range(len(world.setup.capsets)))
    yield from (ResourceAssignUuid(resource_id=number) for number in islice(world.resources, _RESOURCES))


def _answer(device: Device, request: CtrlHdr) -> bytes | None:
    """None: the device says nothing, or asks the renderer first."""
    used = device.handle(Chain(_HEAD, CONTROLQ, request.build(), _CAPACITY))
    return used.written if isinstance(used, Used) else None


def difference(before: Said, now: Said) -> str:
    """The first one, in words."""
    request = next(request for request in before if before[request] != now[request])
    one, other = before[request], now[request]
    return f"{type_name(request.type)}: {one.hex() if one else one}, then {other.hex() if other else other}"
