"""How a command says that it was called wrongly, and what else is not data."""

import sys

#: exit codes
FOUND, USAGE, SKIPPED = 1, 2, 77


class UsageError(Exception):
    """What is wrong with the command line or a file that it names, and what to do about it; one line."""


def complain(text: str) -> None:
    """A line for the user on stderr; nothing if that is closed: print() would then write it among the data."""
    if sys.stderr is not None:
        print(f"vgpu-emu: {text}", file=sys.stderr)
