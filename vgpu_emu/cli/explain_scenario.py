"""``vgpu-emu explain scenario``: what a scenario file may say."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator

from vgpu_emu.cli.style import Paint, painter, printable
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.scenario.mistakes import a, nearest
from vgpu_emu.scenario.reference import EXAMPLE, Member, Table, expect_table, faults, file_table, steps, tables


def scenario(name: str | None = None, /) -> None:
    """Say what a scenario file (*.vgpu.toml) may say: its members, its steps, and what a step may expect.

    With the name of a step or a fault, all of its members. vgpu-emu run carries out such files.

    Examples:

        vgpu-emu explain scenario

        vgpu-emu explain scenario create-blob

        vgpu-emu explain scenario raw

        vgpu-emu explain scenario expect

    Parameters
    ----------
    name
        A step (create-blob), a fault (host-dies), a table of the file (hardware), or expect.
    """
    paint = painter(sys.stdout)
    if name is None:
        print("\n".join(_overview(paint)))
        return
    named = {table.name: table for table in (*tables(), expect_table(), *faults(), *steps())}
    if name not in named:
        raise UsageError(f"nothing in a scenario is called {printable(name)}{nearest(name, named)}")
    print("\n".join(_whole(named[name], paint)))


def _overview(paint: Paint) -> Iterator[str]:
    yield "A scenario is a file like this (*.vgpu.toml); vgpu-emu run carries it out."
    yield ""
    yield textwrap.indent(EXAMPLE, "    ")
    yield paint("bold", "The file")
    yield from _members(file_table().members)
    for table in tables():
        yield paint("bold", f"[{table.name}]") + f" {_first(table.says)}"
        yield from _members(table.members)
    yield paint("bold", "Steps") + ': do = "NAME"; vgpu-emu explain scenario NAME has the members of each'
    yield from _listed((table.name, _first(table.says)) for table in steps())
    yield paint("bold", "Every step") + " may have as (a name for its result), comment, and expect, a table of these"
    yield from _members(expect_table().members)
    yield paint("bold", "[[fault]]") + ': fault = "NAME"; vgpu-emu explain scenario NAME has the members of each'
    yield from _listed((table.name, _first(table.says)) for table in faults())


def _whole(table: Table, paint: Paint) -> Iterator[str]:
    """One table with all its members."""
    yield paint("bold", table.name)
    yield from _wrapped(" ".join(table.says.split()), "  ")
    if table.gives:
        yield f"  as names {a(table.gives)}."
    yield from _members(table.members)


def _members(members: Iterable[Member]) -> Iterator[str]:
    for member in members:
        needed = "needed; " if member.is_needed else ""
        default = f"; by default {member.default}" if member.default else ""
        says = f" {member.says}" if member.says else ""
        takes = member.takes.removesuffix(" ...")
        more = " ..." if takes != member.takes else "."
        yield from _wrapped(f"{needed}{takes}{default}{more}{says}", f"  {member.name:15} ")


def _listed(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, says in rows:
        yield from _wrapped(says, f"  {name:19} ")


def _wrapped(text: str, prefix: str) -> list[str]:
    width = min(shutil.get_terminal_size().columns, 110)
    return textwrap.wrap(text, width, initial_indent=prefix, subsequent_indent=" " * len(prefix))


def _first(says: str) -> str:
    """The first paragraph."""
    return " ".join(says.split("\n\n", maxsplit=1)[0].split())
