"""Options: which go together, what numbers they take. What would be ignored is refused."""

from collections.abc import Mapping

from vgpu_emu.cli.usage import UsageError


def at_least(least: int, given: Mapping[str, int | None]) -> None:
    """given: option -> its number, or None. Raises UsageError for one that is below."""
    for option, number in given.items():
        if number is not None and number < least:
            raise UsageError(f"{option} {number}: a number from {least} on")


def refuse(given: Mapping[str, object], where: str) -> None:
    """given: option -> what was given, None or empty if nothing was. Raises UsageError if anything was."""
    if names := [option for option, value in given.items() if value is not None and value != []]:
        raise UsageError(f"{' and '.join(names)}: of no effect {where}")
