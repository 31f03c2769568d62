"""What both kinds of ``vgpu-emu serve`` let one choose, and what it makes of that."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vgpu_emu.assembly import Config
from vgpu_emu.cli.choices import named_features, named_map_info
from vgpu_emu.cli.output import need_report
from vgpu_emu.cli.profiles import named_profile
from vgpu_emu.cli.stories import log_story
from vgpu_emu.cli.style import painter, printable
from vgpu_emu.cli.usage import UsageError, complain
from vgpu_emu.host.renderer import RendererLimits
from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.peers.outlets import Outlets, Render
from vgpu_emu.report.page import html
from vgpu_emu.trace.ladder import Rung
from vgpu_emu.trace.log import Event
from vgpu_emu.trace.pcapng import pcapng
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.device import FEATURE_NEEDS, MAX_SCANOUTS, Feature

#: bytes of all blobs of a guest together: real memory, as far as it is touched
BLOB_BYTES = 1 << 30
#: bytes of the largest region: what a 64-bit BAR under QEMU's firmware still finds room for
MAX_HOST_VISIBLE = 1 << 40
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SCREEN = (1024, 768)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What both routes have.

    Parameters
    ----------
    features
        What is offered, of what the profile's VMM offers, with commas between: virgl, edid, resource_uuid,
        resource_blob, context_init, blob_alignment; none of them is said by "none".
    host_visible
        Size of the host visible region: 8G, 256M ...; a power of two. From 4G on firmware puts it above 4 GiB, where
        a guest on x86 can have every attribute. 0: there is no such region.
    scanouts
        How many screens there are, of 1024x768: 1 to 16.
    profile
        Whose VMM answers; see: vgpu-emu profiles.
    blob_id
        ID=none|cached|uncached|wc: the map_info of blobs of this id (repeatable); of others the renderer's command
        stream and the dma-buf decide.
    trace
        Print every message between guest, VMM and host as it comes.
    log
        Write everything that happens to this file; vgpu-emu convert makes pcapng, HTML and more of it.
    capture
        Record the requests and answers to this file, for vgpu-emu replay. After a reset of the device they go to
        another one: run.jsonl, run.2.jsonl ...
    html
        Write a page to this file, for any browser, whenever a guest has gone: messages and the host visible region.
    pcapng
        The same for Wireshark; see: vgpu-emu dissector. Of a long run both have the beginning, and the log has all.
    screenshot_dir
        Write what each screen shows to this directory, as scanout-0.png and so on.
    """

    features: str | None = None
    host_visible: str = "8G"
    scanouts: int = 1
    profile: str = "strict"
    blob_id: Annotated[tuple[str, ...], Parameter(name="--blob-id", negative=())] = ()
    trace: Annotated[bool, Parameter(negative=())] = False
    log: Path | None = None
    capture: Path | None = None
    html: Path | None = None
    pcapng: Path | None = None
    screenshot_dir: Path | None = None

    def config(self) -> Config:
        """Raises UsageError."""
        if not 1 <= self.scanouts <= MAX_SCANOUTS:
            raise UsageError(f"--scanouts {self.scanouts}: there are 1 to {MAX_SCANOUTS}")
        return Config(
            profile=named_profile(self.profile),
            features=_features(self.features),
            scanouts=(_SCREEN,) * self.scanouts,
            host_visible=region_size(self.host_visible),
            map_infos=dict(named_map_info(text) for text in self.blob_id),
            guest_memory=0,
            opaque_renderer=True,
            tagged_blobs=True,
            device_limits=DeviceLimits(blob_bytes=BLOB_BYTES),
            renderer_limits=RendererLimits(host_memory=BLOB_BYTES),
        )

    def outlets(self) -> Outlets:
        """Within trio. Raises UsageError for files that cannot be written."""
        try:
            if self.screenshot_dir is not None:
                self.screenshot_dir.mkdir(parents=True, exist_ok=True)
            return Outlets(
                complain,
                trace=_print_rung if self.trace else None,
                log=self.log,
                capture=self.capture,
                screenshots=self.screenshot_dir,
                pages=self._pages(),
            )
        except OSError as error:
            raise UsageError(f"cannot write {printable(str(error.filename))}: {error.strerror}") from None

    def _pages(self) -> dict[str, tuple[Path, Render]]:
        """Raises UsageError."""
        found: dict[str, tuple[Path, Render]] = {}
        if self.html is not None:
            need_report()
            found["the page"] = (self.html, partial(_html, self.html.name))
        if self.pcapng is not None:
            found["the pcapng file"] = (self.pcapng, lambda runs: b"".join(pcapng(runs)))
        return found


def _html(name: str, runs: Mapping[str, Sequence[Event]]) -> bytes:
    return html(log_story(name, runs)).encode()


DEFAULTS = ServeOptions()


def region_size(text: str) -> int:
    """Bytes of the host visible region. Raises UsageError."""
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "")
    if number.isascii() and number.isdecimal() and len(number) < 20 and unit in _UNITS:
        size = int(number) * _UNITS[unit]
        if not size or (PAGE_SIZE <= size <= MAX_HOST_VISIBLE and not size & (size - 1)):
            return size
    raise UsageError(f"--host-visible {printable(text)!r}: a power of two from 4K to 1T, such as 8G or 256M; or 0")


def _features(text: str | None) -> frozenset[Feature]:
    features = named_features(text)
    if features is None:
        return frozenset(Feature)
    for feature in features:
        needed = FEATURE_NEEDS.get(feature, feature)
        if needed not in features:
            raise UsageError(f"--features: {feature.name.lower()} needs {needed.name.lower()}")
    return features


def _print_rung(rung: Rung) -> None:
    paint = painter(sys.stdout)
    arrow = f"{rung.sender:5} -> {rung.receiver:5}" if rung.receiver else f"{rung.sender:14}"
    line = f"{rung.seconds:11.6f} {arrow} {paint('bold', f'{rung.says:26}')} {rung.detail}"
    print(line.rstrip(), flush=True)
