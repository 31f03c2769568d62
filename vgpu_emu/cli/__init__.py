"""The command line: ``vgpu-emu COMMAND``. stdout is data, stderr is progress and complaints.

Exit codes: 0 ok, 1 an expectation failed or something was found, 2 usage, 77 skipped, 130 interrupted.
"""

import os
import sys

from cyclopts import App
from rich.console import Console

from vgpu_emu.cli.usage import USAGE, UsageError

app = App(
    name="vgpu-emu",
    help="A virtio-gpu guest/host protocol emulator. Start with: vgpu-emu demo cache",
    version_flags=["--version"],
)
demo = App(name="demo", help="See what the emulator is about.")
demo.command("vgpu_emu.cli.demo:cache", name="cache")
app.command(demo)
app.command("vgpu_emu.cli.decode:decode", name="decode")
app.command("vgpu_emu.cli.explain:explain", name="explain")
app.command("vgpu_emu.cli.profiles:group", name="profiles")


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; the exit code. A user's mistake is one line on stderr, never a traceback."""
    try:
        code = app(
            arguments,
            exit_on_error=False,
            print_error=True,
            error_console=Console(stderr=True),
            result_action="return_value",
        )
    except UsageError as mistake:
        print(f"vgpu-emu: {mistake}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        # the reader of stdout has seen enough; the interpreter must not complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return code if isinstance(code, int) else 0
