"""What a front-end says before the first request: features, memory, queues (in QEMU's order)."""

import msgspec

from vgpu_emu.guest.probe import VERSION_1
from vgpu_emu.peers.front.errors import DeviceError, DeviceFault
from vgpu_emu.peers.front.link import ControlLink
from vgpu_emu.peers.front.memory import SharedMemory
from vgpu_emu.peers.front.offer import Offer
from vgpu_emu.peers.front.port import Notifiers
from vgpu_wire.device import CONTROLQ, CURSORQ, Config, Feature, ShmId
from vgpu_wire.errors import WireError
from vgpu_wire.vhost_user import (
    U64,
    ConfigSpace,
    FrontendRequest,
    ProtocolFeature,
    ShmemConfig,
    VringState,
)

QUEUES = (CONTROLQ, CURSORQ)
#: capability sets that a device can have: their ids are below 64
MAX_CAPSETS = 64
#: without blob_alignment, which devices before virtio 1.4 do not have
_SHORT_CONFIG = Config.layout.size - 4
_R = FrontendRequest


async def read_offer(link: ControlLink) -> Offer:
    """Everything up to the configuration space. Raises DeviceError."""
    features = (await link.ask(_R.GET_FEATURES, U64)).value
    offer = Offer(features, 0)
    if not features >> VERSION_1 & 1:
        raise DeviceError(DeviceFault.LACKS, "VIRTIO_F_VERSION_1 is not offered")
    if offer.has_protocol:
        offer = Offer(features, (await link.ask(_R.GET_PROTOCOL_FEATURES, U64)).value)
    await link.tell(_R.SET_OWNER)
    if offer.has_protocol:
        accepted = offer.accepted_protocol()
        await link.tell(_R.SET_PROTOCOL_FEATURES, U64(value=accepted))
        link.protocol_features = accepted
    config, size = await read_config(link, offer), 0
    if link.has(ProtocolFeature.SHMEM_MAP):
        size = (await link.ask(_R.GET_SHMEM_CONFIG, ShmemConfig)).memory_sizes[ShmId.HOST_VISIBLE]
    return msgspec.structs.replace(offer, config=config, host_visible=size)


async def read_config(link: ControlLink, offer: Offer) -> Config:
    """The configuration space; of a device that does not let one read it, one scanout. Raises DeviceError."""
    if not link.has(ProtocolFeature.CONFIG):
        return Config(num_scanouts=1)
    size = Config.layout.size if Feature.BLOB_ALIGNMENT in offer.gpu_features else _SHORT_CONFIG
    answer = await link.ask(_R.GET_CONFIG, ConfigSpace, ConfigSpace(size=size, region=bytes(size)))
    try:
        config = Config.parse(answer.region.ljust(Config.layout.size, b"\0"))
    except WireError as wrong:
        raise DeviceError(DeviceFault.PROTOCOL, f"configuration space: {wrong}") from None
    if config.num_capsets > MAX_CAPSETS:
        raise DeviceError(DeviceFault.PROTOCOL, f"{config.num_capsets} capability sets, limit {MAX_CAPSETS}")
    return config


async def connect_queues(link: ControlLink, memory: SharedMemory, notifiers: Notifiers) -> None:
    """Memory and virtqueues are the device's from here on. Raises DeviceError."""
    table = memory.table()
    await link.tell(_R.SET_MEM_TABLE, table, (memory.fileno,) * table.nregions)
    for queue in QUEUES:
        await link.tell(_R.SET_VRING_NUM, VringState(index=queue, num=memory.size(queue)))
        await link.tell(_R.SET_VRING_BASE, VringState(index=queue, num=0))
        await link.tell(_R.SET_VRING_ADDR, memory.address(queue))
        await link.tell(_R.SET_VRING_CALL, U64(value=queue), (notifiers.call,))
        await link.tell(_R.SET_VRING_KICK, U64(value=queue), (notifiers.kicks[queue],))
    if link.protocol_features:
        for queue in QUEUES:
            await link.tell(_R.SET_VRING_ENABLE, VringState(index=queue, num=1))


async def clear_events(link: ControlLink, events: int) -> None:
    """Write events_clear. Raises DeviceError."""
    offset = 4
    data = events.to_bytes(4, "little")
    await link.tell(_R.SET_CONFIG, ConfigSpace(offset=offset, size=len(data), region=data))
