"""What every target has in common: the reference, the guest program, and what was done so far."""

from collections.abc import Sequence
from typing import Any, Protocol

from vgpu_emu.assembly import Parts
from vgpu_emu.fuzz.actions import Program, Step
from vgpu_emu.fuzz.belongings import Belongings
from vgpu_emu.fuzz.census import Census
from vgpu_emu.fuzz.defect import Wrapper, made
from vgpu_emu.fuzz.ending import Endings
from vgpu_emu.fuzz.guest import Guest
from vgpu_emu.fuzz.hosting import Host
from vgpu_emu.fuzz.model.judge import Judge
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.model.world import World
from vgpu_emu.fuzz.ram import take_memory
from vgpu_emu.fuzz.signalling import Signalling
from vgpu_emu.guest.driver import Driver
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_wire.device import ConfigEvent


class Bench:
    """One machine, and the reference beside it. index: the step that is carried out. defects: see defect.py."""

    #: the three parties, and the driver that the guest program uses
    parts: Parts
    driver: Driver
    host: Host
    #: the device can be looked into
    inside = True
    #: a call of the guest program did not come back, or waits for what is late, and keeps what it has
    hangs = False

    def __init__(self, setup: Setup, defects: Sequence[Any] = ()) -> None:
        self.world = World(setup)
        self.judge = Judge(self.world)
        self.defects = made(defects)
        self.index = 0
        #: chains that the device was given
        self.commands = 0
        #: there were requests that no driver sent, so that the driver cannot know what the device has
        self.meddled = False
        self.steps: list[Step] = []
        #: what the driver has sent since the guest program's last call began
        self.sent: list[bytes] = []
        self.guest = Guest(self)
        self.belongings = Belongings()
        self.census = Census()
        self.signalling = Signalling()
        self.endings = Endings()
        #: resource -> what its host buffer holds, of a setup with real memory
        self._contents: dict[int, bytearray] = {}

    @property
    def program(self) -> Program:
        """What was carried out so far."""
        return Program(self.world.setup, tuple(self.steps))

    def note_step(self) -> None:
        """In the log: which step begins."""
        self.parts.log.note("scenario", "step", step=self.index)

    def contents(self, resource_id: int) -> bytearray | None:
        """What a blob on the host must hold; None: it has no bytes, or is none."""
        blob = self.world.resources.get(resource_id)
        if blob is None or not blob.on_host or not self.world.setup.real:
            return None
        return self._contents.setdefault(resource_id, bytearray(blob.buffer))

    @property
    def memory(self) -> GuestMemory:
        """The guest's."""
        return self.parts.memory

    def fill_memory(self, driver: Driver) -> None:
        """Guest memory that tells its place."""
        self.world.memory = take_memory(self.world.setup.memory)
        self.memory.write(0, self.world.memory)
        self.follow_memory(driver)

    def follow_memory(self, driver: Driver) -> None:
        """The reference hears of what the driver and its programs write."""
        self.guest.free_bytes = driver.pages.free_bytes
        driver.pages.memory = _GuestMemory(self.memory, self.world.memory)  # type: ignore[assignment]

    def poke(self, address: int, data: bytes) -> None:
        """The guest writes to its own memory, as far as there is some."""
        data = data[: max(self.world.setup.memory - address, 0)]
        if data:
            self.memory.write(address, data)
            self.world.memory[address : address + len(data)] = data

    def plug(self, scanout_id: int, width: int, height: int) -> None:
        """The user resizes a display or, with a size of 0, unplugs it."""
        index = scanout_id % len(self.world.scanouts)
        display, displays = self.world.scanouts[index], self.parts.device.displays
        display.enabled = bool(width and height)
        self.world.events |= ConfigEvent.DISPLAY.value
        if display.enabled:
            display.width, display.height = width, height
            displays.plug(index, width, height)
        else:
            displays.unplug(index)

    def forget(self, known: int | None = None) -> None:
        """The device was reset. known: bits of the features that the next driver knows; None: all."""
        self._contents.clear()
        self.belongings.clear()
        self.signalling.clear()
        self.endings.clear()
        self.world.forget_all()
        self.world.features = self.world.setup.accepted(known)
        self.judge.forget()


class _GuestMemory(Wrapper):
    """Guest memory, as the driver and its programs write to it: the reference hears of it."""

    def __init__(self, inner: GuestMemory, known: bytearray) -> None:
        super().__init__(inner)
        object.__setattr__(self, "known", known)

    def write(self, address: int, data: bytes) -> None:
        self.inner.write(address, data)
        self.known[address : address + len(data)] = data

    def views(self, address: int, length: int, *, writable: bool = False) -> list[memoryview]:
        """Who asks for writable ones is the page allocator, and makes them zero."""
        found: list[memoryview] = self.inner.views(address, length, writable=writable)
        if writable:
            self.known[address : address + length] = bytes(length)
        return found


class Chooser(Protocol):
    """Who makes a program up, step by step, knowing what became of the ones before."""

    def step(self, bench: Bench) -> Step: ...

    def weather(self) -> list[Step]:
        """The first steps on a target that has links and tasks: how these are."""
        ...
