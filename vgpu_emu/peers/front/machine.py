"""A machine whose device is somebody else's: our guest in front, a vhost-user back-end behind."""

import msgspec

from vgpu_emu.guest.driver import Driver
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.peers.front.link import PATIENCE
from vgpu_emu.peers.front.offer import Offer
from vgpu_emu.peers.front.port import DevicePort
from vgpu_emu.peers.front.screens import Screens
from vgpu_emu.shell import DriverShell
from vgpu_wire.device import Feature


class FrontConfig(msgspec.Struct, frozen=True, kw_only=True):
    """features: what the driver takes of what is offered. scanouts: the displays' sizes in pixels.

    guest_memory: bytes, from address 0 on. patience: seconds that the device has for a reply, and for its next answer.
    """

    features: frozenset[Feature] = frozenset(Feature)
    scanouts: tuple[tuple[int, int], ...] = ((1024, 768),)
    guest_memory: int = 64 << 20
    patience: float = PATIENCE


class DeviceMachine(DriverShell):
    """What `open_device` gives: `run` carries out calls of the guest, `port` takes requests that no driver sends.

    Both raise DeviceError as soon as the device is of no use any more. offer: what it offered; what the driver took of
    it is `driver.features`. memory: the guest's. region: the host visible one. screens: what the device shows.
    """

    def __init__(
        self, driver: Driver, port: DevicePort, offer: Offer, region: HostVisibleRegion, screens: Screens
    ) -> None:
        super().__init__(driver, port)
        self.offer = offer
        self.memory: GuestMemory = driver.pages.memory
        self.region = region
        self.screens = screens
        self._port = port

    @property
    def error(self) -> DeviceError | None:
        """Why the device is of no use any more."""
        return self._port.error
