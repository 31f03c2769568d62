"""The device itself (virtio 1.4, 5.7.1 to 5.7.5): id, queues, feature bits, shared memory, configuration space."""

from enum import IntEnum, IntFlag

from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.terms import le32

DEVICE_ID = 16
#: virtqueue numbers
CONTROLQ = 0
CURSORQ = 1
MAX_SCANOUTS = 16


class Feature(IntEnum):
    """VIRTIO_GPU_F_*: bit numbers."""

    VIRGL = 0
    EDID = 1
    RESOURCE_UUID = 2
    RESOURCE_BLOB = 3
    CONTEXT_INIT = 4
    BLOB_ALIGNMENT = 5


#: Feature -> the feature that the driver must negotiate too (5.7.3).
FEATURE_NEEDS = {Feature.CONTEXT_INIT: Feature.VIRGL, Feature.BLOB_ALIGNMENT: Feature.RESOURCE_BLOB}


class ShmId(IntEnum):
    """enum virtio_gpu_shm_id: shared memory regions."""

    UNDEFINED = 0
    HOST_VISIBLE = 1


class ConfigEvent(IntFlag):
    """VIRTIO_GPU_EVENT_*: bits of events_read and events_clear."""

    DISPLAY = 1 << 0


@wire("virtio_gpu_config", 20)
class Config(Record, frozen=True):
    """virtio_gpu_config: the configuration space; 16 bytes, without blob_alignment, before virtio 1.4.

    events_read: pending events. events_clear: write 1 to clear. num_scanouts: 1..16. num_capsets: 0 and up.
    blob_alignment: bytes, a power of two; there only with F_BLOB_ALIGNMENT.
    """

    events_read: le32 = 0
    events_clear: le32 = 0
    num_scanouts: le32 = 0
    num_capsets: le32 = 0
    blob_alignment: le32 = 0
