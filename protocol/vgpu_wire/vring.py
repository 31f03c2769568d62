"""Split virtqueues in guest memory (virtio 1.4, 2.7 "Split Virtqueues"; linux/virtio_ring.h).

A queue of n entries has three parts: n descriptors; the available ring, VringAvail and behind it n heads (le16) and
used_event (le16); the used ring, VringUsed and behind it n VringUsedElem and avail_event (le16).
"""

from enum import IntEnum, IntFlag

from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.terms import le16, le32, le64

#: entries; a queue size is a power of two
MAX_QUEUE_SIZE = 32768
#: bytes, of the address of each part (VRING_*_ALIGN_SIZE)
DESC_ALIGN, AVAIL_ALIGN, USED_ALIGN = 16, 2, 4


class RingFeature(IntEnum):
    """VIRTIO_RING_F_*: bit numbers. INDIRECT_DESC: a chain may be in a table. EVENT_IDX: used_event and avail_event."""

    INDIRECT_DESC = 28
    EVENT_IDX = 29


class DescFlag(IntFlag):
    """VRING_DESC_F_*. NEXT: the chain goes on. WRITE: device-writable. INDIRECT: the buffer is a table of these."""

    NEXT = 1
    WRITE = 2
    INDIRECT = 4


class AvailFlag(IntFlag):
    """VRING_AVAIL_F_*: the driver asks for no interrupt; without EVENT_IDX."""

    NO_INTERRUPT = 1


class UsedFlag(IntFlag):
    """VRING_USED_F_*: the device asks for no kick; without EVENT_IDX."""

    NO_NOTIFY = 1


@wire("vring_desc", 16)
class VringDesc(Record, frozen=True):
    """vring_desc: `len` bytes at the guest physical address `addr`. flags: DescFlag bits. next: an index, with NEXT."""

    addr: le64 = 0
    len: le32 = 0
    flags: le16 = 0
    next: le16 = 0


@wire("vring_avail", 4)
class VringAvail(Record, frozen=True):
    """vring_avail: flags: AvailFlag bits. idx: how many chains the driver has made available, modulo 2^16."""

    flags: le16 = 0
    idx: le16 = 0


@wire("vring_used_elem", 8)
class VringUsedElem(Record, frozen=True):
    """vring_used_elem: id: the head of a chain that the device is done with. len: bytes that it wrote."""

    id: le32 = 0
    len: le32 = 0


@wire("vring_used", 4)
class VringUsed(Record, frozen=True):
    """vring_used: flags: UsedFlag bits. idx: how many chains the device has used, modulo 2^16."""

    flags: le16 = 0
    idx: le16 = 0
