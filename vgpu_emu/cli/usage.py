"""How a command says that it was called wrongly."""

#: exit codes
FOUND, USAGE, SKIPPED = 1, 2, 77


class UsageError(Exception):
    """What is wrong with the command line or a file that it names, and what to do about it; one line."""
