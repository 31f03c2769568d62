"""The host visible region of a guest whose VMM makes the mappings: SHMEM_MAP and SHMEM_UNMAP of real dma-buf memory.

What the device maps is the memfd behind the simulated dma-buf itself, so the guest's page, the exporter's and our own
are the same page.
"""

from collections import deque
from errno import ECONNRESET, EIO
from typing import NamedTuple

from vgpu_emu.link.region import Slot
from vgpu_emu.peers.backend import SlowRegion
from vgpu_emu.peers.serving import ProtocolError
from vgpu_emu.peers.stream import StreamError
from vgpu_emu.peers.vhost_user.channel import BackendChannel
from vgpu_wire.device import ShmId
from vgpu_wire.vhost_user import BackendRequest, MapFlag, Mmap


class _Change(NamedTuple):
    """The front-end has yet to map, or unmap, this."""

    request: BackendRequest
    slot: Slot


class SharedRegion(SlowRegion):
    """channel: to the front-end; without one, nothing can be mapped. Changes take effect with `settle`."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.channel: BackendChannel | None = None
        self._changes: deque[_Change] = deque()

    @property
    def unsettled(self) -> bool:
        return bool(self._changes)

    def forget(self) -> None:
        """The front-end has dropped every mapping itself, as it does when the device is reset."""
        while self._changes:
            self._changes.popleft().slot.memory.release()

    async def settle(self) -> None:
        """Have the front-end do it, in order. Raises OSError: EIO if it refuses, ECONNRESET if it is gone."""
        refused = 0
        while self._changes:
            change = self._changes.popleft()
            try:
                refused = await self._tell(change) or refused
            except (StreamError, ProtocolError) as gone:
                raise OSError(ECONNRESET, str(gone)) from None
            finally:
                change.slot.memory.release()
        if refused:
            raise OSError(EIO, f"the front-end answers {refused}")

    async def _tell(self, change: _Change) -> int:
        """What the front-end answers; 0: done, as far as anybody waits for it."""
        slot, channel = change.slot, self.channel
        if channel is None:
            raise OSError(EIO, "there is no channel to the front-end")
        mapping = Mmap(
            shmid=ShmId.HOST_VISIBLE, fd_offset=slot.start, shm_offset=slot.offset, len=slot.length, flags=MapFlag.RW
        )
        is_map = change.request is BackendRequest.SHMEM_MAP
        fds = [slot.memory.fileno] if is_map and slot.memory.fileno is not None else []
        return await channel.call(change.request, mapping, fds)

    def _add(self, slot: Slot) -> None:
        super()._add(slot)
        self._change(BackendRequest.SHMEM_MAP, slot)

    def _drop(self, slot: Slot) -> None:
        super()._drop(slot)
        self._change(BackendRequest.SHMEM_UNMAP, slot)

    def _change(self, request: BackendRequest, slot: Slot) -> None:
        slot.memory.hold()
        self._changes.append(_Change(request, slot))
