"""virtio over PCI (virtio 1.4, 4.1; linux/virtio_pci.h): the configuration header, the capabilities, the registers."""

from enum import IntEnum, IntFlag
from typing import Annotated

import construct

from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.terms import le16, le32, u8

#: PCI vendor id, and what is added to the virtio device id
VENDOR_ID, DEVICE_ID_BASE = 0x1AF4, 0x1040
#: of a queue, or of the configuration: no interrupt (VIRTIO_MSI_NO_VECTOR)
NO_VECTOR = 0xFFFF


class PciCommand(IntFlag):
    """PCI_COMMAND_*: what a driver may switch here."""

    MEMORY = 2
    MASTER = 4
    INTX_DISABLE = 0x400


#: PCI_STATUS_CAP_LIST
STATUS_CAP_LIST = 0x10


class BarType(IntFlag):
    """Low bits of a BAR, of memory (PCI_BASE_ADDRESS_MEM_*)."""

    TYPE_64 = 4
    PREFETCH = 8


@wire("pci_header", 64)
class PciHeader(Record, frozen=True):
    """The first 64 bytes of a configuration space (PCI_HEADER_TYPE_NORMAL). capabilities: where the list starts."""

    vendor_id: le16 = VENDOR_ID
    device_id: le16 = 0
    command: le16 = 0
    status: le16 = STATUS_CAP_LIST
    revision: u8 = 1
    prog_if: u8 = 0
    subclass: u8 = 0
    base_class: u8 = 0
    cache_line_size: u8 = 0
    latency_timer: u8 = 0
    header_type: u8 = 0
    bist: u8 = 0
    bars: Annotated[bytes, construct.Bytes(24)] = bytes(24)
    cardbus_cis: le32 = 0
    subsystem_vendor_id: le16 = VENDOR_ID
    subsystem_id: le16 = 0
    rom: le32 = 0
    capabilities: u8 = 0
    reserved: Annotated[bytes, construct.Bytes(7)] = bytes(7)
    interrupt_line: u8 = 0
    interrupt_pin: u8 = 0
    min_gnt: u8 = 0
    max_lat: u8 = 0


class CapId(IntEnum):
    """PCI_CAP_ID_*."""

    VNDR = 9
    MSIX = 0x11


class MsixFlag(IntFlag):
    """PCI_MSIX_FLAGS_*: of the message control, which a driver writes."""

    MASKALL = 0x4000
    ENABLE = 0x8000


@wire("pci_msix_cap", 12)
class MsixCap(Record, frozen=True):
    """control: the number of vectors less 1, and MsixFlag bits. table, pba: a BAR's number in the low three bits, the
    rest is the offset in it."""

    cap_vndr: u8 = CapId.MSIX.value
    cap_next: u8 = 0
    control: le16 = 0
    table: le32 = 0
    pba: le32 = 0


class CfgType(IntEnum):
    """VIRTIO_PCI_CAP_*: what a vendor capability tells the place of."""

    COMMON_CFG = 1
    NOTIFY_CFG = 2
    ISR_CFG = 3
    DEVICE_CFG = 4
    PCI_CFG = 5
    SHARED_MEMORY_CFG = 8


@wire("virtio_pci_cap", 16)
class VirtioPciCap(Record, frozen=True):
    """`length` bytes from `offset` on in a BAR. id: tells several of one type apart."""

    cap_vndr: u8 = CapId.VNDR.value
    cap_next: u8 = 0
    cap_len: u8 = 16
    cfg_type: u8 = 0
    bar: u8 = 0
    id: u8 = 0
    padding: Annotated[bytes, construct.Bytes(2)] = b"\0\0"
    offset: le32 = 0
    length: le32 = 0


@wire("virtio_pci_cap64", 24)
class VirtioPciCap64(VirtioPciCap, frozen=True):
    """SHARED_MEMORY_CFG: with the upper halves of offset and length."""

    cap_len: u8 = 24
    offset_hi: le32 = 0
    length_hi: le32 = 0


@wire("virtio_pci_notify_cap", 20)
class VirtioPciNotifyCap(VirtioPciCap, frozen=True):
    """NOTIFY_CFG. notify_off_multiplier: bytes from a queue's register to the next one's."""

    cap_len: u8 = 20
    notify_off_multiplier: le32 = 0


@wire("virtio_pci_cfg_cap", 20)
class VirtioPciCfgCap(VirtioPciCap, frozen=True):
    """PCI_CFG: another way into the BARs. An access to pci_cfg_data is one of `length` bytes at `offset` of `bar`."""

    cap_len: u8 = 20
    pci_cfg_data: Annotated[bytes, construct.Bytes(4)] = bytes(4)


class DeviceStatus(IntFlag):
    """VIRTIO_CONFIG_S_*."""

    ACKNOWLEDGE = 1
    DRIVER = 2
    DRIVER_OK = 4
    FEATURES_OK = 8
    NEEDS_RESET = 0x40
    FAILED = 0x80


class Isr(IntFlag):
    """VIRTIO_PCI_ISR_*: why there is an interrupt; a read clears it. Without MSI-X."""

    QUEUE = 1
    CONFIG = 2


@wire("virtio_pci_common_cfg", 56)
class VirtioPciCommonCfg(Record, frozen=True):
    """COMMON_CFG: the registers of the device, and behind them those of the queue that queue_select names."""

    device_feature_select: le32 = 0
    device_feature: le32 = 0
    guest_feature_select: le32 = 0
    guest_feature: le32 = 0
    msix_config: le16 = NO_VECTOR
    num_queues: le16 = 0
    device_status: u8 = 0
    config_generation: u8 = 0
    queue_select: le16 = 0
    queue_size: le16 = 0
    queue_msix_vector: le16 = NO_VECTOR
    queue_enable: le16 = 0
    queue_notify_off: le16 = 0
    queue_desc_lo: le32 = 0
    queue_desc_hi: le32 = 0
    queue_avail_lo: le32 = 0
    queue_avail_hi: le32 = 0
    queue_used_lo: le32 = 0
    queue_used_hi: le32 = 0
