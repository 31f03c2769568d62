"""The PCI configuration space of a virtio GPU: what a guest finds of the device before it has a driver for it."""

from collections.abc import Callable

from vgpu_wire.device import DEVICE_ID, ShmId
from vgpu_wire.layout import Record
from vgpu_wire.virtio_pci import (
    DEVICE_ID_BASE,
    BarType,
    CfgType,
    MsixCap,
    MsixFlag,
    PciCommand,
    PciHeader,
    VirtioPciCap,
    VirtioPciCap64,
    VirtioPciCfgCap,
    VirtioPciNotifyCap,
)

SIZE = 256
#: BARs, two of them with 64 bits: the host visible region, the MSI-X tables, the registers
SHM_BAR, MSIX_BAR, REGS_BAR = 0, 2, 4
MSIX_SIZE, PBA = 0x1000, 0x800
#: offsets in the registers' BAR
COMMON, ISR, DEVICE, NOTIFY, REGS_SIZE = 0x0000, 0x1000, 0x2000, 0x3000, 0x4000
#: bytes from a queue's notify register to the next one's
NOTIFY_MULTIPLIER = 4
_PAGE = 0x1000
#: where the parts that a driver may write are in the header
_COMMAND, _BARS, _INTERRUPT_LINE = 0x04, 0x10, 0x3C
#: of pci_cfg_data, in its capability
_WINDOW_DATA = 16
_DISPLAY = 0x03
#: subclass: another display controller, neither VGA nor 3D
_OTHER = 0x80


class ConfigSpace:
    """shm_size: bytes of the host visible region; 0: there is none. vectors: of MSI-X.

    load (BAR, offset, bytes), store (BAR, offset, data): accesses to BARs by way of PCI_CFG (virtio 1.4, 4.1.4.9).
    """

    def __init__(
        self,
        shm_size: int,
        vectors: int,
        load: Callable[[int, int, int], bytes],
        store: Callable[[int, int, bytes], None],
    ) -> None:
        capabilities = _capabilities(shm_size, vectors)
        first = PciHeader.layout.size
        header = PciHeader(
            device_id=DEVICE_ID_BASE + DEVICE_ID,
            subclass=_OTHER,
            base_class=_DISPLAY,
            subsystem_id=DEVICE_ID_BASE + DEVICE_ID,
            bars=_bars(shm_size),
            capabilities=first,
            interrupt_pin=1,
        )
        self._data = bytearray(header.build() + _linked(capabilities, first)).ljust(SIZE, b"\0")
        # MSI-X is the first, PCI_CFG the last
        self._window = first + sum(each.layout.size for each in capabilities[:-1])
        self._writable = _writable(shm_size, first, self._window)
        self._load, self._store = load, store

    def read(self, offset: int, count: int) -> bytes:
        if offset == self._window + _WINDOW_DATA:
            bar, place, length = self._looks_at()
            return self._load(bar, place, length)[:count].ljust(count, b"\0")
        return bytes(self._data[offset : offset + count])

    def write(self, offset: int, data: bytes) -> None:
        """Bits that are not the driver's stay as they are."""
        if offset == self._window + _WINDOW_DATA:
            bar, place, length = self._looks_at()
            self._store(bar, place, data[:length])
            return
        for place, byte in enumerate(data, offset):
            mask = self._writable[place]
            self._data[place] = (self._data[place] & ~mask) | (byte & mask)

    def _looks_at(self) -> tuple[int, int, int]:
        """Where pci_cfg_data is at the moment: a BAR, the offset in it, and how many bytes."""
        cap = VirtioPciCfgCap.parse(self._data[self._window : self._window + VirtioPciCfgCap.layout.size])
        return cap.bar, cap.offset, min(cap.length, 4)

    def reset(self) -> None:
        """What a driver has written is gone."""
        for place, mask in enumerate(self._writable):
            self._data[place] &= ~mask


def _sizes(shm_size: int) -> dict[int, tuple[int, int]]:
    """BAR -> its size and its BarType bits."""
    wide = int(BarType.TYPE_64 | BarType.PREFETCH)
    bars = {MSIX_BAR: (MSIX_SIZE, 0), REGS_BAR: (REGS_SIZE, wide)}
    return bars | ({SHM_BAR: (shm_size, wide)} if shm_size else {})


def _bars(shm_size: int) -> bytes:
    bars = bytearray(24)
    for number, (_, kind) in _sizes(shm_size).items():
        bars[4 * number] = kind
    return bytes(bars)


def _capabilities(shm_size: int, vectors: int) -> list[Record]:
    def part(kind: CfgType, offset: int) -> VirtioPciCap:
        return VirtioPciCap(cfg_type=kind.value, bar=REGS_BAR, offset=offset, length=_PAGE)

    found: list[Record] = [
        MsixCap(control=vectors - 1, table=MSIX_BAR, pba=PBA | MSIX_BAR),
        part(CfgType.COMMON_CFG, COMMON),
        part(CfgType.ISR_CFG, ISR),
        part(CfgType.DEVICE_CFG, DEVICE),
        VirtioPciNotifyCap(
            cfg_type=CfgType.NOTIFY_CFG.value,
            bar=REGS_BAR,
            offset=NOTIFY,
            length=_PAGE,
            notify_off_multiplier=NOTIFY_MULTIPLIER,
        ),
    ]
    if shm_size:
        found.append(
            VirtioPciCap64(
                cfg_type=CfgType.SHARED_MEMORY_CFG.value,
                bar=SHM_BAR,
                id=ShmId.HOST_VISIBLE.value,
                length=shm_size & 0xFFFFFFFF,
                length_hi=shm_size >> 32,
            )
        )
    return [*found, VirtioPciCfgCap(cfg_type=CfgType.PCI_CFG.value)]


def _linked(capabilities: list[Record], first: int) -> bytes:
    """One behind the other, each with the place of the next; all have a size that is a multiple of four."""
    data, place = b"", first
    for index, capability in enumerate(capabilities):
        bytes_of = bytearray(capability.build())
        place += len(bytes_of)
        bytes_of[1] = place if index + 1 < len(capabilities) else 0
        data += bytes_of
    return data


def _writable(shm_size: int, msix: int, window: int) -> bytes:
    """A bit for each that a driver may write. msix, window: where these capabilities are."""
    mask = bytearray(SIZE)
    command = PciCommand.MEMORY | PciCommand.MASTER | PciCommand.INTX_DISABLE
    mask[_COMMAND : _COMMAND + 2] = command.to_bytes(2, "little")
    for number, (size, kind) in _sizes(shm_size).items():
        width = 8 if kind & BarType.TYPE_64 else 4
        mask[_BARS + 4 * number : _BARS + 4 * number + width] = (-size % (1 << 8 * width)).to_bytes(width, "little")
    mask[_INTERRUPT_LINE] = 0xFF
    mask[msix + 3] = int(MsixFlag.ENABLE | MsixFlag.MASKALL) >> 8
    mask[window + 4] = 0xFF
    mask[window + 8 : window + _WINDOW_DATA] = b"\xff" * 8
    return bytes(mask)
