"""The PCI device that a vfio-user client uses: its regions, its interrupts, and what each command does to them."""

from collections.abc import Callable, Sequence
from errno import EINVAL
from typing import Any, NamedTuple

from vgpu_emu.peers.backend import Backend
from vgpu_emu.peers.stream import Fds
from vgpu_emu.peers.vfio_user.bar import Bar
from vgpu_emu.peers.vfio_user.config_space import MSIX_BAR, MSIX_SIZE, REGS_BAR, REGS_SIZE, SHM_BAR, SIZE, ConfigSpace
from vgpu_emu.peers.vfio_user.dma import DmaWindows
from vgpu_emu.peers.vfio_user.interrupts import Interrupts
from vgpu_emu.peers.vfio_user.msix import VECTORS
from vgpu_emu.peers.vfio_user.registers import Registers
from vgpu_emu.trace.log import VMM
from vgpu_wire.layout import Record
from vgpu_wire.vfio_user import (
    MAX_DATA_XFER_SIZE,
    NUM_IRQS,
    NUM_REGIONS,
    Command,
    DeviceFlag,
    DeviceInfo,
    DmaFlag,
    DmaMap,
    DmaUnmap,
    Empty,
    IrqInfo,
    IrqSet,
    RegionAccess,
    RegionFlag,
    RegionIndex,
    RegionInfo,
)

#: what answers a command: a record, and a descriptor that goes with it
Answer = tuple[Record, Sequence[int]]
_SHARE = "QEMU needs -object memory-backend-memfd,share=on,... and -machine memory-backend=..., as printed"
_READ_WRITE = int(RegionFlag.READ | RegionFlag.WRITE)


class _Region(NamedTuple):
    """fileno: of a region that the client can map."""

    size: int
    read: Callable[[int, int], bytes]
    write: Callable[[int, bytes], None]
    fileno: int | None = None

    @property
    def flags(self) -> int:
        return _READ_WRITE | (0 if self.fileno is None else RegionFlag.MMAP.value)


class Device:
    """bar: the host visible region, if there is one. Commands raise OSError for what the client gets as an error."""

    def __init__(self, backend: Backend, registers: Registers, interrupts: Interrupts, bar: Bar | None) -> None:
        self._registers = registers
        self._interrupts = interrupts
        self._windows = DmaWindows(backend.maps)
        self._log = backend.log
        self._warned = False
        size = bar.size if bar is not None else 0
        self._config_space = ConfigSpace(size, VECTORS, self._load, self._store)
        tables = bytearray(MSIX_SIZE)
        self._regions = {
            MSIX_BAR: _bytes_region(tables),
            REGS_BAR: _Region(REGS_SIZE, registers.read, registers.write),
            RegionIndex.CONFIG.value: _Region(SIZE, self._config_space.read, self._config_space.write),
        }
        if bar is not None:
            self._regions[SHM_BAR] = _bytes_region(bar.pages, bar.fileno)

    def handle(self, command: Command, request: Any, fds: Fds) -> Answer:
        """Raises OSError."""
        return _HANDLERS[command](self, request, fds)

    def get_info(self, request: DeviceInfo, _fds: Fds) -> Answer:
        _check_room(request.argsz, DeviceInfo)
        flags = int(DeviceFlag.RESET | DeviceFlag.PCI)
        return DeviceInfo(argsz=DeviceInfo.layout.size, flags=flags, num_regions=NUM_REGIONS, num_irqs=NUM_IRQS), ()

    def get_region_info(self, request: RegionInfo, _fds: Fds) -> Answer:
        _check_room(request.argsz, RegionInfo)
        if request.index >= NUM_REGIONS:
            raise OSError(EINVAL, f"region {request.index}")
        region = self._regions.get(request.index)
        if region is None:
            return RegionInfo(argsz=RegionInfo.layout.size, index=request.index), ()
        info = RegionInfo(argsz=RegionInfo.layout.size, flags=region.flags, index=request.index, size=region.size)
        return info, () if region.fileno is None else (region.fileno,)

    def get_irq_info(self, request: IrqInfo, _fds: Fds) -> Answer:
        _check_room(request.argsz, IrqInfo)
        return self._interrupts.info(request), ()

    def set_irqs(self, request: IrqSet, fds: Fds) -> Answer:
        self._interrupts.set(request, fds)
        return Empty(), ()

    def dma_map(self, request: DmaMap, fds: Fds) -> Answer:
        is_memory = bool(fds)
        self._windows.map(request, fds)
        if not is_memory and not self._warned and not request.address and request.flags & DmaFlag.WRITE:
            # where every machine that is modelled has RAM
            self._log.note(VMM, "memory_not_shared", hint=_SHARE)
            self._warned = True
        return Empty(), ()

    def dma_unmap(self, request: DmaUnmap, _fds: Fds) -> Answer:
        self._windows.unmap(request)
        return request, ()

    def region_read(self, request: RegionAccess, _fds: Fds) -> Answer:
        region = self._accessed(request)
        data = region.read(request.offset, request.count)
        return RegionAccess(offset=request.offset, region=request.region, count=request.count, data=data), ()

    def region_write(self, request: RegionAccess, _fds: Fds) -> Answer:
        region = self._accessed(request)
        if len(request.data) != request.count:
            raise OSError(EINVAL, f"{request.count} bytes to write, {len(request.data)} are there")
        region.write(request.offset, request.data)
        return RegionAccess(offset=request.offset, region=request.region, count=request.count), ()

    def reset(self, _request: Empty, _fds: Fds) -> Answer:
        self._registers.reset()
        self._config_space.reset()
        return Empty(), ()

    def _accessed(self, request: RegionAccess) -> _Region:
        region = self._regions.get(request.region)
        if region is None or request.offset + request.count > region.size or request.count > MAX_DATA_XFER_SIZE:
            raise OSError(EINVAL, f"{request.count} bytes at {request.offset:#x} of region {request.region}")
        return region

    def _load(self, bar: int, offset: int, count: int) -> bytes:
        """Of a BAR; what is not there reads as nothing."""
        region = self._regions.get(bar) if bar <= RegionIndex.BAR5 else None
        return region.read(offset, count) if region is not None and offset + count <= region.size else b""

    def _store(self, bar: int, offset: int, data: bytes) -> None:
        region = self._regions.get(bar) if bar <= RegionIndex.BAR5 else None
        if region is not None and offset + len(data) <= region.size:
            region.write(offset, data)


def _bytes_region(memory: Any, fileno: int | None = None) -> _Region:
    """A region that is nothing but memory."""

    def read(offset: int, count: int) -> bytes:
        return bytes(memory[offset : offset + count])

    def write(offset: int, data: bytes) -> None:
        memory[offset : offset + len(data)] = data

    return _Region(len(memory), read, write, fileno)


def _check_room(argsz: int, record: type[Record]) -> None:
    """Linux's vfio, too, refuses a client that has no room for the answer."""
    if argsz < record.layout.size:
        raise OSError(EINVAL, f"room for {argsz} bytes, the answer has {record.layout.size}")


_HANDLERS: dict[Command, Callable[[Device, Any, Fds], Answer]] = {
    Command.DMA_MAP: Device.dma_map,
    Command.DMA_UNMAP: Device.dma_unmap,
    Command.DEVICE_GET_INFO: Device.get_info,
    Command.DEVICE_GET_REGION_INFO: Device.get_region_info,
    Command.DEVICE_GET_IRQ_INFO: Device.get_irq_info,
    Command.DEVICE_SET_IRQS: Device.set_irqs,
    Command.REGION_READ: Device.region_read,
    Command.REGION_WRITE: Device.region_write,
    Command.DEVICE_RESET: Device.reset,
}
#: the commands that `Device.handle` takes
COMMANDS = frozenset(_HANDLERS)
