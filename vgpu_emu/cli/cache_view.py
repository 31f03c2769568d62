"""The demo for people: the ladder of each run, and the attribute party by party."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vgpu_emu.cli.hardware_view import show_hardware
from vgpu_emu.propagation import Propagation
from vgpu_emu.trace.ladder import Rung, rungs
from vgpu_emu.trace.words import map_info_words

_BYTES = {True: "same", False: "DIFFER", None: "-"}
_HINT = "What hardware makes of that, and what is lost: --platform amd, arm64-fwb, ..."
_PARTIES = {"guest": "cyan", "vmm": "magenta", "host": "green", "machine": "dim"}


def show(runs: list[Propagation], console: Console) -> None:
    for run in runs:
        kernel = "with DMA_BUF_IOCTL_INFO" if run.config.ioctl else "without the ioctl"
        console.print(Text(f"A kernel {kernel}", "bold"))
        console.print(_ladder(run))
        console.print()
    console.print(_attributes(runs))
    for run in runs:
        console.print(_verdict(run))
    platform = runs[0].config.platform
    if platform is None:
        console.print(_HINT)
    else:
        show_hardware(runs, platform, console)


def _ladder(run: Propagation) -> Table:
    table = Table.grid(padding=(0, 1))
    for number, rung in enumerate(rungs(run.events), 1):
        if rung.sender != "machine":
            # the steps that the alias checker names
            table.add_row(str(number) if run.config.platform else "", *_cells(rung))
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
