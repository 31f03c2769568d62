"""How a command says that it was called wrongly, and what else is not data."""

import sys
from contextlib import suppress

#: exit codes
FOUND, USAGE, SKIPPED = 1, 2, 77
#: as a shell has it for a process that SIGINT or SIGKILL ended
INTERRUPTED, KILLED = 130, 137


class UsageError(Exception):
    """What is wrong with the command line or a file that it names, and what to do about it; one line."""


def complain(text: str) -> None:
    """A line for the user on stderr; nothing if that is closed: print() would then write it among the data.

    If nobody can read it the command goes on: what it found, and its exit code, do not depend on that.
    """
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"vgpu-emu: {text}", file=sys.stderr, flush=True)
