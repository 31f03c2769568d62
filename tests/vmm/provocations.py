"""How each condition of the table is brought about, in bytes, on a device of any profile.

The last request is the one that is wrong.
"""

from collections.abc import Callable
from typing import Any

from profile_probe import REGION, Probe
from profiles_table import cells

from vgpu_emu.drive.conditions import CONTEXT, Condition, an_object, asked, blob_of_an_object, by_name
from vgpu_emu.drive.wrong_2d import WRONG_2D
from vgpu_emu.drive.wrong_3d import wrong_3d
from vgpu_emu.link.chain import Used
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.blob import ResourceMapBlob
from vgpu_wire.device import Feature

Provocation = Callable[[Probe], Used | None]
#: conditions that need a device of their own, and what it is like
OPTIONS: dict[str, dict[str, Any]] = {
    "MAP without a region": {"host_visible": 0},
    "SUBMIT too large": {"device_limits": DeviceLimits(submit_bytes=23)},
}
_OWN = (
    asked("MAP without a region", ResourceMapBlob(resource_id=5), *CONTEXT, *blob_of_an_object()),
    asked("SUBMIT too large", an_object(), *CONTEXT),
)
CONDITIONS = by_name(WRONG_2D, wrong_3d(REGION), _OWN)
#: what comes before the last request is wrong too
_WRONG_BEFORE = {"CREATE_2D after a bad format"}


def _provocation(condition: Condition) -> Provocation:
    def provoke(probe: Probe) -> Used | None:
        if condition.name in _WRONG_BEFORE:
            for request in condition.before:
                probe.last(request)
        else:
            probe.before(*condition.before)
        return probe.last(condition.request, queue=condition.queue)

    return provoke


_IN_TABLE = {name for name, _profile, _answer in cells()}
PROVOCATIONS = {name: _provocation(CONDITIONS[name]) for name in CONDITIONS if name in _IN_TABLE}


def features(condition: str) -> frozenset[Feature]:
    """What the driver negotiates."""
    return CONDITIONS[condition].features(frozenset(Feature))


def options(condition: str) -> dict[str, Any]:
    return OPTIONS.get(condition, {})
