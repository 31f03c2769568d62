"""``vgpu-emu matrix``: every exporter, posting and VMM on every platform."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from vgpu_emu.attributes.platform import PLATFORMS
from vgpu_emu.cli.choices import (
    BarName,
    DialectName,
    ExporterName,
    FirmwareName,
    GuessName,
    config_of,
    mapping_profile,
    mapping_profiles,
    platforms,
)
from vgpu_emu.cli.matrix_view import show
from vgpu_emu.cli.output import write_html
from vgpu_emu.cli.progress import progress
from vgpu_emu.cli.stories import matrix_story
from vgpu_emu.matrix import row, told
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.context_stream import ExporterKind


def matrix(
    *,
    exporter: Annotated[list[ExporterName] | None, Parameter(negative=())] = None,
    dialect: Annotated[list[DialectName] | None, Parameter(negative=())] = None,
    profile: Annotated[list[str] | None, Parameter(negative=())] = None,
    platform: Annotated[list[str] | None, Parameter(negative=())] = None,
    firmware: FirmwareName | None = None,
    bar: BarName | None = None,
    no_ioctl: Annotated[bool, Parameter(negative=())] = False,
    guess: GuessName | None = None,
    html: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Every exporter, posting of the series and VMM on every platform: what the guest is told, and what becomes of it.

    What the guest is told comes from running the pipeline; what becomes of it from the attribute models. Mappings that
    do not agree are what this is about, not a failure: the exit code is 0.

    Examples:

        vgpu-emu matrix

        vgpu-emu matrix --exporter wc --platform amd --platform arm64-fwb

        vgpu-emu matrix --no-ioctl --firmware ovmf --json

        vgpu-emu matrix --html matrix.html

    Parameters
    ----------
    exporter
        Only this one: wc, cached, incoherent, silent or drm. This and the next three can be given more than once.
    dialect
        Only this posting of the kernel series: rfc1 or rfc3.
    profile
        Only this VMM: strict, qemu-virgl, crosvm or another that vgpu-emu profiles lists and that has blobs.
    platform
        Only this one: intel, intel-guest-pat, amd, arm64, arm64-fwb, riscv-svpbmt or riscv.
    firmware
        Only where this set up the guest's MTRRs: seabios or ovmf.
    bar
        Only where the host visible region is there: above-4g or below-4g.
    no_ioctl
        On a kernel without DMA_BUF_IOCTL_INFO, where every VMM takes the renderer's guess.
    guess
        That guess: cached, which is the default, uncached or wc.
    html
        Also write a page to this file, for any browser: the whole matrix as one table.
    json_
        One JSON object instead of tables.
    """
    exporters = [ExporterKind[name.upper()] for name in _once(exporter)] or list(ExporterKind)
    dialects = [Dialect(name) for name in _once(dialect)] or list(Dialect)
    profiles = [mapping_profile(name) for name in _once(profile)] or mapping_profiles()
    hardware = platforms(platform or PLATFORMS, firmware, bar)
    config = config_of("rfc1", "strict", not no_ioctl, guess)
    runs = told(exporters, dialects, profiles, config)
    total = len(exporters) * len(dialects) * len(profiles)
    rows = [row(run, here) for run in progress("matrix", total, runs) for here in hardware]
    if json_:
        print(json.dumps({"schema": 1, "ioctl": not no_ioctl, "rows": msgspec.to_builtins(rows)}))
    else:
        show(rows, Console())
    if html is not None:
        write_html(html, matrix_story(rows, "without DMA_BUF_IOCTL_INFO" if no_ioctl else "with DMA_BUF_IOCTL_INFO"))


def _once(names: Sequence[str] | None) -> list[str]:
    return list(dict.fromkeys(names or ()))
