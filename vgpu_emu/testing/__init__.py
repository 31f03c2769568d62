"""For tests of other projects: each party alone, and checks of somebody's own renderer, link or device.

A check raises AssertionError that names the rule, where that is written, and what was seen instead. docs/testing.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vgpu_emu.testing.device import DeviceAlone
    from vgpu_emu.testing.devices import check_device, check_device_async
    from vgpu_emu.testing.driver import Call, DriverAlone
    from vgpu_emu.testing.links import check_link
    from vgpu_emu.testing.renderers import check_renderer

__all__ = [
    "Call",
    "DeviceAlone",
    "DriverAlone",
    "check_device",
    "check_device_async",
    "check_link",
    "check_renderer",
]

#: where each name is; it is imported when it is first used
_HOMES = {
    "Call": "driver",
    "DeviceAlone": "device",
    "DriverAlone": "driver",
    "check_device": "devices",
    "check_device_async": "devices",
    "check_link": "links",
    "check_renderer": "renderers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"vgpu_emu.testing.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
