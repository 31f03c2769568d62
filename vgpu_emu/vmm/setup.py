"""What a VMM is made of: a record that can be sent to the process that is to be it."""

from collections.abc import Mapping

import msgspec

from vgpu_emu.ids import BlobId
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.command import Capset
from vgpu_emu.vmm.commands import COMMANDS
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.displays import Displays
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import MapCache


class VmmSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What a device is told beside its profile: see Device and Displays."""

    dialect: Dialect
    scanouts: tuple[tuple[int, int], ...]
    capsets: Mapping[int, Capset]
    blob_alignment: int
    map_infos: Mapping[BlobId, MapCache]
    limits: DeviceLimits

    def device(self, profile: Profile, region: HostVisibleRegion, memory: GuestMemory, log: Log) -> Device:
        """A device before its features are negotiated. Raises ValueError for scanouts that no device has."""
        return Device(
            profile,
            region,
            memory,
            dialect=self.dialect,
            log=log,
            commands=COMMANDS,
            displays=Displays(self.scanouts),
            capsets=self.capsets,
            blob_alignment=self.blob_alignment,
            map_infos=self.map_infos,
            limits=self.limits,
        )
