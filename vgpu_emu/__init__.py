"""vgpu-emu: a virtio-gpu guest driver, a VMM's device and a host renderer, connected by the bytes of the protocol.

    async with open_machine(Config(dialect=Dialect.RFC1)) as machine:
        file = DrmFile(machine.driver)
        ...

Wire structures are in `vgpu_wire`. docs/design.md says what is where.
"""

from vgpu_emu.assembly import Config, Conflict
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.lockstep import Lockstep, WouldHangError
from vgpu_emu.machine import Machine, open_machine
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vocabulary import Dialect, HostAttribute, Pgprot

__all__ = [
    "PROFILES",
    "Config",
    "Conflict",
    "Dialect",
    "DrmFile",
    "HostAttribute",
    "Lockstep",
    "Machine",
    "Pgprot",
    "Profile",
    "WouldHangError",
    "open_machine",
]
