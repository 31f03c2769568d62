"""Another driver's dma-buf as an object of this one: a guest blob over its pages (virtgpu_prime.c)."""

from collections.abc import Sequence
from errno import EINVAL
from typing import TYPE_CHECKING, Self

from vgpu_emu.guest.fences import Fence, wait_for_fences
from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.pages import Run, entries_of
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob
from vgpu_wire.resource import MemEntry, ResourceAttachBacking, ResourceDetachBacking, ResourceUnref
from vgpu_wire.terms import Records

if TYPE_CHECKING:
    from vgpu_emu.guest.driver import Driver


class ForeignDmaBuf:
    """A dma-buf of a driver that is not modelled: where its pages are, and who has attached to it."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)
        self.size = sum(end - start for start, end in runs)
        self.pins = 0
        self.importers: list[ImportedObject] = []

    def move(self, runs: Sequence[Run]) -> Op[None]:
        """The exporter puts the buffer elsewhere: every importer forgets where it was (dma_buf_move_notify).

        Raises OSError: EINVAL while it is pinned.
        """
        if self.pins:
            raise OSError(EINVAL, f"pinned {self.pins} times")
        for importer in self.importers:
            yield from importer.detach()
        self.runs = list(runs)


class ImportedObject(GemObject):
    """attached_to: the dma-buf. is_mapped: the device knows where its pages are (bo->sgt, bo->attached)."""

    def __init__(self, driver: "Driver", dma_buf: ForeignDmaBuf) -> None:
        super().__init__(driver, dma_buf.size, mappable=False)
        self.attached_to = dma_buf
        self.is_mapped = False
        self.guest_blob = True
        dma_buf.importers.append(self)

    @classmethod
    def create(cls, driver: "Driver", dma_buf: ForeignDmaBuf) -> Op[Self]:
        """virtgpu_dma_buf_init_obj"""
        gem = cls(driver, dma_buf)
        entries = Records.of(MemEntry, entries_of(dma_buf.runs))
        gem.created = gem.is_mapped = True
        yield from driver.queue(
            ResourceCreateBlob(
                resource_id=gem.resource_id,
                blob_mem=BlobMem.GUEST.value,
                blob_flags=BlobFlag.USE_SHAREABLE.value,
                size=gem.size,
                nr_entries=len(entries),
                entries=entries,
            )
        )
        return gem

    def pin(self) -> Op[None]:
        """virtio_gpu_prepare_imported_obj: for a scanout, the buffer may not move, and the device has to know where it
        is."""
        self.attached_to.pins += 1
        if self.is_mapped:
            return
        entries = Records.of(MemEntry, entries_of(self.attached_to.runs))
        self.is_mapped = True
        yield from self.driver.queue(
            ResourceAttachBacking(resource_id=self.resource_id, nr_entries=len(entries), entries=entries)
        )

    def unpin(self) -> None:
        """virtio_gpu_cleanup_imported_obj"""
        self.attached_to.pins -= 1

    def detach(self) -> Op[None]:
        """virtio_gpu_detach_object_fenced: the pages are the exporter's again when the device has said so."""
        if not self.is_mapped:
            return
        self.is_mapped = False
        fence = Fence()
        yield from self.driver.queue(ResourceDetachBacking(resource_id=self.resource_id), fence=fence)
        if not self.driver.unplugged:
            yield from wait_for_fences([fence], f"RESOURCE_DETACH_BACKING of resource {self.resource_id}")

    def mmap(self, length: int, pgoff: int = 0) -> Op[Vma]:
        raise OSError(EINVAL, "an imported dma-buf is mapped by its own driver")

    def free(self) -> Op[None]:
        """virtgpu_dma_buf_free_obj"""
        yield from self.detach()
        self.attached_to.importers.remove(self)
        yield from self.driver.queue(ResourceUnref(resource_id=self.resource_id))
