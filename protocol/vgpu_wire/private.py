"""Numbers that real stacks use and the spec does not have. Nothing of the emulator sends them on the wire."""

from enum import IntEnum, IntFlag

#: crosvm: a flag of ctrl_hdr
CROSVM_FLAG_FENCE_HOST_SHAREABLE = 1 << 2
#: crosvm: a success response to RESOURCE_CREATE_*, sent only when the response buffer has room for it
CROSVM_RESP_OK_RESOURCE_PLANE_INFO = 0x11FF
#: crosvm, vhost-device-gpu, libkrun: a flag of resource_create_blob
BLOB_FLAG_CREATE_GUEST_HANDLE = 1 << 3


class RutabagaMapAccess(IntFlag):
    """RUTABAGA_MAP_ACCESS_*: rutabaga's own bits next to MapCache; a VMM strips them before it answers."""

    READ = 0x10
    WRITE = 0x20
    RW = 0x30


#: RUTABAGA_MAP_ACCESS_MASK
RUTABAGA_MAP_ACCESS_MASK = 0xF0


class RutabagaCapsetId(IntEnum):
    """RUTABAGA_CAPSET_* beyond CapsetId (virtio-spec#218 proposes another meaning for 7)."""

    MAGMA = 7
    GFXSTREAM_GLES = 8
    GFXSTREAM_COMPOSER = 9
