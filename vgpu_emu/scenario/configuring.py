"""The configuration of the machine that a scenario asks for."""

from msgspec.structs import asdict

from vgpu_emu.assembly import CAPSETS, Config, size_only
from vgpu_emu.attributes.mtrr import Bar, Firmware
from vgpu_emu.attributes.platform import Platform, platform
from vgpu_emu.host.renderer import RendererLimits
from vgpu_emu.memory import Memory
from vgpu_emu.scenario import words
from vgpu_emu.scenario.records import Limits, Scenario
from vgpu_emu.vmm.catalogue import find_profile
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import MapCache
from vgpu_wire.device import FEATURE_NEEDS


def config_of(scenario: Scenario) -> Config:
    """Raises ProfileError for an unknown profile, ValueError for hardware that there is not."""
    hardware, host = scenario.hardware, scenario.host
    profile = find_profile(scenario.profile)
    features = profile.offers
    if scenario.features is not None:
        features = words.features(scenario.features)
        if missing := features - profile.offers:
            raise ValueError(f"{profile.name} does not offer {', '.join(sorted(f.name.lower() for f in missing))}")
        for feature, needed in FEATURE_NEEDS.items():
            if feature in features and needed not in features:
                raise ValueError(f"{feature.name.lower()} is offered only with {needed.name.lower()}")
    capsets = CAPSETS
    if hardware.capsets is not None:
        capsets = {number: CAPSETS[number] for number in map(words.capset, hardware.capsets)}
    return Config(
        dialect=Dialect(host.dialect),
        ioctl=host.ioctl,
        guess=MapCache[host.guess.upper()],
        profile=profile,
        features=features,
        scanouts=hardware.scanouts,
        host_visible=hardware.host_visible,
        guest_memory=hardware.guest_memory,
        virtqueues=hardware.virtqueues,
        blob_alignment=hardware.blob_alignment,
        capsets=capsets,
        backing=Memory.memfd if host.bytes_ else size_only,
        platform=_platform(scenario),
        max_fds=host.max_fds,
        device_limits=_device_limits(scenario.limits),
        renderer_limits=RendererLimits(host_memory=host.memory, objects=host.objects),
    )


def _device_limits(limits: Limits) -> DeviceLimits:
    return DeviceLimits(**{name: value for name, value in asdict(limits).items() if value is not None})


def _platform(scenario: Scenario) -> Platform | None:
    chosen = scenario.platform
    if chosen is None or isinstance(chosen, str):
        return None if chosen is None else platform(chosen)
    return platform(
        chosen.name,
        firmware=Firmware(chosen.firmware) if chosen.firmware else None,
        bar=Bar(chosen.bar) if chosen.bar else None,
        host_page=chosen.host_page,
        guest_page=chosen.guest_page,
    )
