"""Why the real parts cannot be had."""


class PartsError(Exception):
    """What is missing or wrong, and what to do about it; one line."""
