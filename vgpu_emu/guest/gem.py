"""GEM objects: what a resource is to the kernel, and who holds it (drivers/gpu/drm/drm_gem.c, virtgpu_gem.c)."""

from enum import IntEnum
from typing import TYPE_CHECKING

from vgpu_emu.guest.fences import Fence
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import ResourceId
from vgpu_emu.memory import PAGE_SIZE

if TYPE_CHECKING:
    from vgpu_emu.guest.driver import Driver
    from vgpu_emu.guest.prime import DmaBuf
    from vgpu_emu.guest.vma import Vma


class State(IntEnum):
    """map_state and uuid_state. A new object is zeroed memory, so INITIALIZING is also the state before any request."""

    INITIALIZING = 0
    OK = 1
    ERR = 2


class GemObject:
    """struct virtio_gpu_object. size: whole pages. refs: handles, mappings, framebuffers, dma-bufs, commands in flight.

    blob_mem, blob_flags: as the blob ioctl was told; 0 of what other calls made. guest_blob: a blob in guest memory,
    whoever made it. host3d_blob: a context's object is in it. fences: what has to be done with it first (its dma_resv).
    mmap_offset: None: user space cannot map it by this driver. dma_buf: what it was exported as, while that lives.
    """

    def __init__(self, driver: "Driver", size: int, *, mappable: bool = True) -> None:
        self.driver = driver
        self.size = -(-size // PAGE_SIZE) * PAGE_SIZE
        self.mmap_offset = driver.new_mmap_offset(self) if mappable else None
        self.resource_id: ResourceId = driver.new_resource_id()
        self.refs = 1
        self.blob_mem = 0
        self.blob_flags = 0
        self.guest_blob = False
        self.host3d_blob = False
        self.dumb = False
        #: the device was asked to make the resource
        self.created = False
        self.fences: list[Fence] = []
        self.uuid_state = State.INITIALIZING
        self.uuid = bytes(16)
        self.dma_buf: DmaBuf | None = None

    def get(self) -> None:
        self.refs += 1

    def put(self) -> Op[None]:
        """drm_gem_object_put: one reference less; the last one frees the object."""
        self.refs -= 1
        if self.refs:
            return
        if self.mmap_offset is not None:
            del self.driver.mmap_offsets[self.mmap_offset]
        yield from self.free()

    def free(self) -> Op[None]:
        """The object ends: obj->funcs->free."""
        raise NotImplementedError

    def mmap(self, length: int, pgoff: int = 0) -> "Op[Vma]":
        """obj->funcs->mmap: a mapping of [pgoff, pgoff + length) bytes."""
        raise NotImplementedError

    def unmapped(self, vma: "Vma") -> None:
        """One of its mappings ends; for observers."""

    def add_fence(self, fence: Fence) -> None:
        """virtio_gpu_array_add_fence; what is signalled is forgotten."""
        self.fences = [*(waiting for waiting in self.fences if not waiting.signaled), fence]
