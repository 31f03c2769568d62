"""The three parties, made to one configuration and not yet connected."""

import mmap
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec.structs import asdict, replace

from vgpu_emu.guest.driver import Driver
from vgpu_emu.guest.probe import VERSION_1, accept_features
from vgpu_emu.host.dmabuf import MAX_FDS, Kernel
from vgpu_emu.host.renderer import Renderer, RendererLimits
from vgpu_emu.host.setup import HostSetup
from vgpu_emu.ids import BlobId, ResourceId
from vgpu_emu.link.chain import Used
from vgpu_emu.link.guest_memory import Backing, GuestMemory
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.memory import PAGE_SIZE, Memory
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.asking import Steps
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.command import Capset
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.picture import Picture, scanout_picture
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.setup import VmmSetup
from vgpu_emu.vmm.snapshot import restore, take
from vgpu_emu.vmm.state import Blob, DeviceLimits, place_of
from vgpu_emu.vocabulary import Dialect, HostAttribute, Pgprot, conflicts
from vgpu_wire.blob import MapCache
from vgpu_wire.device import Config as DeviceConfiguration
from vgpu_wire.device import Feature
from vgpu_wire.render import CapsetId

#: what a device offers to a driver that asks for 3D; the bytes mean nothing, as the renderer draws nothing
CAPSETS: Mapping[int, Capset] = MappingProxyType(
    {
        CapsetId.VIRGL.value: Capset(1, bytes(308)),
        CapsetId.VIRGL2.value: Capset(2, bytes(1376)),
        CapsetId.VENUS.value: Capset(0, bytes(160)),
        CapsetId.DRM.value: Capset(0, bytes(64)),
    }
)

if TYPE_CHECKING:
    from vgpu_emu.aliasing import AliasWatch
    from vgpu_emu.attributes.platform import Platform


def size_only(size: int, _name: str) -> Memory:
    """A backing that has a size and no bytes: for many, or very large, blobs."""
    return Memory(size, None)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """dialect: the posting that the VMM and, with `ioctl`, the host's kernel know. guess: the renderer's, without it.

    features: what the driver accepts, of what the profile's VMM offers. scanouts: sizes in pixels, 1 to 16 of them.
    host_visible: bytes of the host visible region; 0: there is none. guest_memory: bytes of guest memory, from 0 on.
    sparse_memory: bytes of other guest memory that may be touched, and then reads as zero. virtqueues: requests go
    through split virtqueues in guest memory (the trio machine), not through channels. capsets: by id.
    backing: makes the memory of a host buffer. opaque_renderer, map_infos: for guests of another renderer, see there.
    tagged_blobs: every new blob starts with a BlobTag, which says which one it is.
    platform: the hardware for which every mapping is checked against every other of its buffer; None: nobody looks.
    """

    dialect: Dialect = Dialect.RFC1
    ioctl: bool = True
    profile: Profile = PROFILES["strict"]
    features: frozenset[Feature] = frozenset(Feature)
    guess: MapCache = MapCache.CACHED
    scanouts: tuple[tuple[int, int], ...] = ((1024, 768),)
    host_visible: int = 256 << 20
    guest_memory: int = 64 << 20
    sparse_memory: int = 0
    virtqueues: bool = False
    blob_alignment: int = PAGE_SIZE
    capsets: Mapping[int, Capset] = msgspec.field(default_factory=lambda: CAPSETS)
    backing: Callable[[int, str], Memory] = Memory.memfd
    platform: "Platform | None" = None
    max_fds: int = MAX_FDS
    device_limits: DeviceLimits = msgspec.field(default_factory=DeviceLimits)
    renderer_limits: RendererLimits = msgspec.field(default_factory=RendererLimits)
    opaque_renderer: bool = False
    tagged_blobs: bool = False
    map_infos: Mapping[BlobId, MapCache] = msgspec.field(default_factory=dict)


class Conflict(msgspec.Struct, frozen=True):
    """A guest mapping that contradicts the exporter's own."""

    resource_id: ResourceId
    host: HostAttribute
    guest: Pgprot

    def __str__(self) -> str:
        return f"resource {self.resource_id}: the host maps it {self.host.value}, the guest {self.guest.value}"


class HostParts(msgspec.Struct, frozen=True, kw_only=True):
    """What a real guest's driver meets. kernel and renderer are the host; device and region the VMM; memory: the
    guest's.

    aliases: whoever looks at all their mappings; None without a platform.
    """

    kernel: Kernel
    renderer: Renderer
    region: HostVisibleRegion
    memory: GuestMemory
    device: Device
    log: Log
    config: Config
    aliases: "AliasWatch | None" = None

    def snapshot(self) -> bytes:
        """The device's state, as JSON."""
        return take(self.device)

    def restore(self, data: bytes) -> Steps[list[Used]]:
        """Put a state into the device: see `snapshot.restore`."""
        return restore(self.device, data)

    def restarted(self) -> Self:
        """The VMM's process has ended, and another is there, which knows nothing yet. Host and guest live on.

        A device that was dead is so no more; one that needs a reset still does.
        """
        self.end_vmm()
        self.renderer.end_vmm()
        device = vmm_setup(self.config).device(self.config.profile, self.region, self.memory, self.log)
        device.needs_reset = self.device.needs_reset
        # the displays are the user's, not the VMM's
        device.displays.edids.update(self.device.displays.edids)
        if self.aliases is not None:
            self.aliases.follow(partial(place_of, device.resources))
        return replace(self, device=device)

    def screen(self, scanout_id: int) -> Picture | None:
        """What a scanout shows; None: nothing. Raises IndexError for one that the device does not have."""
        return scanout_picture(self.device, scanout_id)

    def end_vmm(self) -> None:
        """Nothing of the VMM's process is left."""
        self.region.clear()
        for resource in self.device.resources.values():
            if isinstance(resource, Blob) and resource.exported is not None:
                resource.exported.memory.release()
        self.device.resources.clear()

    def close(self) -> None:
        """The end of VMM and renderer: nothing stays mapped, no descriptor open."""
        self.end_vmm()
        self.renderer.exit()

    def leaks(self) -> list[str]:
        """What is left, in words; after `close` it must be nothing."""
        left = [f"dma-buf {buf.inode} ({buf.memory!r})" for buf in self.kernel.live.values()]
        return left + [f"mapping at {slot.offset:#x} ({slot.memory!r})" for slot in self.region]


class Parts(HostParts, frozen=True, kw_only=True):
    """All three parties: the guest's driver, too, is ours."""

    driver: Driver

    def successor(self, driver: Driver) -> Driver:
        """Another one for the same device, when this one is unbound."""
        return driver.successor()

    def conflicts(self) -> list[Conflict]:
        """Every mapping that the guest made of a resource that still exists and that contradicts the host's."""
        found = []
        for note in self.log.notes("pgprot"):
            resource_id, guest = ResourceId(note.values["resource_id"]), Pgprot(note.values["pgprot"])
            if resource_id in self.renderer.resources:
                host = self.renderer.attribute_of(resource_id)
                found += [Conflict(resource_id, host, guest)] if conflicts(host, guest) else []
        return found


class DeviceConfig:
    """The transport between driver and device, as far as the configuration space goes.

    What comes with a feature that is left out is not there, as on a device that does not have it.
    """

    def __init__(self, device: Device, features: frozenset[Feature]) -> None:
        self._device = device
        self._features = features

    def read(self) -> DeviceConfiguration:
        config = self._device.config
        return config if Feature.VIRGL in self._features else replace(config, num_capsets=0)

    def clear_events(self, events: int) -> None:
        self._device.displays.clear_events(events)


def offered(config: Config) -> int:
    """The feature bits that the driver sees."""
    return sum(1 << feature for feature in config.features & config.profile.offers) | 1 << VERSION_1


def assemble(config: Config, log: Log, ram: Backing | None = None) -> Parts:
    """ram: the guest's memory, if there is some already, of as many bytes as the configuration says.

    Raises ValueError if the VMM does not offer the features, or they lack what they need.
    """
    host = assemble_host(config, log)
    if config.guest_memory:
        host.memory.add(0, mmap.mmap(-1, config.guest_memory) if ram is None else ram)
    return Parts(driver=driver_for(host), **asdict(host))


def driver_for(host: HostParts) -> Driver:
    """A driver that has accepted the features of the configuration. Raises ValueError if the device does not agree."""
    config, features = host.config, accept_features(offered(host.config))
    if not host.device.negotiate(features):
        raise ValueError(f"the device refuses these features: {', '.join(f.name for f in sorted(features))}")
    return Driver(
        host.region if config.host_visible else None,
        features=features,
        log=host.log,
        config=DeviceConfig(host.device, features),
        memory=host.memory,
        memory_size=config.guest_memory,
    )


def assemble_host(config: Config, log: Log, region: HostVisibleRegion | None = None) -> HostParts:
    """Host and VMM, to be driven by a guest that is not ours: nothing is negotiated, and there is no guest memory yet.

    region: the VMM's own kind of host visible region.
    """
    note_assembled(config, log)
    own_region, aliases = region_of(config, log)
    setup = host_setup(config)
    kernel = setup.kernel() if aliases is None else aliases.kernel(setup.posting, max_fds=setup.max_fds)
    memory = GuestMemory(sparse=config.sparse_memory)
    device = vmm_setup(config).device(config.profile, own_region if region is None else region, memory, log)
    if aliases is not None:
        aliases.follow(partial(place_of, device.resources))
    return HostParts(
        kernel=kernel,
        renderer=setup.renderer(kernel, config.backing),
        region=device.region,
        memory=memory,
        device=device,
        log=log,
        config=config,
        aliases=aliases,
    )


def host_setup(config: Config) -> HostSetup:
    return HostSetup(
        posting=config.dialect if config.ioctl else None,
        max_fds=config.max_fds,
        guess=config.guess,
        limits=config.renderer_limits,
        opaque=config.opaque_renderer,
        tagged=config.tagged_blobs,
    )


def vmm_setup(config: Config) -> VmmSetup:
    return VmmSetup(
        dialect=config.dialect,
        scanouts=config.scanouts,
        capsets=dict(config.capsets),
        blob_alignment=config.blob_alignment,
        map_infos=dict(config.map_infos),
        limits=config.device_limits,
    )


def note_assembled(config: Config, log: Log, **values: object) -> None:
    """The first note of a run. values: what else there is to say of it."""
    words = {"dialect": config.dialect.value, "ioctl": config.ioctl, "profile": config.profile.name}
    log.note("machine", "assembled", **words, **values)


def region_of(config: Config, log: Log) -> "tuple[HostVisibleRegion, AliasWatch | None]":
    """That of the configuration; with a platform, a watched one, and who watches it."""
    if config.platform is None:
        return HostVisibleRegion(config.host_visible), None
    # the attribute models cost as much to import as all the rest
    from vgpu_emu.aliasing import AliasWatch, WatchedRegion

    aliases = AliasWatch(config.platform, log, config.profile.name)
    return WatchedRegion(aliases, config.host_visible), aliases
