"""What the device knows: resources, contexts, limits."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import accumulate

import msgspec

from vgpu_emu.ids import BlobId, ContextId, ResourceId
from vgpu_emu.link.guest_memory import GuestMemory
from vgpu_emu.memory import PAGE_SIZE, PassedFd
from vgpu_wire.blob import BlobMem, MapCache
from vgpu_wire.resource import MemEntry


class DeviceLimits(msgspec.Struct, frozen=True):
    """Beyond each of these a command is answered RESP_ERR_OUT_OF_MEMORY."""

    resources: int = 4096
    contexts: int = 64
    #: bytes of all images (2D and 3D) together
    host_memory: int = 256 << 20
    #: lines of one image, in all of its slices and levels: a transfer may have to take them one by one
    image_lines: int = 1 << 20
    #: bytes of all blobs together
    blob_bytes: int = 256 << 20
    #: memory entries of one command
    entries: int = 16384
    #: bytes of one SUBMIT_3D
    submit_bytes: int = 1 << 20
    #: bytes of one capability set
    capset_bytes: int = 1 << 20
    #: fenced requests whose answer is still due
    fences: int = 1024


class Backing:
    """The guest pages of a resource: stretches of guest memory, in order. `length`: bytes of all of them."""

    def __init__(self, entries: Sequence[MemEntry]) -> None:
        self.stretches = [(entry.addr, entry.length) for entry in entries]
        #: where in the backing each stretch ends, and what makes an address of a place in it
        self._ends = list(accumulate(length for _addr, length in self.stretches))
        self._shifts = [addr + length - end for (addr, length), end in zip(self.stretches, self._ends, strict=True)]
        self.length = self._ends[-1] if self._ends else 0

    def pieces(self, offset: int, length: int) -> list[tuple[int, int]]:
        """(guest physical address, bytes) of [offset, offset + length), as far as it is inside."""
        ends, shifts = self._ends, self._shifts
        index = bisect_right(ends, offset)
        found = []
        while length and index < len(ends):
            part = min(ends[index] - offset, length)
            found.append((offset + shifts[index], part))
            offset, length, index = offset + part, length - part, index + 1
        return found

    def read(self, memory: GuestMemory, offset: int, length: int) -> bytes:
        return b"".join([memory.read(addr, size) for addr, size in self.pieces(offset, length)])

    def read_into(self, memory: GuestMemory, offset: int, target: memoryview) -> None:
        """Fill `target`, without a copy in between."""
        index = bisect_right(self._ends, offset)
        if index < len(self._ends) and offset + len(target) <= self._ends[index]:
            memory.read_into(offset + self._shifts[index], target)
            return
        place = 0
        for addr, size in self.pieces(offset, len(target)):
            memory.read_into(addr, target[place : place + size])
            place += size

    def write(self, memory: GuestMemory, offset: int, data: bytes | bytearray | memoryview) -> None:
        place = 0
        for addr, size in self.pieces(offset, len(data)):
            memory.write(addr, data[place : place + size])
            place += size


#: where pixels start in what is allocated for them. malloc puts large blocks 16 bytes into a page, and there some
#: processors (rep movsb of AMD's Zen) copy whole pages of a guest four times slower
_SKEW = 64


def black(size: int) -> memoryview:
    """That many zeros, for an image."""
    return memoryview(bytearray(_SKEW + size))[_SKEW:]


class Kind(Enum):
    """What kind of resource an id stands for."""

    IMAGE_2D = "2D"
    IMAGE_3D = "3D"
    BLOB = "blob"


class Image(msgspec.Struct):
    """A 2D or 3D resource: pixels on the host, and the guest pages they are transferred from and to.

    format: a virtio-gpu Format of a 2D, a Gallium number of a 3D resource. pixels: line by line, slice by slice, level
    by level, without gaps.
    """

    resource_id: ResourceId
    kind: Kind
    format: int
    width: int
    height: int
    pixels: memoryview
    depth: int = 1
    array_size: int = 1
    last_level: int = 0
    backing: Backing | None = None


class Blob(msgspec.Struct):
    """A blob resource. exported: its dma-buf in the VMM's hands. offset: where it is mapped; None: nowhere."""

    resource_id: ResourceId
    blob_mem: BlobMem
    blob_flags: int
    blob_id: BlobId
    size: int
    backing: Backing | None = None
    exported: PassedFd | None = None
    offset: int | None = None
    #: what the guest was told when it was mapped
    map_info: MapCache | None = None
    kind: Kind = Kind.BLOB

    @property
    def mapped_length(self) -> int:
        """The whole pages that it takes in the region."""
        return -(-self.size // PAGE_SIZE) * PAGE_SIZE


Resource = Image | Blob


def place_of(resources: Mapping[ResourceId, Resource], resource_id: ResourceId) -> tuple[int, int] | None:
    """Where in the region a blob is mapped: offset and bytes. None: nowhere, or there is no such blob."""
    blob = resources.get(resource_id)
    return (blob.offset, blob.mapped_length) if isinstance(blob, Blob) and blob.offset is not None else None


class Context(msgspec.Struct):
    """A context: what CTX_CREATE said, and the resources it was given."""

    ctx_id: ContextId
    context_init: int = 0
    attached: set[ResourceId] = msgspec.field(default_factory=set)
