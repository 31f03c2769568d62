"""The interrupt pin, for a guest without MSI-X: a level, of which the client hears by an eventfd.

As in Linux's vfio, an interrupt masks itself when it is told of. The client unmasks it when the guest has looked at the
device; if the level is still there, it is told of again.
"""

from errno import EINVAL

from vgpu_emu.peers.eventfd import EventFd
from vgpu_emu.peers.stream import Fds
from vgpu_wire.vfio_user import IrqSet, IrqSetFlag

_ASSIGN = int(IrqSetFlag.DATA_EVENTFD | IrqSetFlag.ACTION_TRIGGER)
_TRIGGER = int(IrqSetFlag.DATA_NONE | IrqSetFlag.ACTION_TRIGGER)
_MASK = int(IrqSetFlag.DATA_NONE | IrqSetFlag.ACTION_MASK)
_UNMASK = int(IrqSetFlag.DATA_NONE | IrqSetFlag.ACTION_UNMASK)


class Intx:
    """asserted: the level."""

    def __init__(self) -> None:
        self.asserted = False
        self._masked = False
        self._event: EventFd | None = None

    def close(self) -> None:
        self._assign(None)

    def raise_level(self) -> None:
        self.asserted = True
        self._tell()

    def lower_level(self) -> None:
        self.asserted = False

    def set(self, request: IrqSet, fds: Fds) -> None:
        """Raises OSError: EINVAL for what this interrupt does not have, or a descriptor too many."""
        match request.flags, request.count:
            case int(flags), 1 if flags == _ASSIGN and len(fds) <= 1:
                self._assign(EventFd.next_of(fds) if fds else None)
            case int(flags), 0 if flags == _TRIGGER:
                self._assign(None)
            case int(flags), 1 if flags == _TRIGGER:
                self._signal()
            case int(flags), 1 if flags in {_MASK, _UNMASK}:
                self._masked = flags == _MASK
                self._tell()
            case _:
                raise OSError(EINVAL, f"flags {request.flags:#x}, {request.count} interrupts, {len(fds)} descriptors")

    def _assign(self, event: EventFd | None) -> None:
        if self._event is not None:
            self._event.close()
        self._event, self._masked = event, False
        self._tell()

    def _tell(self) -> None:
        if self.asserted and not self._masked and self._event is not None:
            self._masked = True
            self._signal()

    def _signal(self) -> None:
        if self._event is not None:
            self._event.signal()
