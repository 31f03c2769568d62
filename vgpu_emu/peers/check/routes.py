"""The ways to a device: QEMU's own as controls, ours over each of its sockets."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vgpu_emu.attributes.mtrr import Bar
from vgpu_wire.device import Feature

#: RAM of the guest, in MiB: all of it below 4 GiB, so that SeaBIOS opens no window above for a small BAR
RAM = 512
_SHARED = ("-object", f"memory-backend-memfd,id=m,size={RAM}M,share=on", "-machine", "pc,memory-backend=m")
#: host visible regions: more than fits below 4 GiB, and one that does
_REGION = {Bar.ABOVE_4G: "8G", Bar.BELOW_4G: "256M"}


@dataclass(frozen=True)
class Route:
    """One way. device: QEMU's arguments for a device whose server listens at this path.

    server: who that is: nobody, QEMU's C back-end, or a word of ``vgpu-emu serve``. screen: who can show the picture.
    offers: the most that it can offer; None: as it likes. region: whether there is a host visible one.
    """

    name: str
    says: str
    device: Callable[[Path], list[str]]
    server: Literal["none", "vhost-user-gpu", "vfio-user", "vhost-user"] = "none"
    screen: Literal["qemu", "server"] = "qemu"
    offers: frozenset[Feature] | None = None
    region: bool = False

    def qemu(self, socket: Path) -> list[str]:
        """The arguments that make the machine and its device."""
        machine = ["-machine", "pc"] if self.server == "none" else list(_SHARED)
        return [*machine, *self.device(socket)]

    @property
    def ours(self) -> bool:
        return self.server in {"vfio-user", "vhost-user"}

    @property
    def placements(self) -> tuple[Bar | None, ...]:
        """Where its host visible region is to be; None: it has none."""
        return (Bar.ABOVE_4G, Bar.BELOW_4G) if self.region else (None,)


def region_size(bar: Bar) -> str:
    """The size of a host visible region that SeaBIOS puts there, as --host-visible takes it."""
    return _REGION[bar]


def _chardev(device: str) -> Callable[[Path], list[str]]:
    return lambda socket: ["-chardev", f"socket,id=v,path={socket}", "-device", f"{device},chardev=v"]


def _vfio_user(socket: Path) -> list[str]:
    device = {"driver": "vfio-user-pci", "socket": {"type": "unix", "path": str(socket)}}
    return ["-device", json.dumps(device)]


ROUTES = {
    route.name: route
    for route in (
        Route("virtio-gpu-pci", "QEMU's own device", lambda _socket: ["-device", "virtio-gpu-pci"]),
        Route(
            "vhost-user-gpu-pci",
            "QEMU's own back-end in C, behind its vhost-user front-end",
            _chardev("vhost-user-gpu-pci"),
            server="vhost-user-gpu",
        ),
        Route(
            "vfio-user",
            "vgpu-emu serve vfio-user behind QEMU's vfio-user-pci",
            _vfio_user,
            server="vfio-user",
            screen="server",
            offers=frozenset(Feature),
            region=True,
        ),
        Route(
            "vhost-user",
            "vgpu-emu serve vhost-user behind QEMU's vhost-user-test-device-pci",
            _chardev("vhost-user-test-device-pci,virtio-id=16,num_vqs=2,config_size=20,vq_size=256"),
            server="vhost-user",
            screen="server",
            offers=frozenset(Feature),
            region=True,
        ),
        Route(
            "vhost-user-display",
            "vgpu-emu serve vhost-user behind QEMU's vhost-user-gpu-pci",
            _chardev("vhost-user-gpu-pci"),
            server="vhost-user",
            # what QEMU lets through
            offers=frozenset({Feature.VIRGL, Feature.EDID, Feature.RESOURCE_UUID}),
        ),
    )
}
