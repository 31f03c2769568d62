"""Blobs: memory that a context allocates, the resource made of it, and how a program of the guest maps it."""

from typing import Annotated, ClassVar

from msgspec import Meta, field

from vgpu_emu.guest.file import HINT_DEFER_MAPPING, DrmFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import BlobId, GemHandle
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import FileStep, GuestStep, Name, Size, check_stored, stored, wanted_length
from vgpu_emu.scenario.things import Allocation, Object
from vgpu_emu.scenario.words import ExporterName, FlagName, MemName, blob_flags, blob_mem
from vgpu_emu.scenario.world import World
from vgpu_wire.context_stream import ExporterKind, StreamAlloc, StreamFree
from vgpu_wire.control import CtrlType

Exporter = Annotated[ExporterName, Meta(description="Which driver of the host allocates the memory and exports it.")]


def stream_alloc(exporter: ExporterName, blob_id: int, size: int) -> bytes:
    return StreamAlloc(exporter=ExporterKind[exporter.upper()].value, blob_id=blob_id, size=size).build()


class Alloc(FileStep, frozen=True, kw_only=True, tag="alloc"):
    """A context's command stream allocates memory on the host (EXECBUFFER)."""

    gives: ClassVar[str] = "allocation"
    commands: ClassVar[tuple[int, ...]] = (CtrlType.SUBMIT_3D.value,)

    exporter: Exporter
    size: Size = 0x1000
    blob_id: Annotated[int | None, Meta(description="Its number in the context; without it, the next free one.")] = None

    def call(self, world: World) -> Op[Given]:
        file = self.opened(world)
        blob_id = world.new_blob_id() if self.blob_id is None else self.blob_id
        yield from file.execbuffer(stream_alloc(self.exporter, blob_id, self.size))
        return Given(named=Allocation(file, BlobId(blob_id), self.size))


class Free(GuestStep, frozen=True, kw_only=True, tag="free"):
    """A context's command stream forgets memory that it allocated (EXECBUFFER)."""

    takes: ClassVar[dict[str, str]] = {"of": "allocation"}
    commands: ClassVar[tuple[int, ...]] = (CtrlType.SUBMIT_3D.value,)

    of: Name

    def call(self, world: World) -> Op[Given]:
        memory = world.find(self.of, Allocation)
        yield from memory.file.execbuffer(StreamFree(blob_id=memory.blob_id).build())
        return Given()


class CreateBlob(FileStep, frozen=True, kw_only=True, tag="create-blob"):
    """DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, of an allocation (`of`) or of memory that `exporter` allocates."""

    gives: ClassVar[str] = "object"
    takes: ClassVar[dict[str, str]] = {"file": "file", "of": "allocation"}
    commands: ClassVar[tuple[int, ...]] = (CtrlType.RESOURCE_CREATE_BLOB.value,)

    of: Name | None = None
    exporter: Exporter | None = None
    size: Annotated[Size | None, Meta(description="Bytes; without it, those of the allocation, or a page.")] = None
    blob_id: int | None = None
    mem: Annotated[MemName | int, Meta(description="blob_mem: where the memory is.")] = "host3d"
    flags: Annotated[tuple[FlagName, ...] | int, Meta(description="blob_flags: what the blob is for.")] = ("mappable",)
    defer: Annotated[bool, Meta(description="Map it with the first mmap only (HINT_DEFER_MAPPING).")] = False

    def __post_init__(self) -> None:
        if self.of and self.exporter:
            raise ValueError("of names memory that there is, exporter allocates some: take one of them")

    def call(self, world: World) -> Op[Given]:
        file, memory = self.opened(world), world.find(self.of, Allocation) if self.of else None
        size = self.size if self.size is not None else memory.size if memory else 0x1000
        blob_id = self._blob_id(world, memory)
        handle = yield from file.resource_create_blob(
            size=size,
            blob_id=blob_id,
            blob_mem=blob_mem(self.mem),
            blob_flags=blob_flags(self.flags),
            cmd=stream_alloc(self.exporter, blob_id, size) if self.exporter else b"",
            blob_hints=HINT_DEFER_MAPPING if self.defer else 0,
        )
        return given_object(world, file, handle)

    def _blob_id(self, world: World, memory: Allocation | None) -> int:
        if self.blob_id is not None:
            return self.blob_id
        if memory is not None:
            return memory.blob_id
        return world.new_blob_id() if self.exporter else 0


def given_object(world: World, file: DrmFile, handle: GemHandle, pitch: int = 0) -> Given:
    """An object that a call has made."""
    named = Object(file, handle, file.object(handle), pitch)
    return Given(named=named, resource_id=named.resource_id)


class Mmap(GuestStep, frozen=True, kw_only=True, tag="mmap"):
    """DRM_IOCTL_VIRTGPU_MAP and mmap(2) of an object, or of a part of it."""

    gives: ClassVar[str] = "mapping"
    takes: ClassVar[dict[str, str]] = {"of": "object"}
    commands: ClassVar[tuple[int, ...]] = (CtrlType.RESOURCE_MAP_BLOB.value,)

    of: Name
    at: Annotated[Size, Meta(description="The first byte of the object that is mapped.")] = 0
    length: Annotated[Size | None, Meta(description="Bytes; without it, all the rest of the object.")] = None

    def call(self, world: World) -> Op[Given]:
        thing = world.find(self.of, Object)
        length = thing.gem.size - self.at if self.length is None else self.length
        vma = yield from thing.file.mmap(thing.file.map(thing.handle), length, self.at)
        world.mappings.append(vma)
        return Given(named=vma, pgprot=vma.pgprot.value)


class Munmap(GuestStep, frozen=True, kw_only=True, tag="munmap"):
    """munmap(2)"""

    takes: ClassVar[dict[str, str]] = {"of": "mapping"}

    of: Name

    def call(self, world: World) -> Op[Given]:
        yield from world.find(self.of, Vma).munmap()
        return Given()


class Read(GuestStep, frozen=True, kw_only=True, tag="read"):
    """The program loads bytes through its mapping; without `length`, as many as are expected."""

    takes: ClassVar[dict[str, str]] = {"of": "mapping"}

    of: Name
    at: Size = 0
    length: Size | None = None

    def call(self, world: World) -> Op[Given]:
        return Given(data=world.find(self.of, Vma).read(self.at, wanted_length(self, self.length)))
        yield  # a load never sleeps


class Write(GuestStep, frozen=True, kw_only=True, tag="write"):
    """The program stores bytes through its mapping."""

    takes: ClassVar[dict[str, str]] = {"of": "mapping"}

    of: Name
    at: Size = 0
    text: str | None = None
    bytes_: Annotated[str | None, Meta(description="In hex.")] = field(default=None, name="bytes")

    def __post_init__(self) -> None:
        check_stored(self.text, self.bytes_)

    def call(self, world: World) -> Op[Given]:
        world.find(self.of, Vma).write(self.at, stored(self.text, self.bytes_))
        return Given()
        yield  # a store never sleeps


class GemClose(GuestStep, frozen=True, kw_only=True, tag="gem-close"):
    """DRM_IOCTL_GEM_CLOSE: the file's handle to the object is gone, and so is the object if nobody else has it."""

    takes: ClassVar[dict[str, str]] = {"of": "object"}

    of: Name

    def call(self, world: World) -> Op[Given]:
        thing = world.find(self.of, Object)
        yield from thing.file.gem_close(thing.handle)
        return Given()
