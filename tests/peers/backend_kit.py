"""A back-end with a driver's end of its queues beside it, in a memfd, as a VMM would pass."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vgpu_emu.assembly import Config
from vgpu_emu.guest.probe import VERSION_1
from vgpu_emu.link.dma_arena import DmaArena
from vgpu_emu.link.driver_queue import DriverQueue
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.link.vring import Vring
from vgpu_emu.peers.backend import Backend
from vgpu_emu.peers.guest_maps import GuestMaps
from vgpu_emu.peers.outlets import Outlets, open_backend
from vgpu_wire.control import CtrlHdr
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature
from vgpu_wire.layout import Record
from vgpu_wire.messages import parse_message
from vgpu_wire.vring import RingFeature

RAM = 1 << 20
CONFIG = Config(guest_memory=0, opaque_renderer=True, tagged_blobs=True, host_visible=1 << 24)
FEATURES = sum(1 << feature for feature in Feature) | 1 << VERSION_1
RING_FEATURES = 1 << RingFeature.INDIRECT_DESC | 1 << RingFeature.EVENT_IDX


class Ears:
    """A transport that counts."""

    def __init__(self) -> None:
        self.interrupts: list[int] = []
        self.changes = 0

    def interrupt(self, queue: int) -> None:
        self.interrupts.append(queue)

    def config_changed(self) -> None:
        self.changes += 1


class Guest:
    """A driver by hand: its memory is the memfd, mapped a second time."""

    def __init__(self, backend: Backend, ears: Ears, said: list[str]) -> None:
        self.backend, self.ears = backend, ears
        #: what the user was told; a test takes out what it expects
        self.said = said
        self.memfd = os.memfd_create("ram", os.MFD_CLOEXEC)
        os.truncate(self.memfd, RAM)
        backend.maps.add(0, RAM, self.memfd, 0)
        self.memory = GuestMemory()
        self.maps = GuestMaps(self.memory)
        self.maps.add(0, RAM, self.memfd, 0)
        self.arena = DmaArena(RAM // 2, RAM // 2)
        self.queues: dict[int, DriverQueue] = {}
        self.places = {CONTROLQ: Vring.at(0, 64), CURSORQ: Vring.at(0x8000, 16)}

    def start(self, features: int = FEATURES | RING_FEATURES) -> None:
        assert self.backend.negotiate(features)
        for number, vring in self.places.items():
            self.queues[number] = DriverQueue(
                self.memory,
                vring,
                self.arena,
                queue=number,
                indirect_desc=bool(features >> RingFeature.INDIRECT_DESC & 1),
                event_idx=bool(features >> RingFeature.EVENT_IDX & 1),
            )
            self.backend.start_queue(number, vring)

    def add(self, request: Record | bytes, capacity: int = 4096, queue: int = CONTROLQ) -> bool:
        """Make a request available; whether the device wants a kick."""
        data = request if isinstance(request, bytes) else request.build()
        self.queues[queue].add([data], [capacity] if capacity else [])
        return self.queues[queue].kick()

    async def say(self, *requests: Record | bytes, queue: int = CONTROLQ) -> list[CtrlHdr]:
        """Requests in one kick: all answers that there are then."""
        for request in requests:
            self.add(request, queue=queue)
        await self.backend.service(queue)
        return self.heard(queue)

    def heard(self, queue: int = CONTROLQ) -> list[CtrlHdr]:
        return [parse_message(used.written) for used in self.queues[queue].get_used()]

    def close(self) -> None:
        self.maps.close()
        os.close(self.memfd)


@asynccontextmanager
async def backend_with_guest(
    config: Config = CONFIG,
    *,
    region: HostVisibleRegion | None = None,
    capture: Path | None = None,
    screenshots: Path | None = None,
) -> AsyncIterator[tuple[Backend, Guest]]:
    said: list[str] = []
    ears = Ears()
    with Outlets(said.append, capture=capture, screenshots=screenshots) as outlets:
        async with open_backend(config, outlets, ears, region) as backend:
            guest = Guest(backend, ears, said)
            try:
                yield backend, guest
            finally:
                guest.close()
    assert said == []
