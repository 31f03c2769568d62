"""What makers of requests choose from: ids, resources, contexts, rectangles, guest memory."""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, TypeVar

from vgpu_emu.fuzz.model.setup import PAGE
from vgpu_emu.fuzz.model.world import Resource, World
from vgpu_wire.display import Rect
from vgpu_wire.layout import Record
from vgpu_wire.resource import Format, MemEntry


class Ids(NamedTuple):
    """How many ids are in use, and how far they lie apart: those that are far apart have the same low bits."""

    number: int
    step: int = 1

    def nth(self, place: int) -> int:
        """0 is 0: no id at all."""
        return 1 + (place - 1) * self.step if place else 0

    def any(self, rng: Random) -> int:
        return self.nth(int(rng.random() * (self.number + 1)))


Maker = Callable[[Random, World, Ids], Record]
T = TypeVar("T")
FORMATS = tuple(fmt.value for fmt in Format)


def choose(rng: Random, items: Sequence[T]) -> T:
    return items[int(rng.random() * len(items))]


def live(rng: Random, world: World, ids: Ids, wanted: Callable[[Resource], object] = bool) -> int:
    """A resource that is wanted, often the youngest, to which then much happens; now and then, or if there is none, any
    id."""
    found = [r.resource_id for r in world.resources.values() if wanted(r)]
    if found and rng.random() < 0.3:
        return found[-1]
    return choose(rng, found) if found and rng.random() < 0.95 else ids.any(rng)


def free_id(rng: Random, world: World, ids: Ids) -> int:
    """An id for something new: mostly the lowest that is free, so that ids are used again soon."""
    if rng.random() < 0.05:
        return ids.any(rng)
    numbers = map(ids.nth, range(1, len(world.resources) + 2))
    return next(number for number in numbers if number not in world.resources)


def some_context(rng: Random, world: World, ids: Ids) -> int:
    found = list(world.contexts)
    return choose(rng, found) if found and rng.random() < 0.97 else ids.nth(int(rng.random() * 4))


def some_rect(rng: Random, width: int, height: int) -> Rect:
    if rng.random() < 0.4:
        return Rect(width=width, height=height)
    x, y = int(rng.random() * width), int(rng.random() * height)
    return Rect(x=x, y=y, width=1 + int(rng.random() * (width - x)), height=1 + int(rng.random() * (height - y)))


def shown_rect(rng: Random, width: int, height: int) -> Rect:
    """Of at least 16x16 pixels where there are so many: no less is shown."""
    r = some_rect(rng, max(width - 15, 1), max(height - 15, 1)) if rng.random() < 0.9 else some_rect(rng, width, height)
    return Rect(x=r.x, y=r.y, width=min(r.width + 15, width - r.x), height=min(r.height + 15, height - r.y))


def some_entries(rng: Random, world: World, size: int) -> list[MemEntry]:
    """Guest memory of at least so many bytes, in a few pieces."""
    left = max(size, 1)
    if rng.random() < 0.01:
        return [MemEntry(addr=place, length=left) for place in range(world.setup.entries + choose(rng, (0, 1)))]
    found: list[MemEntry] = []
    most = choose(rng, (1, 4, 4, 12))
    while left > 0:
        if rng.random() < 0.02:
            # of no bytes: nothing forbids it
            found.append(MemEntry(addr=_address(rng, world, 0, found)))
        length = left if len(found) >= most - 1 or rng.random() < 0.3 else 1 + int(rng.random() * left)
        found.append(MemEntry(addr=_address(rng, world, length, found), length=length % (1 << 32)))
        left -= length
    return found


def _address(rng: Random, world: World, length: int, before: list[MemEntry]) -> int:
    """Anywhere; on a page; behind the piece before, or once more where that is; at the end of the memory."""
    end, choice = world.setup.memory - length, rng.random()
    if choice < 0.02:
        return max(end + choose(rng, (0, 1)), 0)
    if choice < 0.12 and before:
        address = before[-1].addr + (before[-1].length if choice < 0.08 else 0)
        return address if address <= end else 0
    address = int(rng.random() * max(end, 1))
    return address & -PAGE if choice < 0.4 else address
