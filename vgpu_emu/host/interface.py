"""What a host is to the VMM: whoever has these methods can stand in the place of `Renderer`."""

from collections.abc import Sequence
from typing import Protocol

from vgpu_emu.memory import PassedFd
from vgpu_wire.renderer_link import Signal


class Timelines(Protocol):
    """The fences that are pending."""

    @property
    def next_due(self) -> float | None:
        """When the next one is to be signalled, in seconds, if one is pending."""
        ...

    def due(self, now: float) -> Sequence[Signal]:
        """Those that are complete by now, each once, in their order."""
        ...


class Host(Protocol):
    """Renderer and kernel: it answers questions (vgpu_wire.renderer_link) and signals fences."""

    @property
    def rings(self) -> Timelines: ...

    def handle(self, data: bytes, now: float = 0.0) -> tuple[bytes, tuple[PassedFd, ...]]:
        """The answer to one question, at `now` seconds, and the descriptors that go with it. Never raises."""
        ...

    def die(self) -> None:
        """The end of its process."""
