"""vhost-user (QEMU 11.1, docs/interop/vhost-user): a front-end, the VMM, hands virtqueues to a back-end, a process.

A message is a Header and `size` bytes of payload; descriptors come with its first byte. Native byte order, which on all
that is modelled here is little endian. FRONTEND_PAYLOADS and BACKEND_PAYLOADS say what a request carries; a reply has
the payload of its request unless REPLIES says otherwise.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum, IntFlag
from types import MappingProxyType
from typing import Annotated

import construct

from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.terms import Records, native16, native32, native64, u8

#: Header.flags
VERSION, VERSION_MASK = 1, 3
#: VHOST_USER_F_PROTOCOL_FEATURES: a bit number among the device's features, never offered to a driver
F_PROTOCOL_FEATURES = 30
#: bytes of configuration space that a message may carry (VHOST_USER_MAX_CONFIG_SIZE)
MAX_CONFIG_SIZE = 256
#: regions of a memory table, and descriptors of any message (VHOST_MEMORY_BASELINE_NREGIONS)
MAX_REGIONS = 8
#: SET_VRING_KICK, _CALL and _ERR: the queue's number, and a flag: no descriptor comes along
VRING_IDX_MASK, VRING_NOFD = 0xFF, 1 << 8
#: shared memory regions that a device can have
MAX_SHMEM_REGIONS = 256


class HeaderFlag(IntFlag):
    """REPLY: this answers a request. NEED_REPLY: answer with a u64, 0 for success (with REPLY_ACK)."""

    REPLY = 1 << 2
    NEED_REPLY = 1 << 3


class ProtocolFeature(IntEnum):
    """VHOST_USER_PROTOCOL_F_*: bit numbers."""

    MQ = 0
    LOG_SHMFD = 1
    RARP = 2
    REPLY_ACK = 3
    MTU = 4
    BACKEND_REQ = 5
    CROSS_ENDIAN = 6
    CRYPTO_SESSION = 7
    PAGEFAULT = 8
    CONFIG = 9
    BACKEND_SEND_FD = 10
    HOST_NOTIFIER = 11
    INFLIGHT_SHMFD = 12
    RESET_DEVICE = 13
    INBAND_NOTIFICATIONS = 14
    CONFIGURE_MEM_SLOTS = 15
    STATUS = 16
    XEN_MMAP = 17
    SHARED_OBJECT = 18
    DEVICE_STATE = 19
    GET_VRING_BASE_INFLIGHT = 20
    GPA_ADDRESSES = 21
    SHMEM_MAP = 22


class FrontendRequest(IntEnum):
    """VHOST_USER_*: what a front-end asks."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_LOG_BASE = 6
    SET_LOG_FD = 7
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    SEND_RARP = 19
    NET_SET_MTU = 20
    SET_BACKEND_REQ_FD = 21
    IOTLB_MSG = 22
    SET_VRING_ENDIAN = 23
    GET_CONFIG = 24
    SET_CONFIG = 25
    CREATE_CRYPTO_SESSION = 26
    CLOSE_CRYPTO_SESSION = 27
    POSTCOPY_ADVISE = 28
    POSTCOPY_LISTEN = 29
    POSTCOPY_END = 30
    GET_INFLIGHT_FD = 31
    SET_INFLIGHT_FD = 32
    GPU_SET_SOCKET = 33
    RESET_DEVICE = 34
    VRING_KICK = 35
    GET_MAX_MEM_SLOTS = 36
    ADD_MEM_REG = 37
    REM_MEM_REG = 38
    SET_STATUS = 39
    GET_STATUS = 40
    GET_SHARED_OBJECT = 41
    SET_DEVICE_STATE_FD = 42
    CHECK_DEVICE_STATE = 43
    GET_SHMEM_CONFIG = 44


class BackendRequest(IntEnum):
    """VHOST_USER_BACKEND_*: what a back-end asks, on a socket of its own (SET_BACKEND_REQ_FD)."""

    IOTLB_MSG = 1
    CONFIG_CHANGE_MSG = 2
    VRING_HOST_NOTIFIER_MSG = 3
    VRING_CALL = 4
    VRING_ERR = 5
    SHARED_OBJECT_ADD = 6
    SHARED_OBJECT_REMOVE = 7
    SHARED_OBJECT_LOOKUP = 8
    SHMEM_MAP = 9
    SHMEM_UNMAP = 10


@wire("VhostUserHeader", 12)
class Header(Record, frozen=True):
    """request: a FrontendRequest or BackendRequest. flags: VERSION and HeaderFlag bits. size: bytes of the payload."""

    request: native32 = 0
    flags: native32 = VERSION
    size: native32 = 0


@wire("VhostUserU64", 8)
class U64(Record, frozen=True):
    """A number: feature bits, a status, success (0) or failure; of a vring's descriptor, its index and VRING_NOFD."""

    value: native64 = 0


@wire("vhost_vring_state", 8)
class VringState(Record, frozen=True):
    """vhost_vring_state: index: the queue. num: its size, its next available index, or whether it is enabled."""

    index: native32 = 0
    num: native32 = 0


class VringFlag(IntFlag):
    """VHOST_VRING_F_*: writes to the used ring are logged, for migration."""

    LOG = 1 << 0


@wire("vhost_vring_addr", 40)
class VringAddr(Record, frozen=True):
    """vhost_vring_addr: where a queue's parts are, as user addresses (see MemoryRegion). flags: VringFlag bits."""

    index: native32 = 0
    flags: native32 = 0
    desc_user_addr: native64 = 0
    used_user_addr: native64 = 0
    avail_user_addr: native64 = 0
    log_guest_addr: native64 = 0


@wire("VhostUserMemoryRegion", 32)
class MemoryRegion(Record, frozen=True):
    """Guest memory: `memory_size` bytes at guest_phys_addr, of a descriptor from mmap_offset on.

    userspace_addr: where the front-end has them; what ring addresses are counted in.
    """

    guest_phys_addr: native64 = 0
    memory_size: native64 = 0
    userspace_addr: native64 = 0
    mmap_offset: native64 = 0


@wire("VhostUserMemory", 8)
class Memory(Record, frozen=True):
    """All of guest memory: a region for each descriptor, in this order."""

    nregions: native32 = 0
    padding: native32 = 0
    regions: Annotated[Sequence[MemoryRegion], construct.Array(construct.this.nregions, MemoryRegion.layout.struct)] = (
        Records(MemoryRegion, b"")
    )


@wire("VhostUserMemRegMsg", 40)
class MemReg(Record, frozen=True):
    """One more region, or one less (CONFIGURE_MEM_SLOTS)."""

    padding: native64 = 0
    region: MemoryRegion = MemoryRegion()


@wire("VhostUserConfig", 12)
class ConfigSpace(Record, frozen=True):
    """`size` bytes of the device's configuration space from `offset` on. flags: 0 for a write by the driver."""

    offset: native32 = 0
    size: native32 = 0
    flags: native32 = 0
    region: Annotated[bytes, construct.Bytes(construct.this.size)] = b""


@wire("VhostUserInflight", 20)
class Inflight(Record, frozen=True):
    """Memory that outlives the back-end, to know what was in flight."""

    mmap_size: native64 = 0
    mmap_offset: native64 = 0
    num_queues: native16 = 0
    queue_size: native16 = 0


class MapFlag(IntFlag):
    """VHOST_USER_FLAG_MAP_*: the guest may write; else the pages are read-only."""

    RW = 1 << 0


@wire("VhostUserMMap", 40)
class Mmap(Record, frozen=True):
    """SHMEM_MAP: show `len` bytes of the descriptor, from fd_offset on, at shm_offset of the shared memory region
    `shmid`. SHMEM_UNMAP: exactly one such mapping ends. Offsets and lengths in bytes. flags: MapFlag bits.
    """

    shmid: u8 = 0
    padding: Annotated[bytes, construct.Bytes(7)] = bytes(7)
    fd_offset: native64 = 0
    shm_offset: native64 = 0
    len: native64 = 0
    flags: native64 = 0


_NO_SIZES = (0,) * MAX_SHMEM_REGIONS


@wire("VhostUserShMemConfig", 8 + 8 * MAX_SHMEM_REGIONS)
class ShmemConfig(Record, frozen=True):
    """nregions: how many of the sizes are not 0. memory_sizes: bytes, whole pages, by shmid."""

    nregions: native32 = 0
    padding: native32 = 0
    memory_sizes: Annotated[Sequence[int], construct.Array(MAX_SHMEM_REGIONS, construct.Int64ul)] = _NO_SIZES


_F, _B = FrontendRequest, BackendRequest
#: request -> its payload, of all that have one and concern a virtio-gpu device; any other has none
FRONTEND_PAYLOADS: Mapping[int, type[Record]] = MappingProxyType(
    {
        **dict.fromkeys((_F.SET_FEATURES, _F.SET_PROTOCOL_FEATURES, _F.SET_STATUS), U64),
        **dict.fromkeys((_F.SET_VRING_KICK, _F.SET_VRING_CALL, _F.SET_VRING_ERR), U64),
        **dict.fromkeys((_F.SET_VRING_NUM, _F.SET_VRING_BASE, _F.GET_VRING_BASE, _F.SET_VRING_ENABLE), VringState),
        **dict.fromkeys((_F.ADD_MEM_REG, _F.REM_MEM_REG), MemReg),
        **dict.fromkeys((_F.GET_CONFIG, _F.SET_CONFIG), ConfigSpace),
        **dict.fromkeys((_F.GET_INFLIGHT_FD, _F.SET_INFLIGHT_FD), Inflight),
        _F.SET_MEM_TABLE: Memory,
        _F.SET_VRING_ADDR: VringAddr,
    }
)
BACKEND_PAYLOADS: Mapping[int, type[Record]] = MappingProxyType(dict.fromkeys((_B.SHMEM_MAP, _B.SHMEM_UNMAP), Mmap))
#: a front-end's request that is always answered -> what with
REPLIES: Mapping[int, type[Record]] = MappingProxyType(
    {
        **dict.fromkeys((_F.GET_FEATURES, _F.GET_PROTOCOL_FEATURES, _F.GET_QUEUE_NUM, _F.GET_STATUS), U64),
        **dict.fromkeys((_F.GET_MAX_MEM_SLOTS,), U64),
        _F.GET_VRING_BASE: VringState,
        _F.GET_CONFIG: ConfigSpace,
        _F.GET_INFLIGHT_FD: Inflight,
        _F.GET_SHMEM_CONFIG: ShmemConfig,
    }
)
