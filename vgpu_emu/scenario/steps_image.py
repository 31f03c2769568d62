"""Images and other resources that are no blobs: their creation, transfers, and what the kernel says of an object."""

from typing import Annotated, ClassVar

from msgspec import Meta

from vgpu_emu.guest.ioctls_resource import Transfer
from vgpu_emu.guest.waiting import Op
from vgpu_emu.scenario import words
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import FileStep, GuestStep, Name, Size
from vgpu_emu.scenario.steps_blob import given_object
from vgpu_emu.scenario.things import Object
from vgpu_emu.scenario.words import FormatName
from vgpu_emu.scenario.world import World
from vgpu_wire.control import CtrlType
from vgpu_wire.render import Box


class ResourceCreate(FileStep, frozen=True, kw_only=True, tag="resource-create"):
    """DRM_IOCTL_VIRTGPU_RESOURCE_CREATE: an image; with VIRGL, any resource of the renderer's."""

    gives: ClassVar[str] = "object"
    commands: ClassVar[tuple[int, ...]] = (
        CtrlType.RESOURCE_CREATE_3D.value,
        CtrlType.RESOURCE_CREATE_2D.value,
    )

    width: Size
    height: Size
    format: Annotated[FormatName | int, Meta(description="A word of virtio-gpu's, or any number.")] = "b8g8r8a8"
    target: int = 2
    bind: int = 0
    depth: int = 1
    array_size: int = 1
    last_level: int = 0
    nr_samples: int = 0
    flags: int = 0
    size: Annotated[Size, Meta(description="Bytes of its backing; 0: one page.")] = 0

    def call(self, world: World) -> Op[Given]:
        file = self.opened(world)
        handle = yield from file.resource_create(
            width=self.width,
            height=self.height,
            format=words.picture_format(self.format),
            target=self.target,
            bind=self.bind,
            depth=self.depth,
            array_size=self.array_size,
            last_level=self.last_level,
            nr_samples=self.nr_samples,
            flags=self.flags,
            size=self.size,
        )
        return given_object(world, file, handle)


class CreateDumb(FileStep, frozen=True, kw_only=True, tag="create-dumb"):
    """DRM_IOCTL_MODE_CREATE_DUMB: memory that a program draws into."""

    gives: ClassVar[str] = "object"
    commands: ClassVar[tuple[int, ...]] = (
        CtrlType.RESOURCE_CREATE_2D.value,
        CtrlType.RESOURCE_CREATE_BLOB.value,
    )

    width: Size
    height: Size
    bpp: int = 32

    def call(self, world: World) -> Op[Given]:
        file = self.opened(world)
        buffer = yield from file.create_dumb(self.width, self.height, self.bpp)
        return given_object(world, file, buffer.handle, buffer.pitch)


class _TransferStep(GuestStep, frozen=True, kw_only=True):
    """box: [x, y, z, width, height, depth]."""

    takes: ClassVar[dict[str, str]] = {"of": "object"}

    of: Name
    box: Annotated[tuple[int, int, int, int, int, int], Meta(description="[x, y, z, width, height, depth]")]
    at: Annotated[Size, Meta(description="Where in the backing it starts, in bytes.")] = 0
    level: int = 0
    stride: int = 0
    layer_stride: int = 0

    def transfer(self) -> Transfer:
        return Transfer(
            box=Box(*self.box), level=self.level, offset=self.at, stride=self.stride, layer_stride=self.layer_stride
        )


class TransferToHost(_TransferStep, frozen=True, kw_only=True, tag="transfer-to-host"):
    """DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST: from the backing into the image."""

    commands: ClassVar[tuple[int, ...]] = (
        CtrlType.TRANSFER_TO_HOST_3D.value,
        CtrlType.TRANSFER_TO_HOST_2D.value,
    )

    def call(self, world: World) -> Op[Given]:
        thing = world.find(self.of, Object)
        yield from thing.file.transfer_to_host(thing.handle, self.transfer())
        return Given()


class TransferFromHost(_TransferStep, frozen=True, kw_only=True, tag="transfer-from-host"):
    """DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST: from the image into the backing."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.TRANSFER_FROM_HOST_3D.value,)

    def call(self, world: World) -> Op[Given]:
        thing = world.find(self.of, Object)
        yield from thing.file.transfer_from_host(thing.handle, self.transfer())
        return Given()


class ResourceInfo(GuestStep, frozen=True, kw_only=True, tag="resource-info"):
    """DRM_IOCTL_VIRTGPU_RESOURCE_INFO. value: res_handle, size, blob_mem."""

    takes: ClassVar[dict[str, str]] = {"of": "object"}

    of: Name

    def call(self, world: World) -> Op[Given]:
        thing = world.find(self.of, Object)
        info = thing.file.resource_info(thing.handle)
        return Given(value={"res_handle": info.res_handle, "size": info.size, "blob_mem": info.blob_mem})
        yield  # nothing is sent
