"""What a device says when it is asked: a VMM that goes on from a snapshot says what the one before it said (I30)."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from vgpu_emu.fuzz.model.case import Finding
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
#: what a snapshot has of things with ids
_ID_OF = {"images": "resource_id", "blobs": "resource_id", "contexts": "ctx_id"}
#: request, answer
Said = dict[bytes, bytes | None]


def told(device: Device, world: World) -> Said:
    """What the device answers to questions that change nothing."""
    of_device = _questions(len(world.scanouts), len(world.setup.capsets))
    of_resources = [ResourceAssignUuid(resource_id=number).build() for number in islice(world.resources, _RESOURCES)]
    return {request: _answer(device, request) for request in (*of_device, *of_resources)}


@lru_cache
def _questions(scanouts: int, capsets: int) -> tuple[bytes, ...]:
    """Those about the device itself, which most machines have in common."""
    displays: CtrlHdr = HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value)
    edids = [GetEdid(scanout=index) for index in range(scanouts)]
    infos = [GetCapsetInfo(capset_index=index) for index in range(capsets)]
    return tuple(request.build() for request in (displays, *edids, *infos))


def _answer(device: Device, request: bytes) -> bytes | None:
    """None: the device says nothing, or asks the renderer first."""
    used = device.handle(Chain(_HEAD, CONTROLQ, request, _CAPACITY))
    return used.written if isinstance(used, Used) else None


def unchanged(before: bytes, now: bytes) -> None:
    """The snapshots of a VMM and of the one that goes on from it. Raises Finding."""
    if now == before:
        return
    for told in _differing("device", _by_ids(before), _by_ids(now)):
        raise Finding("I30", f"the restored device says other things of itself than the one before: {told}")


def _by_ids(snapshot: bytes) -> Any:
    """In which order it has what has ids is a VMM's own affair."""
    state = msgspec.json.decode(snapshot)
    for name, key in _ID_OF.items():
        state[name] = sorted(state.get(name, ()), key=lambda thing: thing[key])
    return state


def _differing(where: str, one: Any, other: Any) -> Iterator[str]:
    """Each member that is not the same, with what it was and is."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in {**one, **other}:
            yield from _differing(f"{where}.{name}", one.get(name), other.get(name))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (old, new) in enumerate(zip(one, other, strict=True)):
            yield from _differing(f"{where}[{index}]", old, new)
    elif isinstance(one, str) and isinstance(other, str):
        same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        if one != other:
            yield f"{where} was {one[same:]!r:.60} and is {other[same:]!r:.60}, from character {same} on"
    elif one != other:
        yield f"{where} was {one!r:.60} and is {other!r:.60}"


def compare(said: Said, now: Said) -> None:
    """What the two answered; the first difference is told. Raises Finding."""
    for request, one in said.items():
        if (other := now.get(request)) != one:
            name = type_name(int.from_bytes(request[:4], "little"))
            both = f"{one.hex() if one else one}, then {other.hex() if other else other}"
            raise Finding("I30", f"another VMM answers otherwise: {name}: {both}")
