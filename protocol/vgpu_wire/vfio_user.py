"""vfio-user 0.0 (QEMU 11.1, docs/interop/vfio-user): a client, the VMM, uses a PCI device that a server has.

A message is a Header and what PAYLOADS says; descriptors come with its first byte. The structures behind the header are
mostly those of linux/vfio.h. The host's byte order, which on all that is modelled here is little endian.
"""

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from types import MappingProxyType
from typing import Annotated

import construct

from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.terms import native16, native32, native64

#: the version that is modelled
MAJOR, MINOR = 0, 0
#: without the capability max_data_xfer_size: bytes of one REGION_READ or REGION_WRITE
MAX_DATA_XFER_SIZE = 1 << 20


class Command(IntEnum):
    """VFIO_USER_*. DMA_READ and DMA_WRITE are the server's, the others the client's."""

    VERSION = 1
    DMA_MAP = 2
    DMA_UNMAP = 3
    DEVICE_GET_INFO = 4
    DEVICE_GET_REGION_INFO = 5
    DEVICE_GET_REGION_IO_FDS = 6
    DEVICE_GET_IRQ_INFO = 7
    DEVICE_SET_IRQS = 8
    REGION_READ = 9
    REGION_WRITE = 10
    DMA_READ = 11
    DMA_WRITE = 12
    DEVICE_RESET = 13
    REGION_WRITE_MULTI = 15
    DEVICE_FEATURE = 16
    MIG_DATA_READ = 17
    MIG_DATA_WRITE = 18


#: Header.flags: the bits of the message's type
TYPE_MASK = 0xF


class HeaderFlag(IntFlag):
    """REPLY: of the type; a command has none of its bits. NO_REPLY: the client wants none. ERROR: error_no says why."""

    REPLY = 1
    NO_REPLY = 1 << 4
    ERROR = 1 << 5


@wire("vfio_user_header", 16)
class Header(Record, frozen=True):
    """id: the sender's, echoed in the reply. size: bytes of the message, with these. error_no: errno, with ERROR."""

    id: native16 = 0
    command: native16 = 0
    size: native32 = 0
    flags: native32 = 0
    error_no: native32 = 0


@wire("vfio_user_version", 4)
class Version(Record, frozen=True):
    """VERSION, both ways. data: JSON with a NUL behind it, ``{"capabilities": {...}}``; or nothing."""

    major: native16 = 0
    minor: native16 = 0
    data: Annotated[bytes, construct.GreedyBytes] = b""


class DmaFlag(IntFlag):
    """What the device may do with the memory; how it gets there: by mmap or file I/O of the descriptor."""

    READ = 1
    WRITE = 1 << 1
    MMAP = 1 << 2
    FILE_IO = 1 << 3


@wire("vfio_user_dma_map", 32)
class DmaMap(Record, frozen=True):
    """`size` bytes of the client's memory are at `address` for the device. offset: into the descriptor's file."""

    argsz: native32 = 0
    flags: native32 = 0
    offset: native64 = 0
    address: native64 = 0
    size: native64 = 0


@wire("vfio_user_dma_unmap", 24)
class DmaUnmap(Record, frozen=True):
    """They are no more. The reply is the same."""

    argsz: native32 = 0
    flags: native32 = 0
    address: native64 = 0
    size: native64 = 0


class DeviceFlag(IntFlag):
    """VFIO_DEVICE_FLAGS_*: it can be reset; it is a PCI device."""

    RESET = 1
    PCI = 1 << 1


@wire("vfio_device_info", 16)
class DeviceInfo(Record, frozen=True):
    """DEVICE_GET_INFO, as far as vfio-user has it: vfio_device_info has more."""

    argsz: native32 = 0
    flags: native32 = 0
    num_regions: native32 = 0
    num_irqs: native32 = 0


class RegionIndex(IntEnum):
    """VFIO_PCI_*_REGION_INDEX; of the BARs the first and the last."""

    BAR0 = 0
    BAR5 = 5
    ROM = 6
    CONFIG = 7
    VGA = 8


#: VFIO_PCI_NUM_REGIONS, VFIO_PCI_NUM_IRQS
NUM_REGIONS, NUM_IRQS = 9, 5


class RegionFlag(IntFlag):
    """VFIO_REGION_INFO_FLAG_*. MMAP: a descriptor comes with the reply. CAPS: capabilities follow."""

    READ = 1
    WRITE = 1 << 1
    MMAP = 1 << 2
    CAPS = 1 << 3


@wire("vfio_region_info", 32)
class RegionInfo(Record, frozen=True):
    """DEVICE_GET_REGION_INFO. index: a RegionIndex; the request has nothing else. offset: of the mmap."""

    argsz: native32 = 0
    flags: native32 = 0
    index: native32 = 0
    cap_offset: native32 = 0
    size: native64 = 0
    offset: native64 = 0


class IrqIndex(IntEnum):
    """VFIO_PCI_*_IRQ_INDEX."""

    INTX = 0
    MSI = 1
    MSIX = 2
    ERR = 3
    REQ = 4


class IrqFlag(IntFlag):
    """VFIO_IRQ_INFO_*. NORESIZE: interrupts are set up all together."""

    EVENTFD = 1
    MASKABLE = 1 << 1
    AUTOMASKED = 1 << 2
    NORESIZE = 1 << 3


@wire("vfio_irq_info", 16)
class IrqInfo(Record, frozen=True):
    """DEVICE_GET_IRQ_INFO. index: an IrqIndex; the request has nothing else. count: how many interrupts it has."""

    argsz: native32 = 0
    flags: native32 = 0
    index: native32 = 0
    count: native32 = 0


class IrqSetFlag(IntFlag):
    """VFIO_IRQ_SET_*: one of the DATA, which says what comes along, and one of the ACTION bits."""

    DATA_NONE = 1
    DATA_BOOL = 1 << 1
    DATA_EVENTFD = 1 << 2
    ACTION_MASK = 1 << 3
    ACTION_UNMASK = 1 << 4
    ACTION_TRIGGER = 1 << 5


@wire("vfio_irq_set", 20)
class IrqSet(Record, frozen=True):
    """DEVICE_SET_IRQS: interrupts `start` to `start` + `count` of an IrqIndex. DATA_EVENTFD: a descriptor for each, or
    none, which takes theirs away. DATA_NONE without any: takes away all of the index."""

    argsz: native32 = 0
    flags: native32 = 0
    index: native32 = 0
    start: native32 = 0
    count: native32 = 0
    data: Annotated[bytes, construct.GreedyBytes] = b""


@wire("vfio_user_region_rw", 16)
class RegionAccess(Record, frozen=True):
    """REGION_READ, REGION_WRITE: `count` bytes of a region. data: of the reply to a read, of the request to write."""

    offset: native64 = 0
    region: native32 = 0
    count: native32 = 0
    data: Annotated[bytes, construct.GreedyBytes] = b""


@wire("vfio_user_empty", 0)
class Empty(Record, frozen=True):
    """DEVICE_RESET, and replies that say nothing."""


#: what a client's command carries
PAYLOADS: Mapping[Command, type[Record]] = MappingProxyType(
    {
        Command.VERSION: Version,
        Command.DMA_MAP: DmaMap,
        Command.DMA_UNMAP: DmaUnmap,
        Command.DEVICE_GET_INFO: DeviceInfo,
        Command.DEVICE_GET_REGION_INFO: RegionInfo,
        Command.DEVICE_GET_IRQ_INFO: IrqInfo,
        Command.DEVICE_SET_IRQS: IrqSet,
        Command.REGION_READ: RegionAccess,
        Command.REGION_WRITE: RegionAccess,
        Command.DEVICE_RESET: Empty,
    }
)
