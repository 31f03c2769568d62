"""``vgpu-emu demo cache``: the whole story in two runs and two tables."""

import io
import json
from pathlib import Path
from typing import Annotated, Literal

import trio
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vgpu_emu.assembly import Config
from vgpu_emu.cli.profiles import named_profile
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.propagation import Propagation, propagate
from vgpu_emu.trace.ladder import Rung, rungs
from vgpu_emu.trace.words import map_info_words
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vocabulary import Dialect
from vgpu_wire.context_stream import ExporterKind

Exporter = Literal["wc", "cached", "incoherent", "silent", "drm"]
_BYTES = {True: "same", False: "DIFFER", None: "-"}
_PARTIES = {"guest": "cyan", "vmm": "magenta", "host": "green", "machine": "dim"}


def cache(
    *,
    exporter: Exporter = "wc",
    dialect: Literal["rfc1", "rfc3"] = "rfc1",
    profile: str = "strict",
    svg: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Follow a buffer's cache attribute from the driver that exports it to the guest's page protection.

    Runs twice: on a kernel without DMA_BUF_IOCTL_INFO, where the VMM takes the renderer's guess, and on one with it.
    A conflict between the host's and the guest's mapping is what this is about, not a failure: the exit code is 0.

    Examples:
        vgpu-emu demo cache
        vgpu-emu demo cache --exporter incoherent --dialect rfc3 --profile qemu-virgl
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
    svg
        Also write the picture to this file.
    json_
        One JSON object instead of the tables.
    """
    vmm = named_profile(profile)
    runs = [_run(exporter, dialect, vmm, ioctl=ioctl) for ioctl in (False, True)]
    if json_:
        print(json.dumps({"schema": 1, "runs": [_as_json(run) for run in runs]}))
    else:
        _show(runs, Console())
    if svg is not None:
        picture = Console(record=True, width=110, file=io.StringIO(), force_terminal=True)
        _show(runs, picture)
        try:
            svg.write_text(picture.export_svg(title="vgpu-emu demo cache"), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {svg}: {error.strerror}") from None
    return 0


def _run(exporter: Exporter, dialect: str, profile: Profile, *, ioctl: bool) -> Propagation:
    config = Config(dialect=Dialect(dialect), ioctl=ioctl, profile=profile)
    return trio.run(propagate, ExporterKind[exporter.upper()], config)


def _as_json(run: Propagation) -> dict[str, object]:
    return {
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


def _show(runs: list[Propagation], console: Console) -> None:
    for run in runs:
        kernel = "with DMA_BUF_IOCTL_INFO" if run.config.ioctl else "without the ioctl"
        console.print(Text(f"A kernel {kernel}", "bold"))
        console.print(_ladder(run))
        console.print()
    console.print(_attributes(runs))
    for run in runs:
        console.print(_verdict(run))


def _ladder(run: Propagation) -> Table:
    table = Table.grid(padding=(0, 1))
    for rung in rungs(run.events):
        if rung.sender != "machine":
            table.add_row("", *_cells(rung))
    return table


def _cells(rung: Rung) -> tuple[Text, Text, Text, Text, Text]:
    bad = "ERR" in rung.says or rung.says.startswith("E") or rung.says in {"guessed", "refused", "map_info_failed"}
    says = Text(rung.says, "bold red" if bad else "bold" if rung.receiver else "yellow")
    arrow = Text("->" if rung.receiver else "")
    receiver = Text(rung.receiver or "", _PARTIES.get(rung.receiver or "", ""))
    return Text(rung.sender, _PARTIES.get(rung.sender, "")), arrow, receiver, says, Text(rung.detail)


def _attributes(runs: list[Propagation]) -> Table:
    table = Table(title="The attribute, party by party", title_justify="left", title_style="bold")
    table.add_column("who")
    table.add_column("says")
    for run in runs:
        table.add_column("with the ioctl" if run.config.ioctl else "without it")
    rows = (
        ("exporter", "maps it on the host", lambda run: run.host_attribute.value),
        ("VMM", "answers RESOURCE_MAP_BLOB", lambda run: run.response),
        ("wire", "map_info in that answer", _wire),
        ("guest", "maps it with pgprot", lambda run: run.guest_pgprot.value if run.guest_pgprot else "not mapped"),
        (
            "bytes",
            "that the guest wrote, on the host",
            lambda run: _BYTES[run.shared],
        ),
    )
    for who, says, value in rows:
        table.add_row(who, says, *[value(run) for run in runs])
    table.add_row("verdict", "do host and guest agree?", *[_agreement(run) for run in runs])
    return table


def _wire(run: Propagation) -> str:
    return "-" if run.wire_map_info is None else f"{run.wire_map_info} ({map_info_words(run.wire_map_info)})"


def _agreement(run: Propagation) -> Text:
    if run.conflicts:
        return Text("CONFLICT", "bold red")
    if run.guest_pgprot is None:
        return Text("refused", "yellow")
    return Text("unknown", "yellow") if run.host_attribute.value == "unknown" else Text("agree", "bold green")


def _verdict(run: Propagation) -> Text:
    kernel = "With the ioctl" if run.config.ioctl else "Without the ioctl"
    if run.conflicts:
        return Text(f"{kernel}: CONFLICT, {'; '.join(str(conflict) for conflict in run.conflicts)}.", "red")
    if run.guest_pgprot is None:
        return Text(f"{kernel}: nothing was mapped, so nothing can conflict ({run.response}).", "yellow")
    if run.host_attribute.value == "unknown":
        return Text(
            f"{kernel}: the guest maps it {run.guest_pgprot.value}; nobody knows whether that is right.", "yellow"
        )
    return Text(f"{kernel}: host and guest agree on {run.host_attribute.value}.", "green")
