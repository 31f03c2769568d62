"""Scanouts, the cursor on them, and the part of the configuration space that tells of them (virtio 1.4, 5.7.4)."""

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from vgpu_emu.ids import ResourceId
from vgpu_wire.device import MAX_SCANOUTS, Config, ConfigEvent
from vgpu_wire.display import DisplayOne, Rect
from vgpu_wire.terms import Records


class Framebuffer(msgspec.Struct, frozen=True):
    """What a scanout shows: `rect` of a resource. stride, offset: bytes, of the first plane; 0 of an image."""

    resource_id: ResourceId
    rect: Rect
    format: int
    stride: int = 0
    offset: int = 0


class Cursor(msgspec.Struct, frozen=True):
    """Where it is, its hot spot, and the resource with its image; 0: it is hidden. Pixels."""

    x: int = 0
    y: int = 0
    hot_x: int = 0
    hot_y: int = 0
    resource_id: ResourceId = ResourceId(0)


class Scanout(msgspec.Struct):
    """A scanout as the user has it (width, height, x, y in pixels; enabled) and as the driver uses it."""

    width: int
    height: int
    x: int = 0
    y: int = 0
    enabled: bool = True
    shown: Framebuffer | None = None
    cursor: Cursor = Cursor()
    #: how often a flush has touched what is shown
    updates: int = 0


def _size(width: int, height: int) -> tuple[int, int]:
    if not (0 < width < 1 << 32 and 0 < height < 1 << 32):
        raise ValueError(f"{width}x{height} pixels; a display has some, and 32 bits to count them")
    return width, height


class Displays:
    """Up to 16 scanouts. A change by the user sets an event that the driver clears."""

    def __init__(self, sizes: Iterable[tuple[int, int]]) -> None:
        """Raises ValueError for a number or a size that no display has."""
        self.scanouts = [Scanout(*_size(width, height)) for width, height in sizes]
        self.events = 0
        #: scanout -> the EDID of its real display; the others get one of ours
        self.edids: dict[int, bytes] = {}
        #: counts whatever changes a picture or a cursor
        self.changes = 0
        #: scanout -> the pixels of its resource that were flushed, as one rectangle; whoever shows them takes them out
        self.flushed: dict[int, Rect] = {}
        #: scanouts whose cursor has a new image; the same holds
        self.new_cursors: set[int] = set()
        if not 1 <= len(self.scanouts) <= MAX_SCANOUTS:
            raise ValueError(f"{len(self.scanouts)} scanouts; a device has 1 to {MAX_SCANOUTS}")

    def plug(self, scanout_id: int, width: int, height: int) -> None:
        """The user plugs in, or resizes, a display. Raises IndexError; ValueError for a size that no display has."""
        scanout, (width, height) = self.scanouts[scanout_id], _size(width, height)
        scanout.width, scanout.height, scanout.enabled = width, height, True
        self.events |= ConfigEvent.DISPLAY

    def unplug(self, scanout_id: int) -> None:
        """Raises IndexError."""
        self.scanouts[scanout_id].enabled = False
        self.events |= ConfigEvent.DISPLAY

    def clear_events(self, events: int) -> None:
        """The driver writes config.events_clear."""
        self.events &= ~events

    def config(self, num_capsets: int, blob_alignment: int) -> Config:
        return Config(
            events_read=self.events,
            num_scanouts=len(self.scanouts),
            num_capsets=num_capsets,
            blob_alignment=blob_alignment,
        )

    def modes(self) -> Records[DisplayOne]:
        """resp_display_info.pmodes: always 16."""
        return _modes(tuple([(s.x, s.y, s.width, s.height) if s.enabled else None for s in self.scanouts]))

    def find(self, scanout_id: int) -> Scanout | None:
        return self.scanouts[scanout_id] if scanout_id < len(self.scanouts) else None

    def flush(self, resource_id: int, r: Rect) -> int:
        """How many scanouts show a pixel of this rectangle of the resource: they have a new picture."""
        touched = 0
        if not r.width or not r.height:
            return touched
        for number, scanout in enumerate(self.scanouts):
            shown = scanout.shown
            if shown is None or shown.resource_id != resource_id:
                continue
            s = shown.rect
            if s.x < r.x + r.width and r.x < s.x + s.width and s.y < r.y + r.height and r.y < s.y + s.height:
                scanout.updates += 1
                touched += 1
                self.changes += 1
                before = self.flushed.get(number)
                self.flushed[number] = r if before is None or before == r else union(before, r)
        return touched

    def reset(self) -> None:
        """The driver has reset the device: nothing is shown. What the user plugged in stays."""
        for scanout in self.scanouts:
            scanout.shown, scanout.cursor = None, Cursor()

    def forget(self, resource_id: ResourceId) -> None:
        """A resource is gone: whatever shows it shows nothing."""
        self.changes += 1
        for scanout in self.scanouts:
            if scanout.shown is not None and scanout.shown.resource_id == resource_id:
                scanout.shown = None
            if scanout.cursor.resource_id == resource_id:
                scanout.cursor = Cursor(x=scanout.cursor.x, y=scanout.cursor.y)


# they change with the user's displays only, and are asked for with every one of a driver's probes
@lru_cache
def _modes(scanouts: tuple[tuple[int, int, int, int] | None, ...]) -> Records[DisplayOne]:
    modes = [DisplayOne() if place is None else DisplayOne(r=Rect(*place), enabled=1) for place in scanouts]
    return Records.of(DisplayOne, modes + [DisplayOne()] * (MAX_SCANOUTS - len(modes)))


def union(one: Rect, other: Rect) -> Rect:
    """The smallest rectangle that has both."""
    x, y = min(one.x, other.x), min(one.y, other.y)
    right = max(one.x + one.width, other.x + other.width)
    bottom = max(one.y + one.height, other.y + other.height)
    return Rect(x=x, y=y, width=right - x, height=bottom - y)
