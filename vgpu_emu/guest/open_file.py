"""What the ioctls of an open file share: handles, context, events (drm_file.c, drm_gem.c, virtgpu_kms.c)."""

from collections import Counter, deque
from errno import EACCES, EAGAIN, EINVAL, ENODEV, ENOENT
from typing import TYPE_CHECKING

from vgpu_emu.guest.driver import Driver
from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.ida import Ida
from vgpu_emu.guest.syncobj import SyncObj
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op
from vgpu_emu.ids import ContextId, GemHandle, ResourceId
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import DEBUG_NAME_BYTES, CtxCreate, CtxDestroy, CtxResource

if TYPE_CHECKING:
    from vgpu_emu.guest.framebuffer import Framebuffer

#: bytes of a process's name, without its NUL (TASK_COMM_LEN - 1)
_COMM_BYTES = 15


class OpenFile:
    """struct drm_file and struct virtio_gpu_fpriv.

    ctx_id: the context's number is taken when the file is opened (virtio_gpu_driver_open), if there can be one.
    is_client: the kernel's own, such as the console's.
    """

    def __init__(self, driver: Driver, comm: str = "vgpu-emu", *, is_client: bool = False) -> None:
        self.driver = driver
        self.comm = comm
        self.is_client = is_client
        self.ctx_id: ContextId | None = driver.new_context_id() if driver.has(Feature.VIRGL) else None
        self.context_created = False
        # what CONTEXT_INIT sets, also one that is refused half way
        self.context_init_bits = 0
        self.debug_name: bytes | None = None
        self.num_rings = 0
        self.base_fence_context = 0
        self.poll_rings_mask = 0
        self.handles: dict[GemHandle, GemObject] = {}
        self._handle_numbers = Ida(1)
        #: the resources behind the handles, which may be mapped
        self._allowed: Counter[ResourceId] = Counter()
        self.syncobjs: dict[int, SyncObj] = {}
        self.syncobj_numbers = Ida(1)
        self.framebuffers: list[Framebuffer] = []
        #: events nobody has read yet, and how many have their place among them
        self.events: deque[int] = deque()
        self.reserved_events = 0
        self.is_open = True
        driver.open_count += not is_client

    def require_device(self) -> None:
        """drm_ioctl. Raises OSError: ENODEV if the device was unbound."""
        if self.driver.unplugged:
            raise OSError(ENODEV, "the device was unbound")

    # -- context

    def create_context(self) -> Op[None]:
        """virtio_gpu_create_context: once for a file, when it is first needed. Its name: what CONTEXT_INIT said, else
        the process's; the structure holds 63 bytes of it, and nlen may say 64."""
        if self.context_created:
            return
        assert self.ctx_id is not None, "who asks has seen VIRGL"
        self.context_created = True
        name = self.comm.encode()[:_COMM_BYTES] if self.debug_name is None else self.debug_name
        stored = name[: DEBUG_NAME_BYTES - 1].ljust(DEBUG_NAME_BYTES, b"\0")
        create = CtxCreate(ctx_id=self.ctx_id, nlen=len(name), context_init=self.context_init_bits, debug_name=stored)
        yield from self.driver.queue(create)

    def context_resource(self, command: CtrlType, gem: GemObject) -> Op[None]:
        """CTX_ATTACH_RESOURCE or CTX_DETACH_RESOURCE, which holds the object until it is answered."""
        assert self.ctx_id is not None
        request = CtxResource(type=command.value, ctx_id=self.ctx_id, resource_id=gem.resource_id)
        yield from self.driver.queue(request, objects=(gem,))

    # -- handles

    def handle_create(self, gem: GemObject) -> Op[GemHandle]:
        """drm_gem_handle_create, which takes over the caller's reference, and virtio_gpu_gem_object_open.

        With CONTEXT_INIT it is user space's choice what its context is, so opening an object makes none.
        """
        handle = GemHandle(self._handle_numbers.take())
        self.handles[handle] = gem
        self._allowed[gem.resource_id] += 1
        if self.driver.has(Feature.VIRGL):
            if not self.driver.has(Feature.CONTEXT_INIT):
                yield from self.create_context()
            if self.context_created:
                yield from self.context_resource(CtrlType.CTX_ATTACH_RESOURCE, gem)
        return handle

    def object(self, handle: GemHandle) -> GemObject:
        """Raises OSError: ENOENT for a handle that this file does not have."""
        try:
            return self.handles[handle]
        except KeyError:
            raise OSError(ENOENT, f"no GEM handle {handle}") from None

    def gem_close(self, handle: GemHandle) -> Op[None]:
        """DRM_IOCTL_GEM_CLOSE. The object is detached from the context, and freed when that is answered, if nobody else
        has it. Raises OSError: EINVAL for a handle that this file does not have."""
        gem = self.handles.pop(handle, None)
        if gem is None:
            raise OSError(EINVAL, f"no GEM handle {handle}")
        self._handle_numbers.give_back(handle)
        self._allowed[gem.resource_id] -= 1
        if self.context_created:
            yield from self.context_resource(CtrlType.CTX_DETACH_RESOURCE, gem)
        yield from gem.put()

    def mmap(self, offset: int, length: int, pgoff: int = 0) -> Op[Vma]:
        """mmap(2) of `length` bytes at `offset`, an answer of `map`, plus `pgoff` bytes.

        Raises OSError: EINVAL for an offset that is nobody's, EACCES for an object that this file has no handle to any
        more, and as the object's mmap does.
        """
        self.require_device()
        gem = self.driver.mmap_offsets.get(offset)
        if gem is None:
            raise OSError(EINVAL, f"no object at mmap offset {offset:#x}")
        if not self._allowed[gem.resource_id]:
            raise OSError(EACCES, f"no handle to the object at mmap offset {offset:#x}")
        return (yield from gem.mmap(length, pgoff))

    # -- the rest

    def read_event(self) -> int:
        """read(2): the type of the oldest event. Raises OSError: EAGAIN if there is none."""
        if not self.events:
            raise OSError(EAGAIN, "no event")
        self.reserved_events -= 1
        return self.events.popleft()

    def close(self) -> Op[None]:
        """close(2) of the last descriptor: framebuffers, handles, context. After the last file the console is back."""
        if not self.is_open:
            return
        self.is_open = False
        for framebuffer in list(self.framebuffers):
            yield from framebuffer.remove()
        for handle in sorted(self.handles):
            yield from self.gem_close(handle)
        yield from self._close_context()
        self.driver.open_count -= not self.is_client
        if not self.driver.open_count and not self.is_client and self.driver.console is not None:
            yield from self.driver.console.restore()

    def _close_context(self) -> Op[None]:
        """virtio_gpu_driver_postclose"""
        if self.ctx_id is None:
            return
        if self.context_created:
            yield from self.driver.queue(CtxDestroy(ctx_id=self.ctx_id))
        self.driver.free_context_id(self.ctx_id)
        self.ctx_id = None
