"""A capture's requests sent to a device that is not ours, and its answers compared with the recorded ones."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from vgpu_emu.ids import BlobId
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.peers.front.machine import DeviceMachine, FrontConfig
from vgpu_emu.peers.front.source import Source
from vgpu_emu.replaying import Comparison, Outcome, chain_of, infer, message_in
from vgpu_emu.trace.capture import Exchange
from vgpu_wire.blob import MapCache, ResourceCreateBlob
from vgpu_wire.control import FIRST_ERROR
from vgpu_wire.device import Feature
from vgpu_wire.resource import MemEntry, ResourceAttachBacking

#: bytes of the guest's memory, and where in it the recorded guest's pages are put
MEMORY, _FIRST = 1 << 28, 1 << 20
#: device-writable bytes of a request whose capture does not say
_ROOM = 1 << 16
_PAGE = 4096


class DeviceFailed(Exception):  # noqa: N818 - what happens to the device
    """The device is of no use any more, from this request on; what was answered before is in `outcome`."""

    def __init__(self, exchange: Exchange, error: DeviceError, outcome: Outcome) -> None:
        super().__init__(f"#{exchange.order}: {error}")
        self.outcome = outcome


class Relocation:
    """Puts memory entries where there is memory: one recorded range always at one place, as far as there is room.

    What was in the memory nobody recorded. When all of it is used, ranges share it.
    """

    def __init__(self, size: int = MEMORY) -> None:
        self._size = size
        self._next = _FIRST
        self._places: dict[tuple[int, int], int] = {}

    def relocated(self, exchange: Exchange) -> bytes:
        """The request; with other addresses if it has some that the recorded device has taken."""
        request, response = message_in(exchange.request), message_in(exchange.response)
        if not isinstance(request, ResourceAttachBacking | ResourceCreateBlob) or not request.entries:
            return exchange.request
        if response is None or response.type >= FIRST_ERROR:
            # it may have been the addresses that were wrong
            return exchange.request
        entries = [MemEntry(addr=self._place(e.addr, e.length), length=e.length) for e in request.entries]
        return replace(request, entries=entries).build()

    def _place(self, address: int, length: int) -> int:
        if (known := self._places.get((address, length))) is not None:
            return known
        start, offset = self._next, address % _PAGE
        needed = -(-(offset + length) // _PAGE) * _PAGE
        if start + needed > self._size:
            start = _FIRST
        if start + needed > self._size:
            return address
        self._next = start + needed
        self._places[address, length] = start + offset
        return start + offset


async def replay_on_device(
    exchanges: Sequence[Exchange],
    source: Source,
    *,
    features: frozenset[Feature] | None = None,
    map_infos: Mapping[BlobId, MapCache] | None = None,
) -> Outcome:
    """Send every request, in order, to one device. features: wanted of what it offers; None: inferred.

    Raises DeviceError if it cannot be set up, CommandError, DeviceFailed.
    """
    offer = infer(exchanges)
    wanted = frozenset(offer.features) if features is None else features
    config = FrontConfig(features=wanted, scanouts=tuple(offer.scanouts), guest_memory=MEMORY)
    async with source.open(config) as machine:
        return await _replay(exchanges, machine, Comparison(map_infos or {}))


async def _replay(exchanges: Sequence[Exchange], machine: DeviceMachine, comparison: Comparison) -> Outcome:
    relocation = Relocation()
    for done, exchange in enumerate(exchanges):
        chain = chain_of(exchange, _ROOM)
        machine.port.send([replace(chain, readable=relocation.relocated(exchange))])
        try:
            written = await _answer(machine, exchange.order)
        except DeviceError as error:
            raise DeviceFailed(exchange, error, Outcome(done, comparison.differences, machine.log.events)) from None
        comparison.add(exchange, written, [])
    return Outcome(len(exchanges), comparison.differences, machine.log.events)


async def _answer(machine: DeviceMachine, head: int) -> bytes:
    while True:
        for used in await machine.port.receive():
            if used.head == head:
                return used.written
