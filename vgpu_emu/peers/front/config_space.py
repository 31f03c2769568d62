"""The configuration space of a device in another process: a copy, read again when the device says that it changed."""

from collections.abc import Callable

from msgspec.structs import replace

from vgpu_wire.device import Config


class RemoteConfig:
    """A ConfigSpace. current: the copy. clear: tells the device which events are cleared."""

    def __init__(self, current: Config, clear: Callable[[int], None]) -> None:
        self.current = current
        self._clear = clear

    def read(self) -> Config:
        return self.current

    def clear_events(self, events: int) -> None:
        self.current = replace(self.current, events_read=self.current.events_read & ~events)
        if events:
            self._clear(events)
