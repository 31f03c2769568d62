"""vgpu-emu: a virtio-gpu guest driver, a VMM's device and a host renderer, connected by the bytes of the protocol.

    async with open_machine(Config(dialect=Dialect.RFC1)) as machine:
        file = DrmFile(machine.driver)
        ...

Wire structures are in `vgpu_wire`. docs/design.md says what is where.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vgpu_emu.assembly import Config, Conflict
    from vgpu_emu.guest.file import DrmFile
    from vgpu_emu.lockstep import Lockstep, WouldHangError
    from vgpu_emu.machine import Machine, open_machine
    from vgpu_emu.simulation import HangError, Simulation
    from vgpu_emu.trace.hashing import trace_hash
    from vgpu_emu.vmm.catalogue import PROFILES, find_profile
    from vgpu_emu.vmm.profiles import Profile
    from vgpu_emu.vocabulary import Dialect, HostAttribute, Pgprot

__all__ = [
    "PROFILES",
    "Config",
    "Conflict",
    "Dialect",
    "DrmFile",
    "HangError",
    "HostAttribute",
    "Lockstep",
    "Machine",
    "Pgprot",
    "Profile",
    "Simulation",
    "WouldHangError",
    "find_profile",
    "open_machine",
    "trace_hash",
]

#: where each name is; it is imported when it is first used, as the three parties are some eighty modules
_HOMES = {
    "PROFILES": "vmm.catalogue",
    "Config": "assembly",
    "Conflict": "assembly",
    "Dialect": "vocabulary",
    "DrmFile": "guest.file",
    "HangError": "simulation",
    "HostAttribute": "vocabulary",
    "Lockstep": "lockstep",
    "Machine": "machine",
    "Pgprot": "vocabulary",
    "Profile": "vmm.profiles",
    "Simulation": "simulation",
    "WouldHangError": "lockstep",
    "find_profile": "vmm.catalogue",
    "open_machine": "machine",
    "trace_hash": "trace.hashing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"vgpu_emu.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
