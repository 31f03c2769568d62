"""What a front-end asks of the device: a function for each request. What they bring about beside the device is told to
a Shell, so nothing here waits."""

import os
import socket
import stat
from collections.abc import Callable, Mapping
from errno import EINVAL, ENODEV, ENOTSUP
from types import MappingProxyType
from typing import Protocol

from vgpu_emu.peers.backend import QUEUES, Backend
from vgpu_emu.peers.stream import Fds
from vgpu_emu.peers.vhost_user.link import Message
from vgpu_emu.peers.vhost_user.memory_table import MemoryTable
from vgpu_emu.peers.vhost_user.ring_state import RingState
from vgpu_wire.device import CONTROLQ, Config, ShmId
from vgpu_wire.layout import Record
from vgpu_wire.vhost_user import (
    F_PROTOCOL_FEATURES,
    MAX_CONFIG_SIZE,
    MAX_SHMEM_REGIONS,
    U64,
    VRING_IDX_MASK,
    ConfigSpace,
    FrontendRequest,
    Memory,
    ProtocolFeature,
    ShmemConfig,
    VringAddr,
    VringState,
)

_P = ProtocolFeature
#: what every back-end offers; SHMEM_MAP comes with a host visible region. Not CONFIGURE_MEM_SLOTS: with it QEMU 11.1.2
#: crashes when a device is reset while blobs are mapped, as it then looks for memory that it has dropped itself
PROTOCOL_FEATURES = (_P.MQ, _P.REPLY_ACK, _P.BACKEND_REQ, _P.CONFIG, _P.BACKEND_SEND_FD, _P.RESET_DEVICE)
_PROTOCOL_BIT = 1 << F_PROTOCOL_FEATURES
#: VIRTIO_F_NOTIFY_ON_EMPTY, _ANY_LAYOUT and _RING_RESET, which QEMU offers to its drivers whatever a back-end has
_FRONTENDS_OWN = 1 << 24 | 1 << 27 | 1 << 40
#: bytes; in front of it is events_read, which a driver may find changed
_EVENTS_CLEAR, _EVENTS_END = (member.offset for member in Config.layout.members[1:3])


class Shell(Protocol):
    """What does the waiting. None of these calls waits."""

    def watch(self, ring: RingState) -> None:
        """Look at the ring now, and whenever it is kicked."""

    def open_channel(self, sock: socket.socket) -> None:
        """The back-end's own requests go over this socket from now on."""

    def open_screen(self, sock: socket.socket) -> None:
        """What the scanouts show is told over this socket from now on."""

    def reset(self) -> None:
        """The device is reset: nobody waits for anything any more."""


class VhostDevice:
    """The back-end's end of a session, as far as its front-end has got with setting it up."""

    def __init__(self, backend: Backend, shell: Shell) -> None:
        self.backend = backend
        self.shell = shell
        self.memory = MemoryTable(backend.maps)
        self.rings = {number: RingState(number) for number in QUEUES}
        self.protocol_features = 0

    def handle(self, message: Message) -> Record | bytes | None:
        """Carry out a request: what its answer says; None: nothing. Raises ProtocolError for a payload that is none,
        OSError for what cannot be done, ENOTSUP for requests that come with features that were not offered."""
        handler = _HANDLERS.get(message.request)
        if handler is None:
            raise OSError(ENOTSUP, f"request {message.request} is none that this device offers")
        return handler(self, message)

    def has(self, feature: ProtocolFeature) -> bool:
        return bool(self.protocol_features >> feature & 1)

    def close(self) -> None:
        for ring in self.rings.values():
            ring.close()

    # -- features

    @property
    def offers(self) -> int:
        """The protocol features."""
        features = [*PROTOCOL_FEATURES, *([_P.SHMEM_MAP] if self.backend.device.region.size else [])]
        return sum(1 << feature for feature in features)

    def get_features(self, _message: Message) -> Record:
        return U64(self.backend.offers | _PROTOCOL_BIT)

    def set_features(self, message: Message) -> None:
        features = message.parse(U64).value
        if not self.backend.negotiate(features & ~_PROTOCOL_BIT & ~_FRONTENDS_OWN):
            raise OSError(EINVAL, f"features {features:#x} of {self.backend.offers:#x}")
        if not features & _PROTOCOL_BIT:
            for ring in self.rings.values():
                ring.enabled = True
                self._update(ring)

    def get_protocol_features(self, _message: Message) -> Record:
        return U64(self.offers)

    def set_protocol_features(self, message: Message) -> None:
        features = message.parse(U64).value
        if features & ~self.offers:
            raise OSError(EINVAL, f"protocol features {features:#x} of {self.offers:#x}")
        self.protocol_features = features

    def get_queue_num(self, _message: Message) -> Record:
        return U64(len(self.rings))

    # -- memory

    def set_mem_table(self, message: Message) -> None:
        self.memory.replace(message.parse(Memory).regions, message.fds)

    # -- queues

    def ring(self, number: int) -> RingState:
        """Raises OSError: ENODEV for a queue that the device does not have."""
        try:
            return self.rings[number]
        except KeyError:
            raise OSError(ENODEV, f"there is no queue {number}") from None

    def set_vring_num(self, message: Message) -> None:
        state = message.parse(VringState)
        self.ring(state.index).size = state.num

    def set_vring_base(self, message: Message) -> None:
        """A controlq that was used and starts over belongs to a device that its driver has reset, which QEMU does not
        tell for every kind of device. What the driver has negotiated since then stays."""
        state = message.parse(VringState)
        ring = self.ring(state.index)
        if state.index == CONTROLQ and ring.base and not state.num:
            features = self.backend.accepted
            self.reset()
            self.backend.negotiate(features)
        ring.base = state.num & 0xFFFF

    def set_vring_addr(self, message: Message) -> None:
        addresses = message.parse(VringAddr)
        self.ring(addresses.index).addresses = addresses

    def set_vring_kick(self, message: Message) -> None:
        number = message.parse(U64).value
        ring = self.ring(number & VRING_IDX_MASK)
        ring.set_kick(number, message.fds)
        ring.started = True
        self._update(ring)

    def set_vring_call(self, message: Message) -> None:
        number = message.parse(U64).value
        self.ring(number & VRING_IDX_MASK).set_call(number, message.fds)

    def set_vring_err(self, message: Message) -> None:
        number = message.parse(U64).value
        self.ring(number & VRING_IDX_MASK).set_error(number, message.fds)

    def set_vring_enable(self, message: Message) -> None:
        state = message.parse(VringState)
        ring = self.ring(state.index)
        ring.enabled = bool(state.num)
        self._update(ring)

    def _update(self, ring: RingState) -> None:
        """Its queue takes chains as long as it runs."""
        if not ring.runs:
            self.backend.hold_queue(ring.number)
            return
        if ring.number not in self.backend.queues:
            self.backend.start_queue(ring.number, ring.vring(self.memory.guest_address), ring.base)
        self.backend.release_queue(ring.number)
        self.shell.watch(ring)

    def get_vring_base(self, message: Message) -> Record:
        """The last step of stopping a queue; the Shell has waited for what was in flight."""
        state = message.parse(VringState)
        ring = self.ring(state.index)
        ring.stop()
        if ring.number in self.backend.queues:
            ring.base = self.backend.stop_queue(ring.number)
        return VringState(index=ring.number, num=ring.base)

    # -- the device

    def get_config(self, message: Message) -> Record | bytes:
        """Zeros behind what the device has; no bytes at all for what cannot be."""
        asked = message.parse(ConfigSpace)
        if asked.offset + asked.size > MAX_CONFIG_SIZE:
            return b""
        part = self._space()[asked.offset : asked.offset + asked.size]
        return ConfigSpace(offset=asked.offset, size=asked.size, flags=asked.flags, region=part)

    def set_config(self, message: Message) -> None:
        """events_clear is all that a driver can write. QEMU sends all of the space for it, as it knows it."""
        written = message.parse(ConfigSpace)
        end = written.offset + written.size
        if end > MAX_CONFIG_SIZE:
            raise OSError(EINVAL, f"[{written.offset}, +{written.size}) of a configuration space of {MAX_CONFIG_SIZE}")
        space = bytearray(self._space())
        space[written.offset : end] = written.region
        if space[_EVENTS_END:] != self._space()[_EVENTS_END:]:
            raise OSError(EINVAL, "only events_clear of the configuration space can be written")
        self.backend.clear_events(int.from_bytes(space[_EVENTS_CLEAR:_EVENTS_END], "little"))

    def _space(self) -> bytes:
        """The configuration space, and zeros behind what the device has."""
        return self.backend.config.ljust(MAX_CONFIG_SIZE, b"\0")

    def get_shmem_config(self, _message: Message) -> Record:
        sizes = [0] * MAX_SHMEM_REGIONS
        sizes[ShmId.HOST_VISIBLE] = self.backend.device.region.size
        return ShmemConfig(nregions=sum(map(bool, sizes)), memory_sizes=sizes)

    def reset_device(self, _message: Message) -> None:
        self.reset()

    def reset(self) -> None:
        """All rings are stopped and disabled; the device is as it was when the session began."""
        for ring in self.rings.values():
            ring.stop()
            ring.enabled, ring.base = False, 0
        self.backend.reset()
        self.shell.reset()

    # -- sockets

    def set_backend_req_fd(self, message: Message) -> None:
        self.shell.open_channel(_socket(message.fds))

    def gpu_set_socket(self, message: Message) -> None:
        self.shell.open_screen(_socket(message.fds))

    def nothing(self, _message: Message) -> None:
        """SET_OWNER starts a session, which the connection did; RESET_OWNER is deprecated, and may be ignored."""


def _socket(fds: Fds) -> socket.socket:
    """The unix stream socket that came along. Raises OSError: EINVAL for anything else."""
    if len(fds) != 1:
        raise OSError(EINVAL, f"{len(fds)} descriptors, where a socket is due")
    fileno = fds.take()
    if not stat.S_ISSOCK(os.fstat(fileno).st_mode):
        os.close(fileno)
        raise OSError(EINVAL, "the descriptor is no socket")
    sock = socket.socket(fileno=fileno)
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        sock.close()
        raise OSError(EINVAL, "the descriptor is no unix stream socket")
    return sock


_F = FrontendRequest
_HANDLERS: Mapping[int, Callable[[VhostDevice, Message], Record | bytes | None]] = MappingProxyType(
    {
        _F.GET_FEATURES.value: VhostDevice.get_features,
        _F.SET_FEATURES.value: VhostDevice.set_features,
        _F.SET_OWNER.value: VhostDevice.nothing,
        _F.RESET_OWNER.value: VhostDevice.nothing,
        _F.SET_MEM_TABLE.value: VhostDevice.set_mem_table,
        _F.SET_VRING_NUM.value: VhostDevice.set_vring_num,
        _F.SET_VRING_ADDR.value: VhostDevice.set_vring_addr,
        _F.SET_VRING_BASE.value: VhostDevice.set_vring_base,
        _F.GET_VRING_BASE.value: VhostDevice.get_vring_base,
        _F.SET_VRING_KICK.value: VhostDevice.set_vring_kick,
        _F.SET_VRING_CALL.value: VhostDevice.set_vring_call,
        _F.SET_VRING_ERR.value: VhostDevice.set_vring_err,
        _F.GET_PROTOCOL_FEATURES.value: VhostDevice.get_protocol_features,
        _F.SET_PROTOCOL_FEATURES.value: VhostDevice.set_protocol_features,
        _F.GET_QUEUE_NUM.value: VhostDevice.get_queue_num,
        _F.SET_VRING_ENABLE.value: VhostDevice.set_vring_enable,
        _F.SET_BACKEND_REQ_FD.value: VhostDevice.set_backend_req_fd,
        _F.GET_CONFIG.value: VhostDevice.get_config,
        _F.SET_CONFIG.value: VhostDevice.set_config,
        _F.GPU_SET_SOCKET.value: VhostDevice.gpu_set_socket,
        _F.RESET_DEVICE.value: VhostDevice.reset_device,
        _F.GET_SHMEM_CONFIG.value: VhostDevice.get_shmem_config,
    }
)
