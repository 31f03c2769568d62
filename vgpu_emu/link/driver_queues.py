"""The driver's side of all queues of a device: chains under the names that the driver gave them, and a backlog."""

from collections import deque
from collections.abc import Iterable, Mapping
from errno import ENOMEM, ENOSPC

from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.driver_queue import DriverQueue

_FULL = {ENOSPC, ENOMEM}


class DriverQueues:
    """queues: by number. A chain's `head` is its sender's name for it; in the ring it has another."""

    def __init__(self, queues: Mapping[int, DriverQueue]) -> None:
        self.queues = queues
        #: chains that found no free descriptor, or no memory
        self._backlog: deque[Chain] = deque()
        #: (queue, head in the ring) <-> (queue, the sender's head)
        self._names: dict[tuple[int, int], int] = {}
        self._in_ring: dict[tuple[int, int], int] = {}

    @property
    def in_flight(self) -> list[tuple[int, int]]:
        """(queue, the sender's head) of what the device has, in the order in which it was made available."""
        return list(self._in_ring)

    @property
    def is_used(self) -> bool:
        """Whether the device has given something back that `used` has not returned yet."""
        return any(queue.is_used for queue in self.queues.values())

    def name_of(self, queue: int, in_ring: int) -> int:
        """The sender's head of a chain in the ring; of one that is not there, the same."""
        return self._names.get((queue, in_ring), in_ring)

    def in_ring(self, queue: int, head: int) -> int:
        return self._in_ring.get((queue, head), head)

    def add(self, chains: Iterable[Chain]) -> list[int]:
        """Make chains available: the queues whose device wants a kick. What does not fit waits until something is used.

        Raises OSError like `DriverQueue.add`: EINVAL for a chain without bytes, EIO on a broken queue.
        """
        self._backlog.extend(chains)
        while self._backlog and self._sent(self._backlog[0]):
            self._backlog.popleft()
        return [number for number, queue in self.queues.items() if queue.kick()]

    def _sent(self, chain: Chain) -> bool:
        """Put it into its ring. False: it has to wait."""
        queue = self.queues[chain.queue]
        try:
            head = queue.add([chain.readable] if chain.readable else [], [chain.capacity] if chain.capacity else [])
        except OSError as error:
            # what is in flight makes room when it comes back
            if error.errno in _FULL and queue.in_flight:
                return False
            self._backlog.popleft()
            raise
        self._names[chain.queue, head], self._in_ring[chain.queue, chain.head] = chain.head, head
        return True

    def used(self) -> list[Used]:
        """What the device is done with. Raises VringError."""
        found = []
        for number, queue in self.queues.items():
            for used in queue.get_used():
                head = self._names.pop((number, used.head))
                del self._in_ring[number, head]
                found.append(Used(head, number, used.written))
        return found
