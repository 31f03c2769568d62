"""Host memory as a GEM object: struct virtio_gpu_object_vram and its life (virtgpu_vram.c).

create -> CREATE_BLOB, and MAP_BLOB unless deferred; nobody waits for either answer
mmap   -> waits for MAP_BLOB's answer, once and for all: an error is for ever
free   -> UNMAP_BLOB, RESOURCE_UNREF; the place in the region is free when the latter is answered
"""

from errno import EINVAL
from typing import TYPE_CHECKING

from vgpu_emu.guest.gem import GemObject, State
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op, wait_for
from vgpu_emu.ids import ContextId
from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.trace.log import GUEST
from vgpu_emu.vocabulary import pgprot_from_map_info
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob, RespMapInfo
from vgpu_wire.control import CtrlType
from vgpu_wire.resource import ResourceUnref

if TYPE_CHECKING:
    from vgpu_emu.guest.driver import Driver

_MAPPABLE = BlobFlag.USE_MAPPABLE.value
MapState = State


class VramObject(GemObject):
    """A HOST3D blob. node: where it is, or will be, in the region; None: nowhere yet."""

    def __init__(self, driver: "Driver", blob_flags: int, size: int) -> None:
        super().__init__(driver, size)
        self.blob_mem = BlobMem.HOST3D.value
        self.blob_flags = blob_flags
        self.host3d_blob = True
        self.created = True
        self.node: int | None = None
        self.map_state = MapState.INITIALIZING
        self.map_info = 0

    @classmethod
    def create(
        cls, driver: "Driver", ctx_id: ContextId, blob_id: int, blob_flags: int, size: int, *, defer: bool
    ) -> "Op[VramObject]":
        """virtio_gpu_vram_create. Raises OSError: ENOSPC for a size of 0; ENOSPC, or EINVAL without a region, and sends
        UNREF then."""
        vram = cls(driver, blob_flags, size)
        yield from driver.queue(
            ResourceCreateBlob(
                ctx_id=ctx_id,
                resource_id=vram.resource_id,
                blob_mem=BlobMem.HOST3D.value,
                blob_flags=blob_flags,
                blob_id=blob_id,
                size=vram.size,
            )
        )
        if blob_flags & _MAPPABLE and not defer:
            try:
                yield from vram.map()
            except OSError:
                yield from vram.put()
                raise
        return vram

    def map(self) -> Op[None]:
        """virtio_gpu_vram_map: find a place, send MAP_BLOB; `map_state` tells when it is answered."""
        if self.driver.region is None:
            raise OSError(EINVAL, "the device has no host visible region")
        self.node = self.driver.mm.insert(self.size)
        request = ResourceMapBlob(resource_id=self.resource_id, offset=self.node)
        yield from self.driver.queue(request, self._mapped, RespMapInfo.layout.size)

    def _mapped(self, buffer: bytes) -> None:
        """virtio_gpu_cmd_resource_map_cb. The raw number is kept."""
        response = RespMapInfo.parse(buffer)
        ok = response.type == CtrlType.RESP_OK_MAP_INFO
        self.map_state = MapState.OK if ok else MapState.ERR
        if ok:
            self.map_info = response.map_info

    def mmap(self, length: int, pgoff: int = 0) -> Op[Vma]:
        """virtio_gpu_vram_mmap: a mapping of [pgoff, pgoff + length) bytes of the object.

        Raises OSError: EINVAL if the blob is not mappable, was refused, or is shorter. Sleeps, and cannot be
        interrupted, while MAP_BLOB is not answered: also when a deferred map found no room and never sent one.
        """
        # drm_gem_mmap looks for the range among all objects before the driver is asked
        if pgoff % PAGE_SIZE or not 0 <= pgoff < pgoff + length <= self.size:
            raise OSError(EINVAL, f"[{pgoff:#x}, +{length:#x}) of a blob of {self.size:#x} bytes")
        if not self.blob_flags & _MAPPABLE:
            raise OSError(EINVAL, "the blob is not mappable")
        if self.node is None:
            try:
                yield from self.map()
            except OSError as ignored:
                self.driver.log.note(GUEST, "deferred_map_failed", resource_id=self.resource_id, errno=ignored.errno)
        why = f"the answer to RESOURCE_MAP_BLOB of resource {self.resource_id}"
        yield from wait_for(lambda: self.map_state is not MapState.INITIALIZING, why)
        if self.map_state is not MapState.OK or self.node is None or self.driver.region is None:
            raise OSError(EINVAL, f"the device refused to map resource {self.resource_id}")
        pgprot = pgprot_from_map_info(self.map_info)
        vma = Vma(self, self.driver.region, pgoff, length, pgprot, base=self.node)
        values = {"resource_id": self.resource_id, "map_info": self.map_info, "pgprot": pgprot.value}
        self.driver.log.note(GUEST, "pgprot", **values, **vma.part())
        self.get()
        return vma

    def unmapped(self, vma: Vma) -> None:
        self.driver.log.note(GUEST, "munmap", resource_id=self.resource_id, **vma.part())

    def free(self) -> Op[None]:
        """virtio_gpu_vram_free"""
        if self.node is not None:
            yield from self.driver.queue(ResourceUnmapBlob(resource_id=self.resource_id))
        if not (yield from self.driver.queue(ResourceUnref(resource_id=self.resource_id), self._unreferenced)):
            self._unreferenced(b"")

    def _unreferenced(self, _buffer: bytes) -> None:
        """virtio_gpu_cleanup_object, whatever the response is."""
        if self.node is not None:
            self.driver.mm.remove(self.node)
            self.node = None
