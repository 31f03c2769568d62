"""An open /dev/dri file of the guest and its ioctls (virtgpu_ioctl.c, virtgpu_drv.c)."""

from errno import EACCES, EINVAL, ENOENT
from itertools import count

from vgpu_emu.guest.driver import Driver, Op
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.vram import VramObject
from vgpu_emu.ids import BlobId, ContextId, GemHandle, ResourceId
from vgpu_wire.blob import BlobFlag, BlobMem
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import DEBUG_NAME_BYTES, CmdSubmit, CtxCreate, CtxDestroy, CtxResource

#: DRM_VIRTGPU_BLOB_FLAG_HINT_DEFER_MAPPING (drm/virtgpu_drm.h, Linux 7.2)
HINT_DEFER_MAPPING = 1
#: bytes of a process's name, without its NUL (TASK_COMM_LEN - 1)
_COMM_BYTES = 15


class DrmFile:
    """struct drm_file. comm: the process's name, of which 15 bytes name its context.

    ctx_id: the context's number is taken when the file is opened (virtio_gpu_driver_open), if there can be one.
    """

    def __init__(self, driver: Driver, comm: str = "vgpu-emu") -> None:
        self.driver = driver
        self.comm = comm
        self.ctx_id: ContextId | None = driver.new_context_id() if Feature.VIRGL in driver.features else None
        self._context_created = False
        self.handles: dict[GemHandle, VramObject] = {}
        #: the resources behind the handles
        self._resources: set[ResourceId] = set()
        self._handle_numbers = count(1)

    def resource_create_blob(
        self,
        *,
        size: int,
        blob_id: int = 0,
        blob_mem: int = BlobMem.HOST3D.value,
        blob_flags: int = BlobFlag.USE_MAPPABLE.value,
        cmd: bytes = b"",
        blob_hints: int = 0,
    ) -> Op[GemHandle]:
        """DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB. The device's answer is not waited for: a refusal is not seen here.

        Raises OSError: EINVAL for what verify_blob refuses and without a region, ENOSPC for a size of 0 and if the
        region is full.
        """
        self._verify_blob(blob_mem, blob_flags, cmd)
        yield from self._create_context()
        assert self.ctx_id is not None
        if cmd:
            yield from self.driver.queue(CmdSubmit(ctx_id=self.ctx_id, size=len(cmd), commands=cmd))
        defer = bool(blob_hints & HINT_DEFER_MAPPING)
        vram = yield from VramObject.create(self.driver, self.ctx_id, BlobId(blob_id), blob_flags, size, defer=defer)
        handle = GemHandle(next(self._handle_numbers))
        self.handles[handle] = vram
        self._resources.add(vram.resource_id)
        yield from self._context_resource(CtrlType.CTX_ATTACH_RESOURCE, vram)
        return handle

    def _verify_blob(self, blob_mem: int, blob_flags: int, cmd: bytes) -> None:
        """verify_blob, for blobs that are on the host."""
        if Feature.RESOURCE_BLOB not in self.driver.features:
            raise OSError(EINVAL, "F_RESOURCE_BLOB was not negotiated")
        if blob_flags & ~sum(BlobFlag) or blob_flags & BlobFlag.USE_CROSS_DEVICE:
            raise OSError(EINVAL, f"blob_flags {blob_flags:#x}")
        if blob_mem != BlobMem.HOST3D or Feature.VIRGL not in self.driver.features:
            raise OSError(EINVAL, f"blob_mem {blob_mem}")
        if len(cmd) % 4:
            raise OSError(EINVAL, f"a command stream of {len(cmd)} bytes")

    def _create_context(self) -> Op[None]:
        """virtio_gpu_create_context: once for a file, when it is first needed."""
        if self._context_created:
            return
        assert self.ctx_id is not None, "verify_blob wants VIRGL"
        self._context_created = True
        name = self.comm.encode()[:_COMM_BYTES]
        yield from self.driver.queue(
            CtxCreate(ctx_id=self.ctx_id, nlen=len(name), debug_name=name.ljust(DEBUG_NAME_BYTES, b"\0"))
        )

    def _context_resource(self, command: CtrlType, vram: VramObject) -> Op[None]:
        assert self.ctx_id is not None
        yield from self.driver.queue(CtxResource(type=command.value, ctx_id=self.ctx_id, resource_id=vram.resource_id))

    def object(self, handle: GemHandle) -> VramObject:
        """Raises OSError: ENOENT for a handle that this file does not have."""
        try:
            return self.handles[handle]
        except KeyError:
            raise OSError(ENOENT, f"no GEM handle {handle}") from None

    def map(self, handle: GemHandle) -> int:
        """DRM_IOCTL_VIRTGPU_MAP: the offset at which mmap of this file finds the object. Sends nothing."""
        return self.object(handle).mmap_offset

    def mmap(self, offset: int, length: int, pgoff: int = 0) -> Op[Vma]:
        """mmap(2) of `length` bytes at `offset`, an answer of `map`, plus `pgoff` bytes.

        Raises OSError: EINVAL for an offset that is nobody's, EACCES for an object that this file has no handle to any
        more, and as VramObject.mmap does.
        """
        vram = self.driver.mmap_offsets.get(offset)
        if vram is None:
            raise OSError(EINVAL, f"no object at mmap offset {offset:#x}")
        if vram.resource_id not in self._resources:
            raise OSError(EACCES, f"no handle to the object at mmap offset {offset:#x}")
        return (yield from vram.mmap(length, pgoff))

    def gem_close(self, handle: GemHandle) -> Op[None]:
        """DRM_IOCTL_GEM_CLOSE. Raises OSError: EINVAL for a handle that this file does not have."""
        vram = self.handles.pop(handle, None)
        if vram is None:
            raise OSError(EINVAL, f"no GEM handle {handle}")
        self._resources.remove(vram.resource_id)
        yield from self._context_resource(CtrlType.CTX_DETACH_RESOURCE, vram)
        yield from vram.put()

    def close(self) -> Op[None]:
        """close(2) of the last descriptor: every handle, then the context."""
        for handle in list(self.handles):
            yield from self.gem_close(handle)
        if self.ctx_id is None:
            return
        if self._context_created:
            yield from self.driver.queue(CtxDestroy(ctx_id=self.ctx_id))
        self.driver.free_context_id(self.ctx_id)
        self.ctx_id = None
