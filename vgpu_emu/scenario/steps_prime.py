"""dma-bufs of the guest: out of one driver, into another, and the UUIDs by which other devices know a resource."""

from typing import Annotated, ClassVar

from msgspec import Meta

from vgpu_emu.guest.imported import ForeignDmaBuf
from vgpu_emu.guest.prime import DmaBuf
from vgpu_emu.guest.waiting import Op
from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import FileStep, GuestStep, Name, Size
from vgpu_emu.scenario.steps_blob import given_object
from vgpu_emu.scenario.things import Object
from vgpu_emu.scenario.world import World
from vgpu_wire.control import CtrlType


class PrimeExport(GuestStep, frozen=True, kw_only=True, tag="prime-export"):
    """DRM_IOCTL_PRIME_HANDLE_TO_FD: an object as a dma-buf."""

    gives: ClassVar[str] = "dma-buf"
    takes: ClassVar[dict[str, str]] = {"of": "object"}
    commands: ClassVar[tuple[int, ...]] = (CtrlType.RESOURCE_ASSIGN_UUID.value,)

    of: Name

    def call(self, world: World) -> Op[Given]:
        thing = world.find(self.of, Object)
        dma_buf = yield from thing.file.prime_handle_to_fd(thing.handle)
        world.dma_bufs.append(dma_buf)
        return Given(named=dma_buf)


class PrimeImport(FileStep, frozen=True, kw_only=True, tag="prime-import"):
    """DRM_IOCTL_PRIME_FD_TO_HANDLE: a dma-buf as an object of this file."""

    gives: ClassVar[str] = "object"
    takes: ClassVar[dict[str, str]] = {"file": "file", "of": "dma-buf"}
    commands: ClassVar[tuple[int, ...]] = (CtrlType.RESOURCE_CREATE_BLOB.value,)

    of: Name

    def call(self, world: World) -> Op[Given]:
        file = self.opened(world)
        dma_buf = world.find_any(self.of, DmaBuf, ForeignDmaBuf)
        handle = yield from file.prime_fd_to_handle(dma_buf)
        return given_object(world, file, handle)


class PrimeClose(GuestStep, frozen=True, kw_only=True, tag="prime-close"):
    """close(2) of a dma-buf's descriptor."""

    takes: ClassVar[dict[str, str]] = {"of": "dma-buf"}

    of: Name

    def call(self, world: World) -> Op[Given]:
        dma_buf = world.find(self.of, DmaBuf)
        world.dma_bufs.remove(dma_buf)
        yield from dma_buf.close()
        return Given()


class PrimeMap(GuestStep, frozen=True, kw_only=True, tag="prime-map"):
    """dma_buf_map_attachment by another device: where the memory is; a virtio device can be told a UUID instead.

    value: entries, bytes.
    """

    takes: ClassVar[dict[str, str]] = {"of": "dma-buf"}

    of: Name
    virtio: bool = False

    def call(self, world: World) -> Op[Given]:
        entries = world.find(self.of, DmaBuf).map(virtio=self.virtio)
        return Given(value={"entries": len(entries), "bytes": sum(entry.length for entry in entries)})
        yield  # nothing is sent


class PrimeUuid(GuestStep, frozen=True, kw_only=True, tag="prime-uuid"):
    """virtio_dma_buf_get_uuid: the 16 bytes by which other virtio devices know the resource; ENODEV if it has none."""

    takes: ClassVar[dict[str, str]] = {"of": "dma-buf"}
    commands: ClassVar[tuple[int, ...]] = (CtrlType.RESOURCE_ASSIGN_UUID.value,)

    of: Name

    def call(self, world: World) -> Op[Given]:
        uuid = yield from world.find(self.of, DmaBuf).get_uuid()
        return Given(data=uuid)


class ForeignExport(GuestStep, frozen=True, kw_only=True, tag="foreign-export"):
    """Another driver of the guest exports a buffer in guest memory."""

    gives: ClassVar[str] = "dma-buf"

    size: Annotated[Size, Meta(description="Bytes, in whole pages.")] = 0x1000

    def call(self, world: World) -> Op[Given]:
        return Given(named=ForeignDmaBuf(world.foreign_pages(-(-self.size // PAGE_SIZE) * PAGE_SIZE)))
        yield  # nothing is sent


class ForeignMove(GuestStep, frozen=True, kw_only=True, tag="foreign-move"):
    """The other driver puts its buffer elsewhere (dma_buf_move_notify)."""

    takes: ClassVar[dict[str, str]] = {"of": "dma-buf"}
    commands: ClassVar[tuple[int, ...]] = (CtrlType.RESOURCE_DETACH_BACKING.value,)

    of: Name

    def call(self, world: World) -> Op[Given]:
        dma_buf = world.find(self.of, ForeignDmaBuf)
        yield from dma_buf.move(world.foreign_pages(dma_buf.size))
        return Given()
