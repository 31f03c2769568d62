"""What a virtio transport gives a driver beside the queues: the configuration space, and a reset."""

from typing import Protocol

from vgpu_wire.device import Config


class ConfigSpace(Protocol):
    """The device's configuration space (virtio 1.4, 5.7.4)."""

    def read(self) -> Config:
        """All of it, as it is now."""
        ...

    def clear_events(self, events: int) -> None:
        """Write events_clear."""
        ...


class _NoConfig:
    """A device that has one scanout, no capsets and no news."""

    def read(self) -> Config:
        return Config(num_scanouts=1, blob_alignment=1)

    def clear_events(self, events: int) -> None:
        """Nothing is pending."""


NO_CONFIG: ConfigSpace = _NoConfig()
