"""A driver by hand, on a vfio-user client: what Linux's virtio-pci does."""

import trio
import trio.testing
from backend_kit import FEATURES, RAM, RING_FEATURES
from vfio_user_kit import (
    Client,
    drained,
)

from vgpu_emu.link.dma_arena import DmaArena
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.vring import Vring
from vgpu_emu.peers.guest_maps import GuestMaps
from vgpu_wire.control import CtrlHdr
from vgpu_wire.messages import parse_message

#: regions
SHM, MSIX, REGS, SPACE = 0, 2, 4, 7
#: offsets in the registers' BAR
COMMON, ISR, DEVICE, NOTIFY = 0, 0x1000, 0x2000, 0x3000


class Driver:
    """What Linux's virtio-pci does, by hand."""

    def __init__(self, client: Client, ram: int) -> None:
        self.client, self.ram = client, ram
        self.memory = GuestMemory()
        self.maps = GuestMaps(self.memory)
        self.maps.add(0, RAM, ram, 0)
        self.arena = DmaArena(RAM // 2, RAM // 2)
        self.queues: dict[int, DriverQueue] = {}

    async def common(self, offset: int, count: int) -> int:
        return await self.client.load(REGS, COMMON + offset, count)

    async def set_common(self, offset: int, count: int, value: int) -> None:
        await self.client.store(REGS, COMMON + offset, count, value)

    async def offered(self) -> int:
        features = 0
        for half in (0, 1):
            await self.set_common(0, 4, half)
            features |= await self.common(4, 4) << 32 * half
        return features

    async def accept(self, features: int) -> bool:
        await self.set_common(20, 1, 0)
        await self.set_common(20, 1, 1)
        await self.set_common(20, 1, 3)
        for half in (0, 1):
            await self.set_common(8, 4, half)
            await self.set_common(12, 4, features >> 32 * half & 0xFFFFFFFF)
        await self.set_common(20, 1, 11)
        return bool(await self.common(20, 1) & 8)

    async def set_queue(self, number: int, vring: Vring, vector: int) -> None:
        await self.set_common(22, 2, number)
        await self.set_common(24, 2, vring.size)
        await self.set_common(26, 2, vector)
        for offset, address in ((32, vring.desc), (40, vring.avail), (48, vring.used)):
            await self.set_common(offset, 4, address & 0xFFFFFFFF)
            await self.set_common(offset + 4, 4, address >> 32)
        await self.set_common(28, 2, 1)

    async def start(self, features: int = FEATURES | RING_FEATURES, vectors: tuple[int, int] = (1, 2)) -> None:
        assert await self.accept(features)
        await self.set_common(16, 2, 0)
        for number, size in ((0, 64), (1, 16)):
            vring = Vring.at(0x8000 * number, size)
            self.queues[number] = DriverQueue(
                self.memory, vring, self.arena, queue=number, indirect_desc=True, event_idx=True
            )
            await self.set_queue(number, vring, vectors[number])
        await self.set_common(20, 1, 15)

    async def kick(self, number: int = 0) -> None:
        await self.client.store(REGS, NOTIFY + 4 * number, 2, number)

    async def say(self, event: int, *requests: CtrlHdr) -> list[CtrlHdr]:
        """All answers, after the interrupt."""
        for request in requests:
            self.queues[0].add([request.build()], [4096])
        if self.queues[0].kick():
            await self.kick()
        await trio.lowlevel.wait_readable(event)
        drained(event)
        return [parse_message(used.written) for used in self.queues[0].get_used()]
