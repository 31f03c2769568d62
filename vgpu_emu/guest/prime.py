"""dma-bufs of the guest, out and in, and the UUIDs by which other devices know resources (virtgpu_prime.c)."""

from errno import EINVAL, EIO, ENODEV
from typing import TYPE_CHECKING

from vgpu_emu.guest.gem import GemObject, State
from vgpu_emu.guest.imported import ForeignDmaBuf, ImportedObject
from vgpu_emu.guest.pages import entries_of
from vgpu_emu.guest.shmem import ShmemObject
from vgpu_emu.guest.vram import VramObject
from vgpu_emu.guest.waiting import Op, wait_for
from vgpu_emu.ids import GemHandle
from vgpu_wire.blob import BlobFlag
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.resource import MemEntry, ResourceAssignUuid, RespResourceUuid

if TYPE_CHECKING:
    from vgpu_emu.guest.open_file import OpenFile

_CROSS_DEVICE = BlobFlag.USE_CROSS_DEVICE.value


class DmaBuf:
    """An exported object. Each descriptor, and each importer, is one reference."""

    def __init__(self, gem: GemObject) -> None:
        self.gem = gem
        self.size = gem.size
        self.refs = 0
        gem.get()

    def close(self) -> Op[None]:
        """One reference less; the last one gives the object back."""
        self.refs -= 1
        if not self.refs:
            self.gem.dma_buf = None
            yield from self.gem.put()

    def map(self, *, virtio: bool = False) -> list[MemEntry]:
        """dma_buf_map_attachment by another device: where the memory is, of host memory relative to the region.

        virtio: the other device is a virtio device, which can be told a UUID instead: for host memory that cannot be
        mapped there is no address, and everybody else gets OSError EIO.
        """
        gem = self.gem
        if isinstance(gem, ShmemObject):
            return entries_of(gem.runs)
        if not isinstance(gem, VramObject) or not gem.blob_flags & BlobFlag.USE_MAPPABLE:
            if not virtio or not gem.driver.has(Feature.RESOURCE_UUID):
                raise OSError(EIO, f"resource {gem.resource_id} cannot be mapped")
            return []
        return [] if gem.node is None else [MemEntry(addr=gem.node, length=gem.size)]

    def get_uuid(self) -> Op[bytes]:
        """virtgpu_virtio_get_uuid: 16 bytes. Sleeps until the device has answered. Raises OSError: ENODEV."""
        gem = self.gem
        why = f"the UUID of resource {gem.resource_id}"
        yield from wait_for(lambda: gem.uuid_state is not State.INITIALIZING, why)
        if gem.uuid_state is not State.OK:
            raise OSError(ENODEV, f"resource {gem.resource_id} has no UUID")
        return gem.uuid


def assign_uuid(gem: GemObject) -> Op[None]:
    """virtio_gpu_resource_assign_uuid. The answer is not waited for. A second answer spoils the first: Linux warns, and
    takes the resource for one without a UUID."""

    def answered(buffer: bytes) -> None:
        response = RespResourceUuid.parse(buffer)
        ok = response.type == CtrlType.RESP_OK_RESOURCE_UUID and gem.uuid_state is State.INITIALIZING
        gem.uuid_state = State.OK if ok else State.ERR
        if ok:
            gem.uuid = response.uuid

    request = ResourceAssignUuid(resource_id=gem.resource_id)
    yield from gem.driver.queue(request, answered, RespResourceUuid.layout.size, objects=(gem,))


def prime_handle_to_fd(file: "OpenFile", handle: GemHandle) -> Op[DmaBuf]:
    """DRM_IOCTL_PRIME_HANDLE_TO_FD: the dma-buf of the object, which is made once and lives as long as somebody has it.

    An object that is no blob gets a UUID, if there are UUIDs; a blob that was not made for other devices never has one.
    Raises OSError: ENOENT; EINVAL for an imported dma-buf, which Linux gives back as the foreign one.
    """
    file.require_device()
    gem = file.object(handle)
    if isinstance(gem, ImportedObject):
        raise OSError(EINVAL, "the dma-buf is another driver's")
    if gem.dma_buf is None:
        is_blob = gem.guest_blob or gem.host3d_blob
        if not is_blob and file.driver.has(Feature.RESOURCE_UUID):
            yield from assign_uuid(gem)
        elif not is_blob or not gem.blob_flags & _CROSS_DEVICE:
            gem.uuid_state = State.ERR
        gem.dma_buf = DmaBuf(gem)
    gem.dma_buf.refs += 1
    return gem.dma_buf


def prime_fd_to_handle(file: "OpenFile", dma_buf: "DmaBuf | ForeignDmaBuf") -> Op[GemHandle]:
    """DRM_IOCTL_PRIME_FD_TO_HANDLE: the device's own object comes back as itself; another driver's dma-buf becomes a
    guest blob of its pages, where there are blobs and no VIRGL, and is refused elsewhere. A second import by the same
    file is the same handle.

    Raises OSError: ENODEV, and what the exporter refuses.
    """
    file.require_device()
    for handle, gem in file.handles.items():
        if dma_buf in (gem.dma_buf, getattr(gem, "attached_to", None)):
            return handle
    if isinstance(dma_buf, DmaBuf) and dma_buf.gem.driver is file.driver:
        dma_buf.gem.get()
        return (yield from file.handle_create(dma_buf.gem))
    blobs = file.driver.has(Feature.RESOURCE_BLOB) and not file.driver.has(Feature.VIRGL)
    if not blobs or isinstance(dma_buf, DmaBuf):
        raise OSError(ENODEV, "foreign dma-bufs need RESOURCE_BLOB, and no VIRGL")
    gem = yield from ImportedObject.create(file.driver, dma_buf)
    return (yield from file.handle_create(gem))
