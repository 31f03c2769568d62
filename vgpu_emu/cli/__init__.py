"""The command line: ``vgpu-emu COMMAND``. stdout is data, stderr is progress and complaints.

Exit codes: 0 ok, 1 an expectation failed or something was found, 2 usage, 77 all was skipped, 130 interrupted.
"""

import errno
import io
import os
import sys

from cyclopts import App, CycloptsError, UnusedCliTokensError

from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import FOUND, USAGE, UsageError, complain

app = App(
    name="vgpu-emu",
    help="A virtio-gpu guest/host protocol emulator. Start with: vgpu-emu demo cache",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
)
demo = App(name="demo", help="See what the emulator is about.")
demo.command("vgpu_emu.cli.demo:cache", name="cache")
demo.command("vgpu_emu.cli.bug_report:report", name="report")
app.command(demo)
app.command("vgpu_emu.cli.run:run", name="run")
app.command("vgpu_emu.cli.list:list_", name="list")
app.command("vgpu_emu.cli.decode:decode", name="decode")
app.command("vgpu_emu.cli.explain:group", name="explain")
app.command("vgpu_emu.cli.replay:replay", name="replay")
app.command("vgpu_emu.cli.profiles:group", name="profiles")
app.command("vgpu_emu.cli.serve:group", name="serve")
app.command("vgpu_emu.cli.matrix:matrix", name="matrix")
app.command("vgpu_emu.cli.drive:drive", name="drive")
app.command("vgpu_emu.cli.fuzz:fuzz", name="fuzz")
app.command("vgpu_emu.cli.minimize:minimize", name="minimize")
app.command("vgpu_emu.cli.cover:cover", name="cover")
app.command("vgpu_emu.cli.convert:convert", name="convert")
app.command("vgpu_emu.cli.dissector:dissector", name="dissector")
schema = App(name="schema", help="JSON schemas of the files that are read and written.")
schema.command("vgpu_emu.cli.schema:event", name="event")
schema.command("vgpu_emu.cli.schema:scenario", name="scenario")
schema.command("vgpu_emu.cli.schema:fuzz", name="fuzz")
app.command(schema)


def main(arguments: list[str] | None = None) -> int:
    """``vgpu-emu`` with these arguments, or the process's own; the exit code."""
    return run_commands(app, arguments)


def run_commands(commands: App, arguments: list[str] | None = None) -> int:
    """Run a command line; the exit code. A user's mistake is one line on stderr, never a traceback."""
    code = 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a stream that cannot say everything says it in escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if _shows_a_list(sys.argv[1:] if arguments is None else arguments):
            _import_commands(commands)
        answer = commands(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        code = answer if isinstance(answer, int) else 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except UsageError as mistake:
        complain(str(mistake))
        return USAGE
    except CycloptsError as mistake:
        complain(_in_one_line(mistake, commands.name[0]))
        return USAGE
    except KeyboardInterrupt:
        return 130
    except SystemExit:
        # nothing here exits but rich, when the reader of stdout has seen enough
        return code
    except OSError as failure:
        if failure.errno not in {errno.EPIPE, errno.ENOSPC}:
            raise
        # what is still in the buffer can go nowhere, and the interpreter would complain about it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if failure.errno == errno.ENOSPC:
            complain("cannot write all of the output: no space left")
            return FOUND
        # the reader of stdout has seen enough
    return code


def _shows_a_list(arguments: list[str]) -> bool:
    """Whether a list of commands may be asked for."""
    return len(arguments) < 2 or not {"--help", "-h"}.isdisjoint(arguments)


def _import_commands(group: App) -> None:
    """Import every command of the group: a list of commands shows the first line of those that are imported."""
    for name in group:
        if not name.startswith("-"):
            _import_commands(group[name])


def _in_one_line(mistake: CycloptsError, program: str) -> str:
    """What is wrong with the command line, and where to look."""
    if isinstance(mistake, UnusedCliTokensError):
        what = f"unexpected argument: {' '.join(mistake.unused_tokens or [])}"
    else:
        what = " ".join(str(mistake).split()).rstrip(".")
    return f"{printable(what)} (see: {' '.join([program, *(mistake.command_chain or ())])} --help)"
