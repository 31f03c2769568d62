"""What a guest's mapping does to the bytes of a buffer, and what can be done: every remedy is tried on the model.

for remedy in remedies(platform("intel"), HostAttribute.WC, Pgprot.CACHED):
    print(remedy.helps, remedy.says)
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from vgpu_emu.attributes.mtrr import Bar, Firmware
from vgpu_emu.attributes.platform import Platform, platform
from vgpu_emu.attributes.walkthrough import Walkthrough, Weather, stage
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.blob import MapCache
from vgpu_wire.dmabuf import DmaBufSyncFlag

#: what is written, in this order, to the same bytes of one cache line
BY_HOST, BY_GUEST, BY_GPU = b"cleared by host ", b"drawn by guest  ", b"finished by GPU "
SIZE = len(BY_GUEST)
_WORD = 8


class Upkeep(Enum):
    """What the guest does around its accesses."""

    NONE = "nothing"
    SYNC = "DMA_BUF_IOCTL_SYNC"
    FLUSH = "flush"


@dataclass(frozen=True)
class Setting:
    """A buffer of an exporter in a guest. Nothing may be UNKNOWN of it."""

    platform: Platform
    host: HostAttribute
    pgprot: Pgprot
    upkeep: Upkeep = Upkeep.NONE

    def run(self, weather: Weather | None = None) -> Walkthrough:
        """Three parties write the same bytes in turn, and the next one reads them; what went wrong is in `damage`.

        What is right in the calm, without weather, is right in any.
        """
        walk = stage(self.platform, self.host, self.pgprot, weather=weather)
        self._clear(walk)
        self._begin(walk, DmaBufSyncFlag.READ)
        walk.read("guest", 0, SIZE)
        self._end(walk, DmaBufSyncFlag.READ)
        self._begin(walk, DmaBufSyncFlag.WRITE)
        for place in range(0, SIZE, _WORD):
            walk.write("guest", place, BY_GUEST[place : place + _WORD])
        self._end(walk, DmaBufSyncFlag.WRITE)
        walk.fence("guest")
        walk.read("gpu", 0, SIZE)
        walk.write("gpu", 0, BY_GPU)
        self._begin(walk, DmaBufSyncFlag.READ)
        walk.read("guest", 0, SIZE)
        self._end(walk, DmaBufSyncFlag.READ)
        return walk

    def _clear(self, walk: Walkthrough) -> None:
        """The exporter's driver clears a new buffer; it knows its own device, and flushes where that does not snoop."""
        walk.write("host", 0, BY_HOST)
        if self.host is HostAttribute.INCOHERENT:
            walk.flush("host", 0, SIZE)
        walk.fence("host")

    def _begin(self, walk: Walkthrough, access: DmaBufSyncFlag) -> None:
        if self.upkeep is Upkeep.SYNC:
            walk.sync("guest", access, 0, SIZE)
        elif self.upkeep is Upkeep.FLUSH and access is DmaBufSyncFlag.READ:
            walk.flush("guest", 0, SIZE)

    def _end(self, walk: Walkthrough, access: DmaBufSyncFlag) -> None:
        if self.upkeep is Upkeep.SYNC:
            walk.sync("guest", access | DmaBufSyncFlag.END, 0, SIZE)
        elif self.upkeep is Upkeep.FLUSH and access is DmaBufSyncFlag.WRITE:
            walk.flush("guest", 0, SIZE)


@dataclass(frozen=True)
class Remedy:
    """Something to do, the setting that it leads to, and whether it leads to right bytes, or to right bytes faster."""

    says: str
    source: str
    setting: Setting
    helps: bool


#: the map_info that tells the truth about a buffer
RIGHT_MAP_INFO = {
    HostAttribute.WC: (MapCache.WC, Pgprot.WRITECOMBINE),
    HostAttribute.CACHED: (MapCache.CACHED, Pgprot.CACHED),
}
_COHERENT = "drm/msm, MSM_BO_CACHED_COHERENT"
_FLUSHES = {
    "x86": ("clflush", "SDM vol 2, CLFLUSH"),
    "arm64": ("dc civac", "Arm ARM, cache maintenance by VA to PoC"),
    "riscv": ("cbo.flush", "RISC-V CMO extension, Zicbom"),
}


def remedies(here: Platform, host: HostAttribute, pgprot: Pgprot) -> list[Remedy]:
    """What one might try, tried: those that help first. Empty where nothing goes wrong and nothing is slow, and for an
    exporter that does not tell."""
    if host is HostAttribute.UNKNOWN:
        return []
    now = Setting(here, host, pgprot)
    walk = now.run()
    harmed = bool(walk.damage)
    tried = []
    for says, source, setting in _ideas(now, harmed):
        after = setting.run()
        helps = not after.damage and (harmed or after.system.transfers < walk.system.transfers)
        tried.append(Remedy(says, source, setting, helps))
    if not harmed and not any(remedy.helps for remedy in tried):
        return []
    return sorted(tried, key=lambda remedy: not remedy.helps)


def _ideas(now: Setting, harmed: bool) -> Iterator[tuple[str, str, Setting]]:
    right = RIGHT_MAP_INFO.get(now.host)
    best = now
    if right is not None and right[1] is not now.pgprot:
        info, pgprot = right
        best = replace(now, pgprot=pgprot)
        yield f"Answer RESOURCE_MAP_BLOB with map_info {info.value} ({info.name}).", "virtio 1.4, 5.7.6.10", best
    if harmed and now.platform.name == "intel":
        honours = platform("intel-guest-pat", firmware=now.platform.firmware, bar=now.platform.bar)
        says = "Disable KVM_X86_QUIRK_IGNORE_GUEST_PAT (KVM_CAP_DISABLE_QUIRKS2), so that the guest's PAT counts"
        says += "." if best is now else ", and send the right map_info."
        yield says, "Documentation/virt/kvm/api.rst", replace(best, platform=honours)
    if not harmed and now.platform.firmware is not None:
        write_back = platform(now.platform.name, firmware=Firmware.SEABIOS, bar=Bar.ABOVE_4G)
        if write_back != now.platform:
            says = "Let the firmware leave the BAR write-back in the guest's MTRRs, as SeaBIOS does above 4 GiB."
            yield says, "tianocore/edk2#13129", replace(now, platform=write_back)
    if harmed:
        says = "Use DMA_BUF_IOCTL_SYNC in the guest: the dma-bufs of virtio-gpu do no cache maintenance."
        yield says, "drivers/gpu/drm/virtio/virtgpu_prime.c", replace(now, upkeep=Upkeep.SYNC)
        flush, manual = _FLUSHES[now.platform.model.family]
        says = f"Flush in the guest ({flush}) after its writes and before its reads."
        yield says, manual, replace(now, upkeep=Upkeep.FLUSH)
    if harmed and now.host is not HostAttribute.CACHED:
        coherent = replace(now, host=HostAttribute.CACHED, pgprot=Pgprot.CACHED)
        yield "Let the exporter allocate it cached, for a GPU that snoops (map_info 1, CACHED).", _COHERENT, coherent
