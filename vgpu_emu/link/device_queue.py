"""The device's side of a split virtqueue (virtio 1.4, 2.7): takes chains from guest memory, puts used ones back."""

from collections.abc import Sequence

from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.descriptors import Extent, VringLimits, Walker
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import (
    AVAIL_EVENT,
    AVAIL_FLAGS,
    AVAIL_IDX,
    USED_EVENT,
    USED_FLAGS,
    USED_IDX,
    WRAP,
    Fault,
    Rings,
    Vring,
    VringError,
    due,
)
from vgpu_wire.vring import AvailFlag, UsedFlag

_NO_INTERRUPT, _NO_NOTIFY = AvailFlag.NO_INTERRUPT.value, UsedFlag.NO_NOTIFY.value


class DeviceQueue:
    """A queue from its set-up to its reset. queue: its number. next_avail: where an earlier life of it stopped.

    At the start and after each kick, pop until nothing comes; before that the driver is asked not to kick again.
    Raises VringError at the set-up (see Rings) and from pop and push: the driver broke the queue, the device needs a
    reset. From then on the queue is dead: `error` says why, pop raises it again, push does nothing.
    """

    def __init__(
        self,
        memory: GuestMemory,
        vring: Vring,
        *,
        queue: int,
        indirect_desc: bool = False,
        event_idx: bool = False,
        limits: VringLimits | None = None,
        next_avail: int = 0,
    ) -> None:
        self.memory = memory
        self.rings = Rings(memory, vring)
        self.queue = queue
        self.event_idx = event_idx
        self.limits = limits or VringLimits()
        #: counts chains popped; what the available ring is read by
        self.next_avail = next_avail
        #: counts chains pushed; what the used ring is written by
        self.next_used = self.rings.load(USED_IDX)
        self.error: VringError | None = None
        self._size = vring.size
        self._walker = Walker(self.rings, self.limits, indirect_desc=indirect_desc)
        #: head -> writable buffers of a chain that was popped and not pushed
        self._in_flight: dict[int, list[Extent]] = {}
        self._wants_kick = not self.rings.load(USED_FLAGS) & _NO_NOTIFY

    def __repr__(self) -> str:
        state = f"dead: {self.error}" if self.error else f"{len(self._in_flight)} in flight"
        return f"<DeviceQueue {self.queue} {self.rings.vring} avail {self.next_avail} used {self.next_used}, {state}>"

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    # -- available chains

    def pop(self) -> Chain | None:
        """The next chain, if there is one."""
        chains = self._take(1)
        return chains[0] if chains else None

    def pop_all(self) -> list[Chain]:
        """Every chain that is available, in order; no more after `limits.bytes` have been copied."""
        return self._take(self.rings.vring.size)

    def rest(self) -> bool:
        """Ask for a kick, as `pop_all` does where it finds nothing. True: no kick comes for what is there by now, so
        pop again. Raises VringError like pop."""
        if self.error is not None:
            raise VringError(self.error.fault, self.error.detail)
        try:
            self.rings.refresh()
            return self._rest() > 0
        except VringError as error:
            self.error = error
            raise

    def _take(self, most: int) -> list[Chain]:
        if self.error is not None:
            raise VringError(self.error.fault, self.error.detail)
        try:
            self.rings.refresh()
            count = self._available() or self._rest()
            return self._chains(self.rings.load_heads(self.next_avail, min(count, most))) if count else []
        except VringError as error:
            self.error = error
            raise

    def _available(self) -> int:
        count = (self.rings.load(AVAIL_IDX) - self.next_avail) % WRAP
        if count > self.rings.vring.size:
            raise VringError(Fault.AVAIL_IDX, f"{count} in a queue of {self.rings.vring.size}")
        if count and self._wants_kick and not self.event_idx:
            self.rings.store(USED_FLAGS, _NO_NOTIFY)
            self._wants_kick = False
        return count

    def _rest(self) -> int:
        """Ask for a kick, then look again: for a chain made available before the driver saw that, no kick comes."""
        if self.event_idx:
            self.rings.store(AVAIL_EVENT, self.next_avail)
        elif not self._wants_kick:
            self.rings.store(USED_FLAGS, 0)
            self._wants_kick = True
        self.rings.fence()
        return self._available()

    def _chains(self, heads: Sequence[int]) -> list[Chain]:
        chains: list[Chain] = []
        left = self.limits.bytes
        try:
            for head in heads:
                chain = self._chain(head)
                chains.append(chain)
                left -= len(chain.readable)
                if left <= 0:
                    break
        except VringError:
            # those before it are good; the next call finds it first and raises
            if not chains:
                raise
        self.next_avail = (self.next_avail + len(chains)) % WRAP
        return chains

    def _chain(self, head: int) -> Chain:
        if head >= self._size:
            raise VringError(Fault.HEAD, f"{head} of {self._size}")
        if head in self._in_flight:
            raise VringError(Fault.IN_FLIGHT, f"head {head}")
        readable, writable = self._walker.walk(head)
        memory, capacity = self.memory, 0
        try:
            for address, length in writable:
                memory.require(address, length, writable=True)
                capacity += length
            data = memory.read(*readable[0]) if len(readable) == 1 else b"".join([memory.read(*r) for r in readable])
        except OSError as error:
            raise VringError(Fault.ADDRESS, str(error.strerror)) from None
        self._in_flight[head] = writable
        return Chain(head, self.queue, data, capacity)

    # -- used chains

    def push(self, used: Used) -> bool:
        return self.push_all([used])

    def push_all(self, completed: Sequence[Used]) -> bool:
        """Write the answers and give the chains back. True: the driver wants an interrupt.

        Raises ValueError for a chain that is not in flight and for more bytes than it takes; VringError: ADDRESS if
        its memory has gone away since.
        """
        if self.error is not None or not completed:
            return False
        elements: list[int] = []
        try:
            self.rings.refresh()
            for used in completed:
                self._write(used)
                elements += (used.head, len(used.written))
        except VringError as error:
            self.error = error
            raise
        self.rings.store_elements(self.next_used, elements)
        self.next_used = (self.next_used + len(completed)) % WRAP
        self.rings.store(USED_IDX, self.next_used)
        self.rings.fence()
        if self.event_idx:
            return due(self.rings.load(USED_EVENT), self.next_used, len(completed))
        return not self.rings.load(AVAIL_FLAGS) & _NO_INTERRUPT

    def _write(self, used: Used) -> None:
        """Fill the chain's writable buffers in order; it is in flight no more."""
        writable = self._in_flight.pop(used.head, None)
        if writable is None:
            raise ValueError(f"head {used.head} is not in flight")
        left: bytes | memoryview = used.written
        try:
            for address, length in writable:
                if len(left) <= length:
                    self.memory.write(address, left)
                    return
                self.memory.write(address, left[:length])
                left = memoryview(left)[length:]
        except OSError as error:
            raise VringError(Fault.ADDRESS, str(error.strerror)) from None
        if left:
            raise ValueError(f"head {used.head}: {len(left)} bytes too many")
