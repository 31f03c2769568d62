"""The machine that a setup asks for."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from vgpu_emu.assembly import Config, size_only
from vgpu_emu.fuzz.model.contexts import capset_data
from vgpu_emu.fuzz.model.setup import Asks, Setup
from vgpu_emu.host.renderer import RendererLimits
from vgpu_emu.memory import Memory
from vgpu_emu.vmm.command import Capset
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.blob import MapCache
from vgpu_wire.device import Feature

_CAPSETS: dict[tuple[tuple[int, int, int], ...], Mapping[int, Capset]] = {}


def config_of(setup: Setup) -> Config:
    """The machine that a setup asks for. Buffers of the host have a size and no bytes."""
    capsets = _CAPSETS.get(setup.capsets)
    if capsets is None:
        made = {number: Capset(version, capset_data(number, size)) for number, version, size in setup.capsets}
        capsets = _CAPSETS[setup.capsets] = MappingProxyType(made)
    return Config(
        dialect=Dialect.RFC3 if setup.asks is Asks.RFC3 else Dialect.RFC1,
        ioctl=setup.asks is not Asks.GUESS,
        guess=MapCache(setup.guess),
        features=features_of(setup.features),
        scanouts=setup.scanouts,
        host_visible=setup.host_visible,
        guest_memory=setup.memory,
        blob_alignment=setup.blob_alignment,
        capsets=capsets,
        backing=Memory.memfd if setup.real else size_only,
        device_limits=DeviceLimits(
            resources=setup.resources,
            contexts=setup.contexts,
            host_memory=setup.host_memory,
            image_lines=setup.image_lines,
            blob_bytes=setup.blob_bytes,
            entries=setup.entries,
            submit_bytes=setup.submit_bytes,
            fences=setup.fences,
        ),
        renderer_limits=RendererLimits(host_memory=setup.object_bytes, objects=setup.objects),
    )


@cache
def features_of(bits: int) -> frozenset[Feature]:
    """What the bits stand for."""
    return frozenset(feature for feature in Feature if bits >> feature & 1)
