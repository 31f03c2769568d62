"""A condition: requests of which the last is what a device is asked about, in the words of the table of profiles."""

from collections.abc import Sequence

import msgspec

from vgpu_emu.drive.requests import MAPPABLE, PAGE, create_2d, host_blob, submit
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlHdr
from vgpu_wire.device import FEATURE_NEEDS, Feature
from vgpu_wire.render import CtxCreate

#: a resource id that nothing has
NOBODY = 77
#: where no guest has memory
OUTSIDE = 1 << 50


class Condition(msgspec.Struct, frozen=True):
    """name: ``CREATE_2D id 0``. before: requests that must have succeeded, wherever the VMM has them.

    request: the one that is asked about, however short. without: a feature that is not negotiated, nor what needs it.
    objects: it needs objects of the emulator's own renderer. queue: where it goes; None: where its type belongs.
    """

    name: str
    request: bytes
    before: tuple[CtrlHdr, ...] = ()
    without: Feature | None = None
    objects: bool = False
    queue: int | None = None

    @property
    def command(self) -> int:
        """The type of the request, as far as it is there."""
        return int.from_bytes(self.request[:4], "little")

    def features(self, offered: frozenset[Feature]) -> frozenset[Feature]:
        """What is negotiated of what is offered."""
        gone = {feature for feature in Feature if self.without in (feature, FEATURE_NEEDS.get(feature))}
        return offered - gone if self.without is not None else offered


def asked(
    name: str,
    request: CtrlHdr | bytes,
    *before: CtrlHdr,
    without: Feature | None = None,
    objects: bool = False,
    queue: int | None = None,
) -> Condition:
    data = request if isinstance(request, bytes) else request.build()
    return Condition(name, data, before, without, objects, queue)


IMAGE = (create_2d(1),)


def blob_of_an_object(resource_id: int = 5, *, flags: int = MAPPABLE, size: int = PAGE) -> tuple[CtrlHdr, ...]:
    """An object of context 1, and a blob made of it."""
    return (an_object(resource_id, size), host_blob(resource_id, size, flags=flags))


def an_object(blob_id: int = 5, size: int = PAGE, exporter: ExporterKind = ExporterKind.WC) -> CtrlHdr:
    return submit(1, StreamAlloc(exporter=exporter.value, blob_id=blob_id, size=size))


CONTEXT = (CtxCreate(ctx_id=1),)


def by_name(*groups: Sequence[Condition]) -> dict[str, Condition]:
    """Raises ValueError for a name that two have."""
    found: dict[str, Condition] = {}
    for condition in (condition for group in groups for condition in group):
        if condition.name in found:
            raise ValueError(f"two conditions are called {condition.name}")
        found[condition.name] = condition
    return found
