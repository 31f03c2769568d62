"""Every live mapping of every page, and the pairs of them that disagree."""

from collections.abc import Hashable, Iterable, Iterator
from enum import Enum
from itertools import count
from typing import NamedTuple

import msgspec
from sortedcontainers import SortedList

from vgpu_emu.attributes.alias_rules import Judgement, Verdict, rulebook
from vgpu_emu.attributes.derivation import Effective
from vgpu_emu.attributes.platform import Platform


class Role(Enum):
    """Who looks at the page."""

    #: the driver that allocated it, through its CPU mapping
    EXPORTER = "exporter"
    #: that driver's device, without a CPU
    GPU = "gpu"
    HOST_USER = "host user space"
    VMM = "VMM memslot"
    GUEST_KERNEL = "guest kernel"
    GUEST_USER = "guest user space"


class Mapping(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A mapping of the bytes offset..offset+length of one buffer. Two mappings with equal members are still two.

    buffer: the memory itself (a dma-buf, a blob), by any hashable name. who: which program or driver. step: what
    created the mapping, in the words of the run: "7: RESOURCE_MAP_BLOB".
    """

    buffer: Hashable
    offset: int
    length: int
    effective: Effective
    role: Role
    who: str
    step: str

    @property
    def end(self) -> int:
        return self.offset + self.length

    def __str__(self) -> str:
        return f"{self.role.value} {self.who} ({self.effective.value}, step {self.step})"


class Conflict(NamedTuple):
    """Two live mappings of the same bytes whose types are not simply allowed beside each other.

    The younger of the two is `second`: its step created the conflict.
    """

    first: Mapping
    second: Mapping
    offset: int
    length: int
    verdict: Verdict
    rule: str

    @property
    def step(self) -> str:
        return self.second.step

    def __str__(self) -> str:
        place = f"{self.second.buffer} {self.offset:#x}+{self.length:#x}"
        return f"{self.verdict.value}: {place}: {self.first} and {self.second}: {self.rule}"


#: mappings of one buffer with one type that are looked through one by one; more are kept in order of their offset
SCAN = 32


class _Shelf:
    """The live mappings of one buffer that have one effective type.

    index: by number of bits of the length, so that all mappings of a list are about as long and those that reach into a
    range start in a short stretch before it.
    """

    __slots__ = ("index", "live")

    def __init__(self) -> None:
        self.live: dict[Mapping, int] = {}
        self.index: dict[int, SortedList] | None = None

    def add(self, mapping: Mapping, serial: int) -> None:
        self.live[mapping] = serial
        if self.index is not None:
            self._enter(mapping, serial)

    def remove(self, mapping: Mapping) -> None:
        serial = self.live.pop(mapping)
        if self.index is not None:
            self.index[mapping.length.bit_length()].remove((mapping.offset, serial, mapping))

    def overlapping(self, start: int, end: int) -> list[Mapping]:
        if self.index is None and len(self.live) > SCAN:
            self.index = {}
            for mapping, serial in self.live.items():
                self._enter(mapping, serial)
        candidates: Iterable[Mapping] = self.live if self.index is None else self._near(start, end)
        return [mapping for mapping in candidates if mapping.offset < end and mapping.end > start]

    def _enter(self, mapping: Mapping, serial: int) -> None:
        assert self.index is not None
        bits = mapping.length.bit_length()
        entries = self.index.get(bits)
        if entries is None:
            entries = self.index[bits] = SortedList()
        entries.add((mapping.offset, serial, mapping))

    def _near(self, start: int, end: int) -> Iterator[Mapping]:
        assert self.index is not None
        for bits, entries in self.index.items():
            for _, _, mapping in entries.irange((start - (1 << bits),), (end,)):
                yield mapping


class AliasChecker:
    """Told of each map and unmap; answers with the conflicts a map creates.

    Costs O(log n + overlaps) of the mappings of the same buffer, and less where no pair of its types can conflict.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self._buffers: dict[Hashable, dict[Effective, _Shelf]] = {}
        self._serial = count()
        self._wary: dict[Effective, dict[Effective, Judgement]] = {
            one: {other: seen for other, seen in row.items() if seen.verdict is not Verdict.ALLOWED}
            for one, row in rulebook(platform).items()
        }

    def map(self, mapping: Mapping) -> list[Conflict]:
        """Take in a mapping. Returns its conflicts with those that live.

        Raises ValueError for an empty or negative range, for a type the platform has not, or for a mapping that lives
        already.
        """
        wary = self._wary.get(mapping.effective)
        if wary is None:
            raise ValueError(f"{mapping.effective.value} is no type of {self.platform.name}")
        if mapping.length <= 0 or mapping.offset < 0:
            raise ValueError(f"{mapping} has no bytes")
        shelves = self._buffers.get(mapping.buffer)
        if shelves is None:
            shelves = self._buffers[mapping.buffer] = {}
        conflicts: list[Conflict] = []
        for effective, shelf in shelves.items():
            judgement = wary.get(effective)
            if judgement is not None:
                conflicts += _pairs(mapping, shelf, judgement)
        own = shelves.get(mapping.effective)
        if own is None:
            own = shelves[mapping.effective] = _Shelf()
        elif mapping in own.live:
            raise ValueError(f"{mapping} lives already")
        own.add(mapping, next(self._serial))
        return conflicts

    def unmap(self, mapping: Mapping) -> None:
        """Forget a mapping. Raises KeyError for one that does not live."""
        shelves = self._buffers[mapping.buffer]
        shelf = shelves[mapping.effective]
        shelf.remove(mapping)
        if not shelf.live:
            del shelves[mapping.effective]
            if not shelves:
                del self._buffers[mapping.buffer]

    def mappings(self, buffer: Hashable, offset: int = 0, length: int = 1 << 64) -> list[Mapping]:
        """The live mappings of a range of a buffer, oldest first."""
        shelves = self._buffers.get(buffer, {}).values()
        found = [(shelf.live[each], each) for shelf in shelves for each in shelf.overlapping(offset, offset + length)]
        return [mapping for _, mapping in sorted(found, key=lambda pair: pair[0])]

    def __len__(self) -> int:
        return sum(len(shelf.live) for shelves in self._buffers.values() for shelf in shelves.values())


def _pairs(mapping: Mapping, shelf: _Shelf, judgement: Judgement) -> Iterator[Conflict]:
    """The conflicts of a mapping with a shelf. An exporter and its own GPU are no pair: its driver does the upkeep."""
    for other in shelf.overlapping(mapping.offset, mapping.end):
        if {mapping.role, other.role} != _OWN_DEVICE:
            start = max(mapping.offset, other.offset)
            yield Conflict(other, mapping, start, min(mapping.end, other.end) - start, *judgement)


_OWN_DEVICE = {Role.EXPORTER, Role.GPU}
