"""An open /dev/dri file of the guest: its ioctls by name (virtgpu_ioctl.c, drm_gem.c, drm_prime.c, drm_syncobj.c)."""

from vgpu_emu.guest import ioctls, ioctls_blob, ioctls_context, ioctls_resource, prime, submit, syncobj
from vgpu_emu.guest.ioctls_blob import HINT_DEFER_MAPPING
from vgpu_emu.guest.open_file import OpenFile
from vgpu_emu.guest.syncobj import SyncObj

__all__ = ["HINT_DEFER_MAPPING", "DrmFile"]


class DrmFile(OpenFile):
    """struct drm_file. comm: the process's name, of which 15 bytes name its context.

    Each method is the ioctl of its name; what they share is in OpenFile. A call on a file whose device was unbound is
    ENODEV.
    """

    # DRM_IOCTL_VIRTGPU_*
    map = ioctls.map_ioctl
    getparam = ioctls.getparam
    resource_info = ioctls.resource_info
    wait = ioctls.wait
    get_caps = ioctls_context.get_caps
    context_init = ioctls_context.context_init
    resource_create = ioctls_resource.resource_create
    resource_create_blob = ioctls_blob.resource_create_blob
    transfer_to_host = ioctls_resource.transfer_to_host
    transfer_from_host = ioctls_resource.transfer_from_host
    execbuffer = submit.execbuffer

    # DRM_IOCTL_MODE_CREATE_DUMB, DRM_IOCTL_PRIME_*, DRM_IOCTL_SYNCOBJ_*
    create_dumb = ioctls_resource.create_dumb
    prime_handle_to_fd = prime.prime_handle_to_fd
    prime_fd_to_handle = prime.prime_fd_to_handle
    syncobj_create = syncobj.create
    syncobj_destroy = syncobj.destroy
    syncobj_wait = syncobj.wait

    def syncobj(self, handle: int) -> SyncObj:
        """Raises OSError: ENOENT."""
        return syncobj.find(self, handle)
