"""Five exporters, one for each way in which a driver answers the question, or does not."""

from errno import ENOSYS

from vgpu_emu.host.dmabuf import DmaBuf, DmaBufOps
from vgpu_emu.vocabulary import HostAttribute, map_info_from_host, vm_prot_from_host
from vgpu_wire.context_stream import ExporterKind


def _says(name: str, attribute: HostAttribute) -> DmaBufOps:
    """A driver with a hook for both postings, as the series gives msm."""
    prot = vm_prot_from_host(attribute)
    assert prot is not None, f"{attribute} is not told"
    number = prot.value
    return DmaBufOps(name, attribute, lambda _buf: number, map_info_from_host(attribute))


def _drm_gem_prime_mmap_info(_buf: DmaBuf) -> int:
    """The series' generic op for every DRM driver, in one that has no hook: its errno is returned as the value."""
    return -ENOSYS


EXPORTERS: dict[ExporterKind, DmaBufOps] = {
    ExporterKind.WC: _says("wc", HostAttribute.WC),
    ExporterKind.CACHED: _says("cached", HostAttribute.CACHED),
    ExporterKind.INCOHERENT: _says("incoherent", HostAttribute.INCOHERENT),
    ExporterKind.SILENT: DmaBufOps("silent", HostAttribute.UNKNOWN),
    ExporterKind.DRM: DmaBufOps("drm", HostAttribute.UNKNOWN, _drm_gem_prime_mmap_info),
}
#: by name
OPS = {ops.name: ops for ops in EXPORTERS.values()}
