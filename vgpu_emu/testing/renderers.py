"""Checks of a host: somebody's renderer that answers the VMM's questions (vgpu_wire.renderer_link)."""

from collections.abc import Callable

from vgpu_emu.host.interface import Host
from vgpu_emu.testing.renderer_rules import PENDING, RULES
from vgpu_emu.testing.rules import Trial
from vgpu_emu.testing.talking import Streams, Talk
from vgpu_wire.context_stream import ExporterKind, StreamAlloc, StreamWork


def our_object(blob_id: int, size: int) -> bytes:
    """A command stream that allocates an object, in our own renderer's language."""
    return StreamAlloc(exporter=ExporterKind.CACHED.value, blob_id=blob_id, size=size).build()


def our_work(microseconds: int) -> bytes:
    """A command stream that keeps a ring busy."""
    return StreamWork(microseconds=microseconds).build()


def check_renderer(
    make: Callable[[], Host],
    *,
    allocates: Callable[[int, int], bytes] = our_object,
    works: Callable[[int], bytes] | None = our_work,
) -> None:
    """Check a host; `make` gives a new one each time it is called, and each is told to `die` when it is done with.

    allocates: (blob_id, bytes) -> a command stream that makes that object. works: microseconds -> a stream that keeps
    a ring busy for so long; None: there is none, and pending fences are not looked at.
    Raises AssertionError with a line for each rule that does not hold: its source, and what was seen.
    """
    trial = Trial("renderer")
    for rule in RULES if works is None else [*RULES, *PENDING]:
        talk = Talk(make(), Streams(allocates, works or our_work))
        try:
            with trial.of(rule):
                rule.holds(talk)
        finally:
            talk.close()
    trial.end()
