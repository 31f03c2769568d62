"""What each word for a cache attribute means for a cache: the colour and the pattern it is shown in."""

import re
from typing import NamedTuple

from vgpu_emu.attributes.derivation import Effective, Kind
from vgpu_emu.attributes.x86 import MemoryType
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.blob import MAP_CACHE_MASK, MapCache

#: kind -> its name and what it means, in the legend
MEANING = {
    Kind.CACHED: ("cached", "reads and writes may stay in the CPU's cache"),
    Kind.COMBINING: ("write-combining", "no cache, but writes gather in a buffer before they leave"),
    Kind.UNCACHED: ("uncached", "every access goes to memory, in order"),
    Kind.SNOOPING: ("snooping", "a device that looks into the CPU's cache"),
    Kind.BYPASSING: ("not snooping", "a device that does not look there: it sees memory only"),
}

_HOST = {
    HostAttribute.WC: Kind.COMBINING,
    HostAttribute.CACHED: Kind.CACHED,
    HostAttribute.INCOHERENT: Kind.CACHED,
    HostAttribute.UNKNOWN: None,
}
_PGPROT = {
    Pgprot.CACHED: Kind.CACHED,
    Pgprot.WRITECOMBINE: Kind.COMBINING,
    Pgprot.NONCACHED: Kind.UNCACHED,
}
_X86 = {
    MemoryType.UC: Kind.UNCACHED,
    MemoryType.UC_MINUS: Kind.UNCACHED,
    MemoryType.WC: Kind.COMBINING,
    MemoryType.WT: Kind.CACHED,
    MemoryType.WP: Kind.CACHED,
    MemoryType.WB: Kind.CACHED,
}
_MAP_CACHE = {
    MapCache.CACHED.value: Kind.CACHED,
    MapCache.UNCACHED.value: Kind.UNCACHED,
    MapCache.WC.value: Kind.COMBINING,
}

#: the words for a type that a layer ends with, in lower case
_TYPES = {effective.value.lower(): effective.kind for effective in Effective} | {
    word.lower(): _X86[memory_type] for memory_type in MemoryType for word in (memory_type.name, memory_type.listed)
}
#: Linux's name for arm64's Normal-WB (MT_NORMAL)
_TYPES["normal"] = Kind.CACHED


class Chip(NamedTuple):
    """A word in the colour of its kind. kind: the name of a Kind, or ``none`` where a cache is told nothing."""

    says: str
    kind: str = "none"


def chip(says: str, kind: Kind | None) -> Chip:
    return Chip(says, kind.value if kind else "none")


def layer_chip(says: str) -> Chip:
    """What a layer says. Where it ends with a memory type it has that one's colour: ``PAT slot 1, WC``."""
    words = re.sub(r" \(\w+\)$", "", says).replace("DEVICE/", "Device-").replace("/", " ").split()
    return chip(says, _TYPES.get(words[-1].lower()) if words else None)


def host_kind(attribute: HostAttribute) -> Kind | None:
    return _HOST[attribute]


def pgprot_kind(pgprot: Pgprot) -> Kind:
    return _PGPROT[pgprot]


def map_info_kind(map_info: int) -> Kind | None:
    """NONE and unknown numbers tell a cache nothing; what a guest makes of them is its own business."""
    return _MAP_CACHE.get(map_info & MAP_CACHE_MASK)


def effective_chip(effective: Effective) -> Chip:
    return chip(effective.value, effective.kind)
