"""The registers of a virtio device on PCI (virtio 1.4, 4.1.4): common configuration, ISR, device configuration, notify.

A driver accesses each register with its own width; anything else reads zeros, and is not written.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from vgpu_emu.link.virtqueues import QUEUE_SIZES
from vgpu_emu.link.vring import Vring
from vgpu_emu.peers.backend import QUEUES, Backend
from vgpu_emu.peers.vfio_user.config_space import COMMON, DEVICE, ISR, NOTIFY, NOTIFY_MULTIPLIER
from vgpu_emu.peers.vfio_user.interrupts import Interrupts
from vgpu_emu.peers.vfio_user.msix import VECTORS
from vgpu_wire.layout import leaves
from vgpu_wire.virtio_pci import NO_VECTOR, DeviceStatus, Isr, VirtioPciCommonCfg

#: where the driver writes the event bits that it has seen, in the device's configuration
_EVENTS_CLEAR = 4
_PART = 0x1000
_DRIVER_OK, _FEATURES_OK = DeviceStatus.DRIVER_OK.value, DeviceStatus.FEATURES_OK.value


class _Queue(msgspec.Struct):
    """A queue as the driver sets it up: the members of VirtioPciCommonCfg behind queue_select."""

    size: int
    vector: int = NO_VECTOR
    enable: int = 0
    desc: int = 0
    avail: int = 0
    used: int = 0


def _half(name: str, shift: int) -> "Callable[[Registers, int], None]":
    """Sets the lower or the upper half of a ring's address, while the queue is not enabled."""

    def write(registers: "Registers", value: int) -> None:
        queue = registers.queue
        if queue is not None and not queue.enable:
            kept = getattr(queue, name) & ~(0xFFFFFFFF << shift)
            setattr(queue, name, kept | value << shift)

    return write


class _State(msgspec.Struct):
    """What a driver has written, and a reset forgets."""

    status: int = 0
    feature_select: int = 0
    guest_feature_select: int = 0
    guest_features: int = 0
    msix_config: int = NO_VECTOR
    queue_select: int = 0
    isr: int = 0
    queues: dict[int, _Queue] = msgspec.field(default_factory=lambda: {n: _Queue(QUEUE_SIZES[n]) for n in QUEUES})


class Registers:
    """kick: told the number of a queue that has something for the device. It is the back-end's transport."""

    def __init__(self, interrupts: Interrupts, kick: Callable[[int], None]) -> None:
        self.interrupts = interrupts
        self.kick = kick
        self.backend: Backend
        self.state = _State()
        #: counts changes of the configuration, so that a driver notices one while it reads
        self.generation = 0

    def reset(self) -> None:
        """The driver has written 0 to the status, or the VMM has reset the machine."""
        self.backend.reset()
        self.interrupts.forget()
        self.state = _State()

    @property
    def queue(self) -> _Queue | None:
        """The queue that is selected."""
        return self.state.queues.get(self.state.queue_select)

    # -- the back-end's transport

    def interrupt(self, queue: int) -> None:
        self._interrupt(self.state.queues[queue].vector, Isr.QUEUE)

    def config_changed(self) -> None:
        self.generation = (self.generation + 1) & 0xFF
        self._interrupt(self.state.msix_config, Isr.CONFIG)

    def _interrupt(self, vector: int, why: Isr) -> None:
        self.state.isr |= why
        self.interrupts.trigger(vector)

    # -- accesses

    def read(self, offset: int, count: int) -> bytes:
        part, place = offset & -_PART, offset % _PART
        data = b""
        if part == COMMON:
            data = self._common().build()[place : place + count] if _REGISTERS.get(place) == count else b""
        elif part == ISR and not place:
            data, self.state.isr = bytes([self.state.isr]), 0
            self.interrupts.seen()
        elif part == DEVICE:
            data = self.backend.config[place : place + count]
        return data.ljust(count, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        part, place = offset & -_PART, offset % _PART
        value = int.from_bytes(data, "little")
        if part == COMMON and _REGISTERS.get(place) == len(data) and place in _WRITES:
            _WRITES[place](self, value)
        elif part == DEVICE and (place, len(data)) == (_EVENTS_CLEAR, 4):
            self.backend.clear_events(value)
        elif part == NOTIFY:
            self._notify(place // NOTIFY_MULTIPLIER)

    def _notify(self, number: int) -> None:
        if self.state.status & _DRIVER_OK and number in self.state.queues:
            self.kick(number)

    def _common(self) -> VirtioPciCommonCfg:
        queue = self.queue or _Queue(0)
        needs_reset = DeviceStatus.NEEDS_RESET.value if self.backend.needs_reset else 0
        return VirtioPciCommonCfg(
            device_feature_select=self.state.feature_select,
            device_feature=_word(self.backend.offers, self.state.feature_select),
            guest_feature_select=self.state.guest_feature_select,
            guest_feature=_word(self.state.guest_features, self.state.guest_feature_select),
            msix_config=self.state.msix_config,
            num_queues=len(self.state.queues),
            device_status=self.state.status | needs_reset,
            config_generation=self.generation,
            queue_select=self.state.queue_select,
            queue_size=queue.size,
            queue_msix_vector=queue.vector,
            queue_enable=queue.enable,
            queue_notify_off=self.state.queue_select if self.queue else 0,
            queue_desc_lo=_word(queue.desc, 0),
            queue_desc_hi=_word(queue.desc, 1),
            queue_avail_lo=_word(queue.avail, 0),
            queue_avail_hi=_word(queue.avail, 1),
            queue_used_lo=_word(queue.used, 0),
            queue_used_hi=_word(queue.used, 1),
        )

    # -- what is written

    def set_feature_select(self, value: int) -> None:
        self.state.feature_select = value

    def set_guest_feature_select(self, value: int) -> None:
        self.state.guest_feature_select = value

    def set_guest_feature(self, value: int) -> None:
        """Half of the accepted features; there are 64 bits of them."""
        if self.state.guest_feature_select < 2 and not self.state.status & _FEATURES_OK:
            shift = 32 * self.state.guest_feature_select
            self.state.guest_features = self.state.guest_features & ~(0xFFFFFFFF << shift) | value << shift

    def set_msix_config(self, value: int) -> None:
        self.state.msix_config = _vector(value)

    def set_status(self, value: int) -> None:
        """Bits are only ever added; 0 resets the device. FEATURES_OK stays clear if the features do not go."""
        if not value:
            self.reset()
            return
        added = value & ~self.state.status & ~DeviceStatus.NEEDS_RESET.value
        if added & _FEATURES_OK and not self.backend.negotiate(self.state.guest_features):
            added &= ~_FEATURES_OK
        self.state.status |= added
        if added & _DRIVER_OK:
            # what was made available before is due now
            for number in self.state.queues:
                self.kick(number)

    def set_queue_select(self, value: int) -> None:
        self.state.queue_select = value

    def set_queue_size(self, value: int) -> None:
        if self.queue is not None and not self.queue.enable and value <= QUEUE_SIZES[self.state.queue_select]:
            self.queue.size = value

    def set_queue_vector(self, value: int) -> None:
        if self.queue is not None:
            self.queue.vector = _vector(value)

    def set_queue_enable(self, value: int) -> None:
        queue = self.queue
        if value == 1 and queue is not None and not queue.enable and self.state.status & _FEATURES_OK:
            queue.enable = 1
            self.backend.start_queue(self.state.queue_select, Vring(queue.size, queue.desc, queue.avail, queue.used))


def _vector(value: int) -> int:
    """A driver reads NO_VECTOR where it has written a vector that there is not."""
    return value if value < VECTORS else NO_VECTOR


def _word(value: int, index: int) -> int:
    return value >> 32 * index & 0xFFFFFFFF if index < 2 else 0


#: offset -> bytes, of the common configuration
_REGISTERS = {leaf.offset: leaf.member.size for leaf in leaves(VirtioPciCommonCfg)}
_BY_NAME: dict[str, Callable[[Registers, int], Any]] = {
    "device_feature_select": Registers.set_feature_select,
    "guest_feature_select": Registers.set_guest_feature_select,
    "guest_feature": Registers.set_guest_feature,
    "msix_config": Registers.set_msix_config,
    "device_status": Registers.set_status,
    "queue_select": Registers.set_queue_select,
    "queue_size": Registers.set_queue_size,
    "queue_msix_vector": Registers.set_queue_vector,
    "queue_enable": Registers.set_queue_enable,
    "queue_desc_lo": _half("desc", 0),
    "queue_desc_hi": _half("desc", 32),
    "queue_avail_lo": _half("avail", 0),
    "queue_avail_hi": _half("avail", 32),
    "queue_used_lo": _half("used", 0),
    "queue_used_hi": _half("used", 32),
}
_WRITES = {leaf.offset: _BY_NAME[leaf.path] for leaf in leaves(VirtioPciCommonCfg) if leaf.path in _BY_NAME}
