"""Objects in guest memory: struct virtio_gpu_object_shmem (virtgpu_object.c, drm_gem_shmem_helper.c)."""

from errno import EINVAL
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from vgpu_emu.guest.fences import Fence
from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.pages import Run, RunsView, entries_of
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op
from vgpu_emu.vocabulary import Pgprot
from vgpu_wire.blob import BlobMem, ResourceCreateBlob
from vgpu_wire.render import ResourceCreate3D
from vgpu_wire.resource import MemEntry, ResourceAttachBacking, ResourceCreate2D, ResourceUnref
from vgpu_wire.terms import Records

if TYPE_CHECKING:
    from vgpu_emu.guest.driver import Driver

Creation = ResourceCreate2D | ResourceCreate3D | ResourceCreateBlob


class ShmemObject(GemObject):
    """runs: its pages, which are given back when the device has answered RESOURCE_UNREF."""

    def __init__(self, driver: "Driver", size: int) -> None:
        super().__init__(driver, size)
        self.runs: list[Run] = []

    @classmethod
    def create(
        cls, driver: "Driver", size: int, creation: Creation, *, fence: Fence | None = None, dumb: bool = False
    ) -> Op[Self]:
        """virtio_gpu_object_create: pages, the command that makes the resource, and its backing. creation: the command
        without what is found out here; a blob's has its backing in it, and carries no fence.

        Raises OSError: ENOSPC for a size of 0, ENOMEM if so many pages are not free; nothing is sent then.
        """
        gem = cls(driver, size)
        gem.dumb = dumb
        try:
            gem.runs = driver.pages.allocate(gem.size)
        except OSError:
            yield from gem.put()
            raise
        gem.created = True
        yield from gem._send(creation, fence)
        return gem

    def _send(self, creation: Creation, fence: Fence | None) -> Op[None]:
        entries = Records.of(MemEntry, entries_of(self.runs))
        if isinstance(creation, ResourceCreateBlob):
            self.guest_blob = True
            self.host3d_blob = creation.blob_mem == BlobMem.HOST3D_GUEST
            blob = replace(
                creation, resource_id=self.resource_id, size=self.size, nr_entries=len(entries), entries=entries
            )
            yield from self.driver.queue(blob)
            return
        named = replace(creation, resource_id=self.resource_id)
        yield from self.driver.queue(named, fence=fence, objects=(self,) if fence is not None else ())
        yield from self.driver.queue(
            ResourceAttachBacking(resource_id=self.resource_id, nr_entries=len(entries), entries=entries)
        )

    def mmap(self, length: int, pgoff: int = 0) -> Op[Vma]:
        """drm_gem_shmem_mmap: cached, whatever the device thinks; it is not asked. Raises OSError: EINVAL."""
        if not 0 < length <= self.size - pgoff:
            raise OSError(EINVAL, f"[{pgoff:#x}, +{length:#x}) of an object of {self.size:#x} bytes")
        self.get()
        return Vma(self, RunsView(self.driver.pages.memory, self.runs), pgoff, length, Pgprot.CACHED)
        yield  # a call that never sleeps

    def free(self) -> Op[None]:
        """virtio_gpu_free_object"""
        if not self.created:
            return
        if not (yield from self.driver.queue(ResourceUnref(resource_id=self.resource_id), self._unreferenced)):
            self._unreferenced(b"")

    def _unreferenced(self, _buffer: bytes) -> None:
        """virtio_gpu_cleanup_object, whatever the response is."""
        self.driver.pages.release(self.runs)
        self.runs = []
