"""``vgpu-emu demo cache``: the whole story in two runs and two tables, and what some hardware makes of it."""

import io
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import trio
from cyclopts import Parameter
from msgspec import to_builtins
from msgspec.structs import replace
from rich.console import Console

from vgpu_emu.assembly import Config
from vgpu_emu.attributes.platform import Platform
from vgpu_emu.cli.cache_view import show
from vgpu_emu.cli.choices import BarName, DialectName, ExporterName, FirmwareName, config_of, one_platform
from vgpu_emu.cli.output import write_file, write_html, write_log, write_perfetto
from vgpu_emu.cli.stories import demo_story
from vgpu_emu.cli.usage import FOUND, UsageError, complain
from vgpu_emu.explanation import explain, fields
from vgpu_emu.machine import Isolation
from vgpu_emu.matrix import row
from vgpu_emu.processes.party import PartyLostError
from vgpu_emu.propagation import Propagation, propagate
from vgpu_emu.report.mermaid import mermaid_of_runs
from vgpu_emu.trace.log import Event
from vgpu_wire.context_stream import ExporterKind


def cache(
    *,
    exporter: ExporterName = "wc",
    dialect: DialectName = "rfc1",
    profile: str = "strict",
    isolation: Literal["process"] | None = None,
    platform: str | None = None,
    firmware: FirmwareName | None = None,
    bar: BarName | None = None,
    svg: Path | None = None,
    html: Path | None = None,
    perfetto: Path | None = None,
    log: Path | None = None,
    mermaid: Annotated[bool, Parameter(negative=())] = False,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Follow a buffer's cache attribute from the driver that exports it to the guest's page protection.

    Runs twice: on a kernel without DMA_BUF_IOCTL_INFO, where the VMM takes the renderer's guess, and on one with it.
    A conflict between the host's and the guest's mapping is what this is about, not a failure: the exit code is 0.

    With a platform also what its hardware makes of the mapping, layer by layer, which mappings of the same pages
    disagree, and what that does to the bytes.

    Examples:

        vgpu-emu demo cache

        vgpu-emu demo cache --exporter incoherent --dialect rfc3 --profile qemu-virgl

        vgpu-emu demo cache --platform amd --firmware ovmf

        vgpu-emu demo cache --html page.html

        vgpu-emu demo cache --json

    Parameters
    ----------
    exporter
        Who exports the buffer: wc and cached say how they map it; incoherent claims to be cached, but its device does
        not snoop; silent has no mmap_info; drm has the generic op without a driver hook.
    dialect
        Which posting of the kernel series: rfc1 (DMA_BUF_INFO_VM_PROT) or rfc3 (enum dma_buf_map_info).
    profile
        Whose VMM: strict, qemu-virgl, crosvm ... as listed by vgpu-emu profiles.
    isolation
        process: guest, VMM and renderer are each in an operating-system process of their own, and the buffer is real
        memory that all three map. What is seen is the same.
    platform
        Show what this hardware makes of it: intel, intel-guest-pat, amd, arm64, arm64-fwb, riscv-svpbmt or riscv.
    firmware
        Who set up the guest's MTRRs, on x86: seabios, which is the default, or ovmf.
    bar
        Where the host visible region is, on x86: above-4g, which is the default, or below-4g.
    svg
        Also write the picture to this file.
    html
        Also write a page to this file, for any browser: the messages byte by byte, the map of the host visible region,
        the attribute stack and the cache lines where data goes wrong. Without --platform it is that of amd.
    perfetto
        Also write a trace to this file, for ui.perfetto.dev.
    log
        Also write the event log of both runs to this file; vgpu-emu convert makes other formats of it.
    mermaid
        A Mermaid sequenceDiagram instead of the tables.
    json_
        One JSON object instead of the tables.
    """
    if platform is None and (firmware or bar):
        raise UsageError("--firmware and --bar say where the hardware maps it: they go with --platform NAME")
    if json_ and mermaid:
        raise UsageError("--json or --mermaid: stdout is for one of them")
    hardware = one_platform(platform, firmware, bar) if platform is not None else None
    configs = [config_of(dialect, profile, ioctl) for ioctl in (False, True)]
    kind = ExporterKind[exporter.upper()]
    try:
        runs = _runs(kind, configs, hardware, isolation)
    except PartyLostError as lost:
        complain(str(lost))
        return FOUND
    if json_:
        print(json.dumps({"schema": 1, "runs": [_as_json(run) for run in runs]}))
    elif mermaid:
        print(mermaid_of_runs(_named(runs)), end="")
    else:
        show(runs, Console())
    if svg is not None:
        picture = Console(record=True, width=110, file=io.StringIO(), force_terminal=True)
        show(runs, picture)
        drawn = picture.export_svg(title="vgpu-emu demo cache")
        # a file on its own: no fonts out of the network
        write_file(svg, re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL).encode())
    if html is not None:
        write_html(html, demo_story(runs if hardware else _runs(kind, configs, one_platform("amd", None, None))))
    if perfetto is not None:
        write_perfetto(perfetto, _named(runs))
    if log is not None:
        write_log(log, _named(runs))
    return 0


def _runs(
    exporter: ExporterKind, configs: list[Config], hardware: Platform | None, isolation: Isolation | None = None
) -> list[Propagation]:
    return [trio.run(propagate, exporter, replace(config, platform=hardware), isolation) for config in configs]


def _named(runs: list[Propagation]) -> dict[str, list[Event]]:
    kernels = ("without DMA_BUF_IOCTL_INFO", "with DMA_BUF_IOCTL_INFO")
    return {f"a kernel {kernels[run.config.ioctl]}": run.events for run in runs}


def _as_json(run: Propagation) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "exporter": run.exporter.name.lower(),
        "dialect": run.config.dialect.value,
        "profile": run.config.profile.name,
        "ioctl": run.config.ioctl,
        "wire_map_info": run.wire_map_info,
        "guest_pgprot": run.guest_pgprot.value if run.guest_pgprot else None,
        "host_attribute": run.host_attribute.value,
        "conflict": bool(run.conflicts),
        "response": run.response,
    }
    if run.config.platform is not None:
        here = to_builtins(row(run, run.config.platform))
        shown |= {
            name: here[name] for name in ("platform", "firmware", "bar", "pte", "memtype", "effective", "verdict")
        }
        shown |= fields(explain(run))
        shown["aliases"] = [str(conflict) for conflict in run.aliases]
    return shown
