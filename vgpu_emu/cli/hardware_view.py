"""What a platform makes of each run: the attribute stack, the mappings that disagree, and what is lost."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vgpu_emu.attributes.aliases import Conflict
from vgpu_emu.attributes.platform import Platform
from vgpu_emu.cli.choices import words
from vgpu_emu.cli.matrix_view import STYLES
from vgpu_emu.cli.walk_view import show_walk
from vgpu_emu.explanation import Explanation, explain
from vgpu_emu.matrix import row
from vgpu_emu.propagation import Propagation
from vgpu_emu.vocabulary import Pgprot


def show_hardware(runs: list[Propagation], platform: Platform, console: Console) -> None:
    """Runs whose guest maps alike fare alike, and are shown once."""
    fates: dict[Pgprot | None, list[Propagation]] = {}
    for run in runs:
        fates.setdefault(run.guest_pgprot, []).append(run)
    for pgprot, alike in fates.items():
        when = " and ".join("with the ioctl" if run.config.ioctl else "without the ioctl" for run in alike)
        console.print(Text(f"\n{words(platform)}, {when}", "bold"))
        if pgprot is None:
            console.print("  Nothing is mapped, so the hardware has nothing to do.")
        else:
            explanation = explain(alike[-1])
            console.print(_stack(alike[-1], platform, explanation))
            for sentence in explanation.outcome:
                console.print(Padding(Text(sentence.says), (0, 0, 0, 2)))
            _show_conflicts(alike[-1].aliases, console)
            _show_bytes(explanation, console)


def _stack(run: Propagation, platform: Platform, explanation: Explanation) -> Padding:
    """From the exporter to the hardware: who decides, what it says, where that is written."""
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column()
    table.add_column(style="dim")
    views = platform.host_views(run.host_attribute)
    exporter, gpu = (view.value for view in views) if views else ("not told", "not told")
    table.add_row("exporter, CPU", exporter, Text(explanation.happens[0].source))
    table.add_row("exporter, GPU", gpu, "")
    assert explanation.derivation is not None
    for layer in explanation.derivation.layers:
        table.add_row(layer.name, Text(layer.says), Text(layer.source))
    verdict = row(run, platform).verdict
    table.add_row("verdict", Text(verdict, STYLES[verdict.partition(",")[0]]), "")
    return Padding(table, (0, 0, 0, 2))


def _show_conflicts(conflicts: list[Conflict], console: Console) -> None:
    """Each pair of live mappings that disagrees: who, and the step of the ladder that made it so."""
    if conflicts:
        console.print(Text("Live mappings of the same pages that disagree, by the step that made the second", "bold"))
    for conflict in conflicts:
        line = Text(f"{conflict.verdict.value}: ", STYLES[conflict.verdict.value.partition(",")[0]])
        line.append(f"{conflict.first} and {conflict.second}", "default")
        console.print(Padding(line, (0, 0, 0, 2)))


def _show_bytes(explanation: Explanation, console: Console) -> None:
    """What goes wrong with the bytes, and the same with the first remedy that helps."""
    if explanation.walk is None:
        return
    console.print(Text("What is written on one side and read on the other, on the coherency model", "bold"))
    show_walk(explanation.walk, console)
    helping = [remedy for remedy in explanation.remedies if remedy.helps]
    if helping and explanation.walk.damage:
        console.print(Text(f"The same, mended. {helping[0].says}", "bold"))
        show_walk(helping[0].setting.run(), console)
    for remedy in explanation.remedies:
        mark = Text("+ helps: " if remedy.helps else "- does not help: ", "green" if remedy.helps else "red")
        console.print(Padding(mark.append(remedy.says, "default"), (0, 0, 0, 2)))
