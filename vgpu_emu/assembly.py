"""The three parties, made to one configuration and not yet connected."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from vgpu_emu.guest.driver import Driver
from vgpu_emu.host.dmabuf import MAX_FDS, Kernel
from vgpu_emu.host.renderer import Renderer, RendererLimits
from vgpu_emu.ids import ResourceId
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.memory import Memory
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.commands import COMMANDS
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.profiles import PROFILES, Profile
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_emu.vocabulary import Dialect, HostAttribute, Pgprot, conflicts
from vgpu_wire.blob import MapCache
from vgpu_wire.device import Feature

if TYPE_CHECKING:
    from vgpu_emu.aliasing import AliasWatch
    from vgpu_emu.attributes.platform import Platform


def size_only(size: int, _name: str) -> Memory:
    """A backing that has a size and no bytes: for many, or very large, blobs."""
    return Memory(size, None)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """dialect: the posting that the VMM and, with `ioctl`, the host's kernel know. guess: the renderer's, without it.

    host_visible: bytes of the host visible region; 0: there is none. backing: makes the memory of a buffer. platform:
    the hardware for which every mapping is checked against every other of its buffer; None: nobody looks.
    """

    dialect: Dialect = Dialect.RFC1
    ioctl: bool = True
    profile: Profile = PROFILES["strict"]
    guess: MapCache = MapCache.CACHED
    host_visible: int = 256 << 20
    features: frozenset[Feature] = frozenset({Feature.VIRGL, Feature.RESOURCE_BLOB, Feature.CONTEXT_INIT})
    backing: Callable[[int, str], Memory] = Memory.memfd
    platform: "Platform | None" = None
    max_fds: int = MAX_FDS
    device_limits: DeviceLimits = msgspec.field(default_factory=DeviceLimits)
    renderer_limits: RendererLimits = msgspec.field(default_factory=RendererLimits)


class Conflict(msgspec.Struct, frozen=True):
    """A guest mapping that contradicts the exporter's own."""

    resource_id: ResourceId
    host: HostAttribute
    guest: Pgprot

    def __str__(self) -> str:
        return f"resource {self.resource_id}: the host maps it {self.host.value}, the guest {self.guest.value}"


class Parts(msgspec.Struct, frozen=True):
    """kernel and renderer are the host, device and region the VMM, driver the guest.

    aliases: whoever looks at all their mappings; None without a platform.
    """

    kernel: Kernel
    renderer: Renderer
    region: HostVisibleRegion
    device: Device
    driver: Driver
    log: Log
    config: Config
    aliases: "AliasWatch | None" = None

    def conflicts(self) -> list[Conflict]:
        """Every mapping that the guest made of a resource that still exists and that contradicts the host's."""
        found = []
        for note in self.log.notes("pgprot"):
            resource_id, guest = ResourceId(note.values["resource_id"]), Pgprot(note.values["pgprot"])
            if resource_id in self.renderer.resources:
                host = self.renderer.attribute_of(resource_id)
                found += [Conflict(resource_id, host, guest)] if conflicts(host, guest) else []
        return found

    def close(self) -> None:
        """The end of VMM and renderer: nothing stays mapped, no descriptor open."""
        self.region.clear()
        for blob in self.device.resources.values():
            if blob.exported is not None:
                blob.exported.memory.release()
        self.device.resources.clear()
        self.renderer.exit()

    def leaks(self) -> list[str]:
        """What is left, in words; after `close` it must be nothing."""
        left = [f"dma-buf {buf.inode} ({buf.memory!r})" for buf in self.kernel.live.values()]
        return left + [f"mapping at {slot.offset:#x} ({slot.memory!r})" for slot in self.region]


def assemble(config: Config, log: Log) -> Parts:
    log.note("machine", "assembled", dialect=config.dialect.value, ioctl=config.ioctl, profile=config.profile.name)
    kernel, region, aliases = _kernel_and_region(config, log)
    renderer = Renderer(kernel, guess=config.guess, backing=config.backing, limits=config.renderer_limits)
    device = Device(
        config.profile,
        region,
        features=config.features,
        dialect=config.dialect,
        log=log,
        commands=COMMANDS,
        limits=config.device_limits,
    )
    driver = Driver(region if config.host_visible else None, features=config.features, log=log)
    if aliases is not None:
        aliases.follow(device.resources)
    return Parts(kernel, renderer, region, device, driver, log, config, aliases)


def _kernel_and_region(config: Config, log: Log) -> "tuple[Kernel, HostVisibleRegion, AliasWatch | None]":
    """Those of the configuration; with a platform, watched ones."""
    posting = config.dialect if config.ioctl else None
    if config.platform is None:
        return Kernel(posting, max_fds=config.max_fds), HostVisibleRegion(config.host_visible), None
    # the attribute models cost as much to import as all the rest
    from vgpu_emu.aliasing import AliasWatch, WatchedKernel, WatchedRegion

    aliases = AliasWatch(config.platform, log, config.profile.name)
    kernel = WatchedKernel(aliases, posting, max_fds=config.max_fds)
    return kernel, WatchedRegion(aliases, config.host_visible), aliases
