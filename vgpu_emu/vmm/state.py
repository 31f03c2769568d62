"""What the device knows of its resources, and the limits of how much it will know."""

import msgspec

from vgpu_emu.ids import ResourceId
from vgpu_emu.memory import PAGE_SIZE, PassedFd


class DeviceLimits(msgspec.Struct, frozen=True):
    """Beyond each of these a command is answered RESP_ERR_OUT_OF_MEMORY."""

    resources: int = 4096
    contexts: int = 64
    #: bytes of all blobs together
    blob_bytes: int = 256 << 20
    #: bytes of one SUBMIT_3D
    submit_bytes: int = 1 << 20


class Blob(msgspec.Struct):
    """A blob resource. exported: its dma-buf in the VMM's hands. offset: where it is mapped; None: nowhere."""

    resource_id: ResourceId
    blob_flags: int
    size: int
    exported: PassedFd | None = None
    offset: int | None = None

    @property
    def length(self) -> int:
        """Bytes that it takes in the region: whole pages."""
        return -(-self.size // PAGE_SIZE) * PAGE_SIZE
