"""Four public bug reports, each as cases that can be run: the fault, what did not help, what did."""

from collections.abc import Callable
from dataclasses import dataclass

from vgpu_emu.attributes.coherency import LINE
from vgpu_emu.attributes.derivation import Backing, Derivation
from vgpu_emu.attributes.mtrr import Bar, Firmware
from vgpu_emu.attributes.platform import Platform, platform
from vgpu_emu.attributes.walkthrough import Walkthrough, Weather, stage
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.dmabuf import DmaBufSyncFlag

Program = Callable[[Walkthrough], None]

#: bytes of a frame: three lines and a bit, so that some lines are written in part
FRAME = 3 * LINE + 24


def _frame(number: int) -> bytes:
    return bytes((number * 31 + place) % 255 + 1 for place in range(FRAME))


def draw(walk: Walkthrough) -> None:
    """Three times: the guest writes a frame, rings the doorbell, and the GPU reads it."""
    for number in range(3):
        walk.write("guest", 0, _frame(number))
        walk.fence("guest")
        walk.read("gpu", 0, FRAME)


def draw_with_flush(walk: Walkthrough) -> None:
    """The same, with clflush before the doorbell."""
    for number in range(3):
        walk.write("guest", 0, _frame(number))
        walk.flush("guest", 0, FRAME)
        walk.fence("guest")
        walk.read("gpu", 0, FRAME)


def draw_with_sync(walk: Walkthrough) -> None:
    """The same, with DMA_BUF_IOCTL_SYNC around the writes."""
    for number in range(3):
        walk.sync("guest", DmaBufSyncFlag.WRITE, 0, FRAME)
        walk.write("guest", 0, _frame(number))
        walk.sync("guest", DmaBufSyncFlag.WRITE | DmaBufSyncFlag.END, 0, FRAME)
        walk.fence("guest")
        walk.read("gpu", 0, FRAME)


def scribble(walk: Walkthrough) -> None:
    """The guest writes 64 lines eight bytes at a time, reads them back, and the GPU reads them."""
    for address in range(0, 64 * LINE, 8):
        walk.write("guest", address, b"scribble")
    for address in range(0, 64 * LINE, 8):
        walk.read("guest", address, 8)
    walk.fence("guest")
    walk.read("gpu", 0, 64 * LINE)


@dataclass(frozen=True)
class Case:
    """One way to set things up, and the program to run on it. right: whether every read then is right."""

    title: str
    platform: Platform
    host: HostAttribute
    pgprot: Pgprot
    program: Program
    right: bool
    backing: Backing = Backing.RAM
    maintains: bool = False

    def derive(self) -> Derivation:
        """What the guest's mapping becomes."""
        return self.platform.derive(self.pgprot, backing=self.backing)

    def run(self, weather: Weather | None = None) -> Walkthrough:
        """Run the program; the log, the damage and the number of transfers are in what is returned."""
        walk = stage(
            self.platform, self.host, self.pgprot, backing=self.backing, weather=weather, maintains=self.maintains
        )
        self.program(walk)
        return walk


@dataclass(frozen=True)
class Report:
    """A bug report: where it is, what was seen, why, and the cases that show it."""

    reference: str
    seen: str
    why: str
    cases: tuple[Case, ...]


WC, CACHED = HostAttribute.WC, HostAttribute.CACHED
_AMD, _INTEL, _GUEST_PAT = platform("amd"), platform("intel"), platform("intel-guest-pat")

SOGEN = Report(
    "momo5502/sogen#1097",
    "On a Steam Deck (AMD), glyphs and vertices that the guest streams to the GPU are jumbled until they settle.",
    "The host driver maps the buffers write-combined because the GPU does not snoop. The guest maps the same pages "
    "write-back, and KVM on AMD honours that: what the guest writes stays in a cache that the GPU never asks, and "
    "arrives when a line happens to be evicted.",
    (
        Case("guest maps write-back", _AMD, WC, Pgprot.CACHED, draw, right=False),
        Case("clflush before each submit", _AMD, WC, Pgprot.CACHED, draw_with_flush, right=True),
        Case("guest maps write-combined (map_info WC)", _AMD, WC, Pgprot.WRITECOMBINE, draw, right=True),
    ),
)

EDK2 = Report(
    "tianocore/edk2#13129",
    "Under OVMF a guest with Venus or native contexts is slow: the host visible region is uncached.",
    "OVMF sets an uncached MTRR over every memory BAR, above 4 GiB too. Linux lowers a cached request over such an "
    "MTRR to uncached-minus in its page tables, and where the guest's PAT counts the CPU obeys. Nothing is lost: every "
    "access just goes to memory. Write-combined requests are not lowered. Default KVM on Intel ignores the guest's "
    "PAT, so there the memtype list says uncached-minus and RAM is write-back all the same.",
    (
        Case("OVMF, cached blob", platform("amd", firmware=Firmware.OVMF), CACHED, Pgprot.CACHED, scribble, right=True),
        Case("SeaBIOS, BAR above 4 GiB", _AMD, CACHED, Pgprot.CACHED, scribble, right=True),
        Case(
            "SeaBIOS, BAR below 4 GiB: slow as well",
            platform("amd", firmware=Firmware.SEABIOS, bar=Bar.BELOW_4G),
            CACHED,
            Pgprot.CACHED,
            scribble,
            right=True,
        ),
        Case(
            "OVMF on default Intel: not slow",
            platform("intel", firmware=Firmware.OVMF),
            CACHED,
            Pgprot.CACHED,
            scribble,
            right=True,
        ),
    ),
)

DOSEMU2 = Report(
    "dosemu2/dosemu2#2813",
    "With the VGA window of /dev/mem mapped into a KVM guest on Intel, the machine hangs or takes a machine check, "
    "though the guest's page tables say uncached.",
    "KVM sees a reserved frame that the host's memtype code reports as write-back, so it is not taken for MMIO: the "
    "EPT says write-back and, by the default quirk, ignore PAT. The guest's PCD bit has no effect and video memory is "
    "cached. With KVM_X86_QUIRK_IGNORE_GUEST_PAT disabled the guest's uncached mapping counts; AMD never ignored it. "
    "The model shows the bytes that stay in the cache, not the machine check.",
    (
        Case("default quirk", _INTEL, WC, Pgprot.NONCACHED, draw, right=False, backing=Backing.VGA),
        Case("quirk disabled", _GUEST_PAT, WC, Pgprot.NONCACHED, draw, right=True, backing=Backing.VGA),
        Case(
            "quirk disabled, but mapped cached", _GUEST_PAT, WC, Pgprot.CACHED, draw, right=False, backing=Backing.VGA
        ),
        Case("AMD", _AMD, WC, Pgprot.NONCACHED, draw, right=True, backing=Backing.VGA),
    ),
)

WAYLAND_PROXY = Report(
    "talex5/wayland-proxy-virtwl#33",
    "Pixels the guest draws into video memory are missing; DMA_BUF_IOCTL_SYNC does not help, clflush does.",
    "The buffer is write-combined on the host, and the display does not snoop. On default Intel the guest's mapping is "
    "write-back whatever map_info says. The guest's exporter is virtio-gpu, whose dma-buf operations have no "
    "begin_cpu_access or end_cpu_access: SYNC waits for fences and touches no cache. clflush does not ask anybody.",
    (
        Case("no maintenance", _INTEL, WC, Pgprot.WRITECOMBINE, draw, right=False),
        Case(
            "DMA_BUF_IOCTL_SYNC on a virtio-gpu dma-buf", _INTEL, WC, Pgprot.WRITECOMBINE, draw_with_sync, right=False
        ),
        Case("clflush", _INTEL, WC, Pgprot.WRITECOMBINE, draw_with_flush, right=True),
        Case("KVM honours the guest's PAT", _GUEST_PAT, WC, Pgprot.WRITECOMBINE, draw, right=True),
        Case(
            "SYNC, if the exporter did cache maintenance",
            _INTEL,
            WC,
            Pgprot.WRITECOMBINE,
            draw_with_sync,
            right=True,
            maintains=True,
        ),
    ),
)

REPORTS = (SOGEN, EDK2, DOSEMU2, WAYLAND_PROXY)
