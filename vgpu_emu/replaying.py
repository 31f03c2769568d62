"""A capture's requests sent to the device, and its answers compared with the recorded ones.

A capture says neither what was negotiated nor what was in memory. What the recorded device offered is inferred from
what it answered; addresses are backed by sparse zero memory; command streams of other renderers are taken as they are.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from vgpu_emu.assembly import CAPSETS, Config, size_only
from vgpu_emu.host.renderer import RendererLimits
from vgpu_emu.ids import BlobId
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.trace.capture import Exchange
from vgpu_emu.trace.log import QUEUE_NUMBERS, Event, Log, Note
from vgpu_emu.vmm.command import Capset
from vgpu_emu.vmm.commands import COMMANDS
from vgpu_emu.vmm.profiles import Profile
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.blob import BlobMem, MapCache, ResourceCreateBlob, ResourceMapBlob, RespMapInfo
from vgpu_wire.control import FIRST_ERROR, CtrlFlag, CtrlHdr
from vgpu_wire.device import FEATURE_NEEDS, MAX_SCANOUTS, Feature
from vgpu_wire.display import GetEdid, RespDisplayInfo, SetScanout, SetScanoutBlob
from vgpu_wire.errors import WireError
from vgpu_wire.messages import parse_message, type_name
from vgpu_wire.render import CONTEXT_INIT_CAPSET_ID_MASK, CtxCreate, GetCapsetInfo, RespCapsetInfo

_FENCE = CtrlFlag.FENCE.value
#: device-writable bytes of a request whose capture does not say
CAPACITY = 1 << 20
#: of the device that answers a capture: bytes of its region, so that no offset is too high
HOST_VISIBLE = 1 << 44
_MANY = 1 << 20
_DEFAULT_SIZE = (1024, 768)


class Difference(msgspec.Struct, frozen=True):
    """An answer that is not the recorded one. what: ``type``, ``fence`` or ``map_info``."""

    order: int
    command: str
    what: str
    expected: str
    actual: str
    #: the rules that our device saw broken; that the modelled VMM has panicked
    because: list[str]


class Outcome(msgspec.Struct, frozen=True):
    """events: the log of our device's run."""

    commands: int
    differences: list[Difference]
    events: Sequence[Event] = ()

    @property
    def same(self) -> int:
        return self.commands - len({difference.order for difference in self.differences})


class Offer(msgspec.Struct):
    """What the recorded device must have had to answer as it did."""

    features: set[Feature] = msgspec.field(default_factory=set)
    scanouts: list[tuple[int, int]] = msgspec.field(default_factory=lambda: [_DEFAULT_SIZE])
    capsets: dict[int, Capset] = msgspec.field(default_factory=dict)


def infer(exchanges: Iterable[Exchange]) -> Offer:
    """What was offered: features that commands needed which were answered OK, scanouts and capsets that were named."""
    offer = Offer()
    for exchange in exchanges:
        request, response = message_in(exchange.request), message_in(exchange.response)
        if request is not None and response is not None and response.type < FIRST_ERROR:
            _infer_features(offer, request)
            _infer_hardware(offer, request, response)
    for feature in list(offer.features):
        if feature in FEATURE_NEEDS:
            offer.features.add(FEATURE_NEEDS[feature])
    return offer


def message_in(data: bytes) -> CtrlHdr | None:
    """None: these bytes are no message."""
    try:
        return parse_message(data)
    except WireError:
        return None


def _infer_features(offer: Offer, request: CtrlHdr) -> None:
    commands = {number.value: command for number, command in COMMANDS.items()}
    command = commands.get(request.type)
    if command is not None and command.feature is not None:
        offer.features.add(command.feature)
    if isinstance(request, CtxCreate) and request.context_init:
        offer.features.add(Feature.CONTEXT_INIT)
    if isinstance(request, ResourceCreateBlob) and request.blob_mem != BlobMem.GUEST:
        offer.features.add(Feature.VIRGL)


def _infer_hardware(offer: Offer, request: CtrlHdr, response: CtrlHdr) -> None:
    scanout_id = -1
    match request, response:
        case SetScanout() | SetScanoutBlob(), _:
            scanout_id = request.scanout_id
        case GetEdid(), _:
            scanout_id = request.scanout
        case _, RespDisplayInfo():
            enabled = [(mode.r.width, mode.r.height) for mode in response.pmodes if mode.enabled]
            offer.scanouts = enabled or offer.scanouts
        case GetCapsetInfo(), RespCapsetInfo():
            # a device without that index may answer OK with id 0 or 0xffffffff
            if 0 < response.capset_id < 0xFFFFFFFF:
                offer.capsets[response.capset_id] = Capset(
                    response.capset_max_version, bytes(min(response.capset_max_size, CAPACITY))
                )
        case CtxCreate(), _:
            capset_id = request.context_init & CONTEXT_INIT_CAPSET_ID_MASK
            if capset_id:
                offer.capsets.setdefault(capset_id, Capset(0, b""))
    missing = min(scanout_id + 1, MAX_SCANOUTS) - len(offer.scanouts)
    offer.scanouts += [_DEFAULT_SIZE] * missing


def replay_capture(
    exchanges: Sequence[Exchange],
    profile: Profile,
    *,
    features: frozenset[Feature] | None = None,
    map_infos: dict[BlobId, MapCache] | None = None,
) -> Outcome:
    """Send every request, in order, to one device under this profile. features: None: inferred. map_infos: by blob id.

    Compared are the type of the answer, the fence in it and, for the blob ids in `map_infos`, map_info. Nothing else is
    determined by the protocol. Raises ValueError if the profile's VMM does not take the features together.
    """
    offer = infer(exchanges)
    accepted = (offer.features if features is None else features) & profile.offers
    config = Config(
        profile=profile,
        features=frozenset(accepted),
        scanouts=tuple(offer.scanouts),
        capsets=offer.capsets or CAPSETS,
        opaque_renderer=True,
        map_infos=map_infos or {},
        host_visible=HOST_VISIBLE,
        sparse_memory=1 << 30,
        guest_memory=0,
        backing=size_only,
        max_fds=_MANY,
        device_limits=DeviceLimits(
            resources=_MANY, contexts=_MANY, host_memory=1 << 30, blob_bytes=1 << 50, submit_bytes=1 << 26
        ),
        renderer_limits=RendererLimits(objects=_MANY, host_memory=1 << 50),
    )
    with Lockstep(config) as machine:
        comparison = Comparison(map_infos or {})
        device = _OurDevice(machine, comparison)
        for exchange in exchanges:
            device.send(exchange)
        return Outcome(len(exchanges), comparison.differences, machine.log.events)


class _OurDevice:
    """Our device in lockstep, which is sent what was recorded."""

    def __init__(self, machine: Lockstep, comparison: "Comparison") -> None:
        self.machine = machine
        self.comparison = comparison

    def send(self, exchange: Exchange) -> None:
        log: Log = self.machine.log
        before = len(log.events)
        used = self.machine.submit(chain_of(exchange)) or self._later(exchange)
        noted = (event for event in log.events[before:] if isinstance(event, Note) and event.name == "refused")
        because = [note.values["rule"] for note in noted]
        if (dead := self.machine.parts.device.dead) is not None:
            because.append(f"the VMM panicked at {dead}")
        self.comparison.add(exchange, used.written if used else b"", because)

    def _later(self, exchange: Exchange) -> Used | None:
        """The answer to a fenced request, when the renderer's work is done; None: it has none to do."""
        while (due := self.machine.parts.renderer.rings.next_due) is not None:
            for used in self.machine.advance(due - self.machine.now):
                if used.head == exchange.order:
                    return used
        return None


def chain_of(exchange: Exchange, most: int = CAPACITY) -> Chain:
    """The recorded request. most: device-writable bytes, where they were not recorded."""
    capacity = most if exchange.capacity is None else exchange.capacity
    return Chain(exchange.order, QUEUE_NUMBERS.get(exchange.queue or "controlq", 0), exchange.request, capacity)


class Comparison:
    """Recorded answers beside others. map_infos: by blob id, of the blobs whose map_info is compared."""

    def __init__(self, map_infos: Mapping[BlobId, MapCache]) -> None:
        self.map_infos = map_infos
        self.differences: list[Difference] = []
        #: resource -> the blob id it was made of
        self.blob_ids: dict[int, BlobId] = {}

    def add(self, exchange: Exchange, written: bytes, because: list[str]) -> None:
        """because: why a device answers so."""
        for what, expected, actual in self._compare(exchange, written):
            command = type_name(int.from_bytes(exchange.request[:4], "little"))
            self.differences.append(Difference(exchange.order, command, what, expected, actual, because))

    def _compare(self, exchange: Exchange, written: bytes) -> list[tuple[str, str, str]]:
        found = []
        expected, actual = _type(exchange.response), _type(written)
        if expected != actual:
            found.append(("type", expected, actual))
        elif (fence := _fence(exchange.response)) != _fence(written):
            found.append(("fence", str(fence), str(_fence(written))))
        request, recorded, answer = (message_in(data) for data in (exchange.request, exchange.response, written))
        if isinstance(request, ResourceCreateBlob):
            self.blob_ids[request.resource_id] = BlobId(request.blob_id)
        named = isinstance(request, ResourceMapBlob) and self.blob_ids.get(request.resource_id) in self.map_infos
        if not named or not isinstance(recorded, RespMapInfo) or not isinstance(answer, RespMapInfo):
            return found
        if recorded.map_info != answer.map_info:
            found.append(("map_info", str(recorded.map_info), str(answer.map_info)))
        return found


def _type(data: bytes) -> str:
    return type_name(int.from_bytes(data[:4], "little")) if len(data) >= 4 else "nothing"


def _fence(data: bytes) -> int | None:
    """The fence_id of an answer to a fenced request."""
    if len(data) < CtrlHdr.layout.size:
        return None
    header = CtrlHdr.parse(data[: CtrlHdr.layout.size])
    return header.fence_id if header.flags & _FENCE else None
