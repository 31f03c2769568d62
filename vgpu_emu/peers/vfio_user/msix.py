"""MSI-X vectors: each an eventfd of the client, or for the time being none."""

from collections.abc import Sequence
from errno import EINVAL

from vgpu_emu.peers.eventfd import EventFd
from vgpu_emu.peers.stream import Fds
from vgpu_wire.vfio_user import IrqSet, IrqSetFlag

#: one for the configuration, one for each queue
VECTORS = 3
_DATA = IrqSetFlag.DATA_NONE | IrqSetFlag.DATA_BOOL | IrqSetFlag.DATA_EVENTFD
_TRIGGER = IrqSetFlag.ACTION_TRIGGER


class Msix:
    """Linux takes eventfds away and gives them back while it sets up its vectors: an interrupt that comes meanwhile is
    kept for the next one."""

    def __init__(self) -> None:
        self._vectors: list[EventFd | None] = [None] * VECTORS
        self._pending = [False] * VECTORS

    def close(self) -> None:
        self._take_away(range(VECTORS))

    def forget(self) -> None:
        """A reset: no interrupt is due any more. The client's eventfds stay."""
        self._pending = [False] * VECTORS

    def trigger(self, vector: int) -> None:
        """Interrupt the guest, if there is such a vector."""
        if vector >= VECTORS:
            return
        event = self._vectors[vector]
        if event is None:
            self._pending[vector] = True
        else:
            event.signal()

    def set(self, request: IrqSet, fds: Fds) -> None:
        """Of vectors that there are. Raises OSError: EINVAL for what they do not have, or descriptors too many."""
        if request.flags & ~int(_DATA) != _TRIGGER:
            raise OSError(EINVAL, f"flags {request.flags:#x}: MSI-X vectors are not masked here")
        vectors = range(request.start, request.start + request.count)
        match request.flags & int(_DATA):
            case IrqSetFlag.DATA_EVENTFD:
                self._assign(vectors, fds)
            case IrqSetFlag.DATA_BOOL if len(request.data) == len(vectors):
                self._trigger_all([vector for vector, wanted in zip(vectors, request.data, strict=True) if wanted])
            case IrqSetFlag.DATA_NONE if vectors:
                self._trigger_all(vectors)
            case IrqSetFlag.DATA_NONE:
                self._take_away(range(VECTORS))
            case _:
                raise OSError(EINVAL, f"flags {request.flags:#x}, {len(request.data)} bytes")

    def _trigger_all(self, vectors: Sequence[int]) -> None:
        for vector in vectors:
            self.trigger(vector)

    def _take_away(self, vectors: Sequence[int]) -> None:
        for vector in vectors:
            event = self._vectors[vector]
            if event is not None:
                event.close()
            self._vectors[vector] = None

    def _assign(self, vectors: Sequence[int], fds: Fds) -> None:
        if fds and len(fds) != len(vectors):
            raise OSError(EINVAL, f"{len(fds)} descriptors for {len(vectors)} interrupts")
        self._take_away(vectors)
        for vector in vectors if fds else ():
            self._vectors[vector] = EventFd.next_of(fds)
            if self._pending[vector]:
                self._pending[vector] = False
                self.trigger(vector)
