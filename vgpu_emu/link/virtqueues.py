"""The device's two virtqueues in guest memory, both ends: what carries chains in a real machine.

Above it nothing changes: the driver adds chains and gets used ones, the device pops and pushes them, under the heads
that the driver gave them. Only who writes what into the rings is the other end's to believe.
"""

import mmap
from collections.abc import Iterable

from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.link.channel import Port
from vgpu_emu.link.device_queue import DeviceQueue
from vgpu_emu.link.dma_arena import DmaArena
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.driver_queues import DriverQueues
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import Vring
from vgpu_wire.device import CONTROLQ, CURSORQ

#: queue -> its size, as QEMU has it for a device with 3D
QUEUE_SIZES = {CONTROLQ: 256, CURSORQ: 16}
#: guest physical address of the driver's rings and buffers, above all other memory
BASE = 1 << 40
_RINGS = 1 << 16
_ARENA = 1 << 23


class Virtqueues:
    """Split virtqueues with indirect descriptors and EVENT_IDX, in memory of their own."""

    def __init__(self, memory: GuestMemory) -> None:
        memory.add(BASE, mmap.mmap(-1, len(QUEUE_SIZES) * _RINGS + _ARENA))
        self._memory = memory
        self.set_up()

    def set_up(self) -> None:
        """The driver gives the device empty rings, at the start and after a reset. What was in them is forgotten."""
        memory = self._memory
        memory.write(BASE, bytes(len(QUEUE_SIZES) * _RINGS))
        arena = DmaArena(BASE + len(QUEUE_SIZES) * _RINGS, _ARENA)
        queues: dict[int, DriverQueue] = {}
        self.device: dict[int, DeviceQueue] = {}
        for queue, size in QUEUE_SIZES.items():
            vring = Vring.at(BASE + queue * _RINGS, size)
            queues[queue] = DriverQueue(memory, vring, arena, queue=queue, indirect_desc=True, event_idx=True)
            self.device[queue] = DeviceQueue(memory, vring, queue=queue, indirect_desc=True, event_idx=True)
        self.driver = DriverQueues(queues)

    def add(self, chains: Iterable[Chain]) -> bool:
        """The driver makes chains available. True: the device wants a kick."""
        return bool(self.driver.add(chains))

    def pop(self) -> list[Chain]:
        """The device takes what is available. Raises VringError: the rings are broken, the device needs a reset."""
        return [
            Chain(self.driver.name_of(number, chain.head), number, chain.readable, chain.capacity)
            for number, queue in self.device.items()
            for chain in queue.pop_all()
        ]

    def push(self, completed: Iterable[Used]) -> bool:
        """The device gives chains back. True: the driver wants an interrupt. Raises VringError."""
        wanted = False
        for used in completed:
            head = self.driver.in_ring(used.queue, used.head)
            wanted = self.device[used.queue].push(Used(head, used.queue, used.written)) or wanted
        return wanted

    def used(self) -> list[Used]:
        """The driver takes what is used; what waited for descriptors is added. Raises VringError."""
        return self.driver.used()


class DriverEnd:
    """The guest's port: a kick and an interrupt carry nothing, the rings carry all."""

    def __init__(self, queues: Virtqueues, port: Port[None, None]) -> None:
        self._queues = queues
        self._port = port
        self.close = port.close

    def send(self, chains: list[Chain]) -> None:
        if self._queues.add(chains):
            self._port.send(None)

    async def receive(self) -> list[Used]:
        """What is used; if nothing is, after the next interrupt, which may come for nothing. Raises VringError."""
        used = self._queues.used()
        if not used:
            await self._port.receive()
            used = self._queues.used()
        # descriptors are free again
        self.send([])
        return used


class DeviceEnd:
    """The VMM's port."""

    def __init__(self, queues: Virtqueues, port: Port[None, None]) -> None:
        self._queues = queues
        self._port = port
        self.close = port.close

    async def receive(self) -> list[Chain]:
        """Raises VringError."""
        while not (chains := self._queues.pop()):
            await self._port.receive()
        return chains

    def send(self, completed: list[Used]) -> None:
        if self._queues.push(completed):
            self._port.send(None)
