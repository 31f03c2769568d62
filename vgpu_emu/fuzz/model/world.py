"""What a device must know of itself, as the reference has it: resources, contexts, displays, work of the renderer."""

from collections.abc import Iterator, Sequence

import msgspec

from vgpu_emu.fuzz.model.setup import PAGE, Asks, Setup
from vgpu_wire.blob import BlobMem
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.device import Feature
from vgpu_wire.display import Rect

_GUEST = BlobMem.GUEST.value
BYTES_PER_PIXEL = 4
#: what every host has memory for: bytes of a resource, pixels of a side; more may be refused, RESP_ERR_OUT_OF_MEMORY
MODEST_BYTES, MODEST_SIDE = 1 << 16, 256
#: seconds that fences may come later than all work that there is: nothing says how fast a GPU is or how often a host
#: looks, which is every 10 ms in QEMU
PATIENCE = 0.1


class Resource(msgspec.Struct):
    """A 2D or 3D image or a blob. pixels: of an image. stretches: (address, bytes) of its backing; None: it has none.

    buffer: bytes of the host's buffer behind a blob, whole pages; 0: there is none.
    offset: where a blob is in the region; None: nowhere. map_info: what its mapping was answered with; None: nobody
    has seen that.
    """

    resource_id: int
    kind: str
    format: int = 0
    width: int = 0
    height: int = 0
    depth: int = 1
    layers: int = 1
    last_level: int = 0
    size: int = 0
    buffer: int = 0
    blob_mem: int = 0
    blob_flags: int = 0
    exporter: int = 0
    pixels: bytearray = msgspec.field(default_factory=bytearray)
    stretches: Sequence[tuple[int, int]] | None = None
    offset: int | None = None
    map_info: int | None = None
    uuid: bytes | None = None

    @property
    def pages(self) -> int:
        """Bytes that it takes in the region: whole pages."""
        return -(-self.size // PAGE) * PAGE

    @property
    def on_host(self) -> bool:
        return self.kind == "blob" and self.blob_mem != _GUEST


class Context(msgspec.Struct):
    """context_init: as it was created with. work: ring -> microseconds that streams have asked for.

    objects: blob id -> (exporter, bytes), as its command stream allocated them and no resource took them yet.
    """

    context_init: int = 0
    work: dict[int, int] = msgspec.field(default_factory=dict)
    objects: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)
    attached: set[int] = msgspec.field(default_factory=set)


class Scanout(msgspec.Struct):
    """shown: (resource, rectangle, format, stride, offset); None: nothing. cursor: x, y, hot x, hot y, resource.

    updates: how often a flush has touched what is shown. flushed: the pixels of the resource that were, as one
    rectangle, since this VMM is there.
    """

    width: int
    height: int
    enabled: bool = True
    shown: tuple[int, Rect, int, int, int] | None = None
    cursor: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    updates: int = 0
    flushed: Rect | None = None


class Pending(msgspec.Struct):
    """A fenced request whose answer waits. due: when its work is done, in seconds. firm: and no earlier, as nobody
    has destroyed the context of the work. works: when the work of each ring was done that it waits for."""

    head: int
    queue: int
    timeline: tuple[int, int]
    due: float
    firm: bool = True
    fence_id: int = 0
    works: dict[tuple[int, int], float] = {}

    @property
    def earliest(self) -> float:
        """Before then the work is not done that nobody has taken back."""
        return self.due if self.firm else max(self.works.values(), default=0.0)


class World:
    """One device from its reset on."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        #: bits that the present driver accepted
        self.features = setup.features
        self.now = 0.0
        #: guest memory as it must be; the target fills it
        self.memory = bytearray()
        self.scanouts = [Scanout(width, height) for width, height in setup.scanouts]
        #: the host maps uncached what exporters call write-combined, so that a guest may, too
        self.uncached = False
        #: index -> the capability set that it is, as far as the device has said so
        self.capsets: dict[int, tuple[int, int, int]] = {}
        #: what the device has behind them is what `contexts.capset_data` says
        self.has_our_capsets = True
        #: config.events_read: what the user changed since the driver cleared it
        self.events = 0
        self.forget_all()

    def forget_all(self) -> None:
        """Device reset: displays are plugged as before, everything of the driver's is gone."""
        self.resources: dict[int, Resource] = {}
        self.contexts: dict[int, Context] = {}
        self.pending: list[Pending] = []
        #: blobs whose buffer the VMM may not have got, because the host was made to fail
        self.doubtful: set[int] = set()
        #: (context, ring) -> when its work is done
        self.busy: dict[tuple[int, int], float] = {}
        for scanout in self.scanouts:
            scanout.shown, scanout.cursor = None, (0, 0, 0, 0, 0)
        #: bytes of images, of blobs, of the host's buffers that blobs were made of
        self.image_bytes = self.blob_bytes = 0

    def has(self, feature: Feature) -> bool:
        """It was negotiated."""
        return bool(self.features >> feature & 1)

    # -- numbers that the device's own must agree with

    @property
    def objects(self) -> int:
        """Buffers of the host: those in contexts, and those that became resources."""
        free = sum([len(context.objects) for context in self.contexts.values()])
        return free + sum([resource.on_host for resource in self.resources.values()])

    @property
    def object_bytes(self) -> int:
        free = sum([size for context in self.contexts.values() for _exporter, size in context.objects.values()])
        return free + sum([resource.buffer for resource in self.resources.values()])

    @property
    def mapped(self) -> list[tuple[int, int]]:
        """(offset, bytes) of every mapping, in order."""
        return sorted([(r.offset, r.pages) for r in self.resources.values() if r.offset is not None])

    # -- guest memory, through a backing

    def _pieces(self, resource: Resource, offset: int, length: int) -> Iterator[slice]:
        """Where in guest memory [offset, offset + length) of a backing is."""
        for address, size in resource.stretches or ():
            if offset < size and length:
                part = min(size - offset, length)
                yield slice(address + offset, address + offset + part)
                offset, length = 0, length - part
            else:
                offset -= min(size, offset)

    def gather(self, resource: Resource, offset: int, length: int) -> bytes:
        return b"".join([self.memory[piece] for piece in self._pieces(resource, offset, length)])

    def scatter(self, resource: Resource, offset: int, data: bytes | bytearray) -> None:
        done = 0
        for piece in self._pieces(resource, offset, len(data)):
            size = piece.stop - piece.start
            self.memory[piece] = data[done : done + size]
            done += size

    # -- changes

    def add(self, resource: Resource) -> None:
        self.resources[resource.resource_id] = resource
        if resource.kind == "blob":
            self.blob_bytes += resource.size
        else:
            self.image_bytes += len(resource.pixels)

    def drop(self, resource: Resource) -> None:
        """RESOURCE_UNREF: nothing refers to it any more."""
        del self.resources[resource.resource_id]
        self.doubtful.discard(resource.resource_id)
        if resource.kind == "blob":
            self.blob_bytes -= resource.size
        else:
            self.image_bytes -= len(resource.pixels)
        for context in self.contexts.values():
            context.attached.discard(resource.resource_id)
        for scanout in self.scanouts:
            if scanout.shown is not None and scanout.shown[0] == resource.resource_id:
                scanout.shown = None
            if scanout.cursor[4] == resource.resource_id:
                scanout.cursor = (*scanout.cursor[:2], 0, 0, 0)

    def work(self, ring: tuple[int, int], seconds: float) -> None:
        self.busy[ring] = max(self.now, self.busy.get(ring, 0.0)) + seconds

    def _work(self, timeline: tuple[int, int]) -> float:
        """When the work of a timeline is done."""
        return max(self.busy.values(), default=0.0) if timeline == GLOBAL else self.busy.get(timeline, 0.0)

    def works(self, timeline: tuple[int, int]) -> dict[tuple[int, int], float]:
        """Of the rings that a fence on this timeline waits for."""
        return {ring: until for ring, until in self.busy.items() if timeline in (GLOBAL, ring)}

    def due(self, timeline: tuple[int, int]) -> float:
        """When a fence that is made now is complete: behind the work, and the fences before it, of its timeline."""
        before = [pending.due for pending in self.pending if pending.timeline == timeline]
        return max([self._work(timeline), *before])

    def latest(self, pending: Pending) -> float:
        """When the answer must have come."""
        return max([pending.due, *self.busy.values()]) + PATIENCE

    @property
    def left(self) -> float:
        """Seconds until all work is done, and all that waits for it must have been answered."""
        ends = [*self.busy.values(), *[self.latest(pending) for pending in self.pending]]
        return max([self.now, *ends]) - self.now

    def restarted(self) -> None:
        """A VMM that goes on asks about every fence anew: it may come as late as all work that is there by now. It has
        shown nothing yet."""
        for scanout in self.scanouts:
            scanout.flushed = None
        for pending in self.pending:
            work = self._work(pending.timeline)
            if work > pending.due:
                pending.due, pending.firm = work, False


#: the timeline of fences without INFO_RING_IDX
GLOBAL = (0, -1)

#: what map_info a blob of this exporter has, by who is asked; None: it must not be mapped, or nobody can say
#: (the series' first posting has no word for incoherent, and msm calls that cached)
MAP_INFO: dict[Asks, dict[int, int | None]] = {
    Asks.RFC1: {
        ExporterKind.WC: 3,
        ExporterKind.CACHED: 1,
        ExporterKind.INCOHERENT: 1,
        ExporterKind.SILENT: None,
        ExporterKind.DRM: None,
    },
    Asks.RFC3: {
        ExporterKind.WC: 3,
        ExporterKind.CACHED: 1,
        ExporterKind.INCOHERENT: None,
        ExporterKind.SILENT: None,
        ExporterKind.DRM: None,
    },
}
