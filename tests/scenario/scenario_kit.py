"""Scenarios of a few steps, for tests of what reads and runs them."""

from vgpu_emu.scenario.loading import loads
from vgpu_emu.scenario.outcome import Outcome
from vgpu_emu.scenario.session import run

HEAD = 'id = "test@one"\nwhy = "It is a test."\n'
BLOB = '[[step]]\ndo = "create-blob"\nexporter = "wc"\nas = "blob"\n'
MMAP = '[[step]]\ndo = "mmap"\nof = "blob"\nas = "view"\n'


def play(steps: str, head: str = "") -> Outcome:
    """How a scenario of these steps ends. head: what else the file says."""
    (scenario,) = loads(HEAD + head + steps)
    return run(scenario)


def differs(outcome: Outcome) -> list[tuple[str, str, str]]:
    """What went wrong: (what, expected, actual)."""
    assert not outcome.detail, outcome.detail
    return [(m.what, m.expected, m.actual) for m in outcome.failure.mismatches] if outcome.failure else []
