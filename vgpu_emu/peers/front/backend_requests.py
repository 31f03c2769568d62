"""What a device asks of its VMM: to map memory into the shared memory region, and to look at its configuration."""

import os
from collections.abc import Callable
from errno import EEXIST, EINVAL

from vgpu_emu.link.region import HostVisibleRegion
from vgpu_emu.memory import Memory
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.stream import Fds, FdStream, PeerGoneError, StreamError
from vgpu_wire.device import ShmId
from vgpu_wire.errors import WireError
from vgpu_wire.vhost_user import (
    U64,
    VERSION,
    BackendRequest,
    Header,
    HeaderFlag,
    Mmap,
)

#: bytes of the largest payload
_MAX_PAYLOAD = 4096
_NEED_REPLY, _REPLY = HeaderFlag.NEED_REPLY.value, HeaderFlag.REPLY.value


class BackendRequests:
    """stream: the back-end request channel. region: the host visible one. config_changed: called when it has.

    A mapping is refused with a number that is not 0 where QEMU refuses it: over another one, outside of the region, of
    more than the memory has, and an unmapping that is not exactly one mapping.
    """

    def __init__(self, stream: FdStream, region: HostVisibleRegion, config_changed: Callable[[], None]) -> None:
        self._stream = stream
        self._region = region
        self._config_changed = config_changed

    async def serve(self) -> DeviceError:
        """Answer the device until the connection ends: why it did."""
        try:
            while True:
                await self._one()
        except (PeerGoneError, StreamError) as gone:
            return DeviceError(DeviceFault.GONE, f"back-end requests: {gone}")
        except WireError as wrong:
            return DeviceError(DeviceFault.PROTOCOL, f"back-end requests: {wrong}")
        except DeviceError as error:
            return error

    async def _one(self) -> None:
        data, fds = await self._stream.receive_start(Header.layout.size)
        with fds:
            header = Header.parse(data)
            if header.size > _MAX_PAYLOAD:
                what = f"request {header.request}, {header.size} bytes"
                raise DeviceError(DeviceFault.PROTOCOL, f"back-end requests: {what}")
            payload = await self._stream.receive_rest(header.size)
            try:
                self._do(header.request, payload, fds)
                status = 0
            except OSError as refused:
                status = refused.errno or EINVAL
        if header.flags & _NEED_REPLY:
            reply = Header(request=header.request, flags=VERSION | _REPLY, size=U64.layout.size)
            await self._stream.send(reply.build() + U64(value=status).build())

    def _do(self, request: int, payload: bytes, fds: Fds) -> None:
        """Raises OSError for what is refused."""
        if request == BackendRequest.CONFIG_CHANGE_MSG:
            self._config_changed()
        elif request == BackendRequest.SHMEM_MAP:
            self._map(Mmap.parse(payload), fds)
        elif request == BackendRequest.SHMEM_UNMAP:
            self._unmap(Mmap.parse(payload))
        else:
            raise OSError(EINVAL, f"request {request}")

    def _map(self, wanted: Mmap, fds: Fds) -> None:
        if wanted.shmid != ShmId.HOST_VISIBLE or not fds:
            raise OSError(EINVAL, f"region {wanted.shmid}, {len(fds)} descriptors")
        if self._region.overlapping(wanted.shm_offset, wanted.len) is not None:
            raise OSError(EEXIST, f"something is mapped at {wanted.shm_offset:#x}")
        fileno = fds.take()
        memory = Memory(os.fstat(fileno).st_size, fileno)
        try:
            self._region.map(wanted.shm_offset, wanted.len, memory, wanted.fd_offset)
        finally:
            memory.release()

    def _unmap(self, wanted: Mmap) -> None:
        slot = self._region.overlapping(wanted.shm_offset, 1)
        if slot is None or (slot.offset, slot.length) != (wanted.shm_offset, wanted.len):
            raise OSError(EINVAL, f"no mapping of {wanted.len:#x} bytes at {wanted.shm_offset:#x}")
        self._region.unmap(wanted.shm_offset)
