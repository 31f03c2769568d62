"""A walk on the coherency model, step by step: who did what, and which bytes are where afterwards."""

from itertools import groupby

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vgpu_emu.attributes.walkthrough import MEMORY, Entry, LineState, Walkthrough
from vgpu_emu.explanation import damage_words, text

#: what stands before the bytes of a copy that is no plain one
_MARKS = {"dirty": "* ", "combining": "+ ", MEMORY: ""}
_LEGEND = {"dirty": "* dirty, memory has it not", "combining": "+ in a write-combining buffer, on its way"}
#: bytes of a line that are shown
_SHOWN = 16


def show_walk(walk: Walkthrough, console: Console) -> None:
    """The first cache line: memory, and what each CPU holds of it. Steps that only repeat are shown once."""
    holders = [MEMORY, *(name for name in walk.system.cpus if _ever_holds(walk, name))]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("step", justify="right")
    table.add_column("who does what")
    for holder in holders:
        table.add_column(holder if holder == MEMORY else f"{holder}'s CPU", min_width=_SHOWN)
    for (who, does), group in groupby(walk.log, key=lambda entry: (entry.who, _does(entry))):
        entry = list(group)[-1]
        wrong = entry.damage
        action = Text(f"{who} {does}", "bold red" if wrong else "")
        if wrong:
            action.append(f": {wrong.kind.upper()}")
        cells = [Text(_cell(entry.lines[0], holder) if entry.lines else "") for holder in holders]
        table.add_row(str(entry.step), action, *cells)
    console.print(table)
    for damage in walk.damage:
        console.print(Padding(Text(f"step {damage.step}: {damage_words(damage)}", "red"), (0, 0, 0, 2)))
    if not walk.damage:
        console.print(Text("  every read is right", "green"))
    seen = {state for entry in walk.log for line in entry.lines[:1] for _, state, _ in line.copies}
    if explained := [says for state, says in _LEGEND.items() if state in seen]:
        console.print(Text(f"  {'   '.join(explained)}", "dim"))


def _does(entry: Entry) -> str:
    """``reads``, ``writes``, ``flushes``, ``fences``, ``DMA_BUF_IOCTL_SYNC START``."""
    words = entry.action.split()
    return " ".join(words[:2]) if words[0].isupper() else words[0]


def _ever_holds(walk: Walkthrough, name: str) -> bool:
    return any(where == name for entry in walk.log for line in entry.lines[:1] for where, _, _ in line.copies)


def _cell(line: LineState, holder: str) -> str:
    """What a holder has of a line: its first bytes, and a mark if memory has not got them."""
    copies = [(state, held[:_SHOWN]) for where, state, held in line.copies if where == holder]
    return ", ".join(
        _MARKS.get(state, "  ") + (text(held).strip("'") if any(held) else "zeros") for state, held in copies
    )
