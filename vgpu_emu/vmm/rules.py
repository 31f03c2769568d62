"""Every rule that a request can break, and what the ``strict`` profile answers.

The spec has no table of error codes. strict gives the most specific one that the spec has: an unknown id its
INVALID_*_ID; ranges, alignment and overlap INVALID_PARAMETER; a limit OUT_OF_MEMORY; a wrong state UNSPEC.
"""

from enum import Enum

from vgpu_wire.control import CtrlType

UNSPEC = CtrlType.RESP_ERR_UNSPEC
OUT_OF_MEMORY = CtrlType.RESP_ERR_OUT_OF_MEMORY
INVALID_RESOURCE_ID = CtrlType.RESP_ERR_INVALID_RESOURCE_ID
INVALID_CONTEXT_ID = CtrlType.RESP_ERR_INVALID_CONTEXT_ID
INVALID_PARAMETER = CtrlType.RESP_ERR_INVALID_PARAMETER


class Rule(Enum):
    """A condition that must hold; its value: what is wrong if it does not, and strict's answer."""

    # any command
    HEADER_WHOLE = "the request is shorter than a header", UNSPEC
    COMMAND_KNOWN = "no command has this type", UNSPEC
    COMMAND_NEGOTIATED = "the command needs a feature that was not negotiated", UNSPEC
    REQUEST_WHOLE = "the request ends before its structure does", INVALID_PARAMETER

    # contexts
    CTX_CREATE_ID_FREE = "CTX_CREATE with id 0 or of a context that exists", INVALID_CONTEXT_ID
    CTX_CREATE_INIT_NEGOTIATED = "CTX_CREATE with context_init but without F_CONTEXT_INIT", UNSPEC
    CTX_LIMIT = "more contexts than the device has room for", OUT_OF_MEMORY
    CTX_KNOWN = "no such context", INVALID_CONTEXT_ID
    CTX_RESOURCE_KNOWN = "CTX_ATTACH_RESOURCE or CTX_DETACH_RESOURCE of an unknown resource", INVALID_RESOURCE_ID
    SUBMIT_CTX_KNOWN = "SUBMIT_3D to an unknown context", INVALID_CONTEXT_ID
    SUBMIT_LIMIT = "SUBMIT_3D of more bytes than the device takes", OUT_OF_MEMORY

    # resources
    UNREF_KNOWN = "RESOURCE_UNREF of an unknown resource", INVALID_RESOURCE_ID
    RESOURCE_LIMIT = "more resources than the device has room for", OUT_OF_MEMORY
    CREATE_BLOB_ID_NONZERO = "RESOURCE_CREATE_BLOB with id 0", INVALID_RESOURCE_ID
    CREATE_BLOB_ID_FREE = "RESOURCE_CREATE_BLOB with the id of a live resource", INVALID_RESOURCE_ID
    CREATE_BLOB_MEM_VALID = "blob_mem is not HOST3D", INVALID_PARAMETER
    CREATE_BLOB_FLAGS_VALID = "unknown blob_flags", INVALID_PARAMETER
    CREATE_BLOB_SIZE_NONZERO = "a blob of 0 bytes", INVALID_PARAMETER
    CREATE_BLOB_ENTRIES_NONE = "memory entries for a blob that is on the host only", INVALID_PARAMETER
    CREATE_BLOB_CTX_KNOWN = "RESOURCE_CREATE_BLOB in an unknown context", INVALID_CONTEXT_ID
    BLOB_BYTES_LIMIT = "more bytes of blobs than the device has room for", OUT_OF_MEMORY

    # mapping
    MAP_KNOWN = "RESOURCE_MAP_BLOB of an unknown resource", INVALID_RESOURCE_ID
    MAP_MAPPABLE = "RESOURCE_MAP_BLOB of a blob without USE_MAPPABLE", INVALID_PARAMETER
    MAP_ONCE = "RESOURCE_MAP_BLOB of a blob that is mapped", UNSPEC
    MAP_INSIDE = "offset + size is not inside of the host visible region", INVALID_PARAMETER
    MAP_ALIGNED = "the offset is not a multiple of the page size", INVALID_PARAMETER
    MAP_DISJOINT = "another blob is mapped in that range", INVALID_PARAMETER
    MAP_EXPORTED = "the renderer could not export the blob, or as less memory than it has bytes", UNSPEC
    MAP_INFO_KNOWN = "nobody can say how the blob may be mapped", UNSPEC
    UNMAP_KNOWN = "RESOURCE_UNMAP_BLOB of an unknown resource", INVALID_RESOURCE_ID
    UNMAP_MAPPED = "RESOURCE_UNMAP_BLOB of a blob that is not mapped", UNSPEC

    # the renderer said no
    RENDERER_ACCEPTS = "the renderer refused the arguments (EINVAL, ENOENT, EEXIST)", INVALID_PARAMETER
    RENDERER_HAS_ROOM = "the renderer has no room (ENOMEM, EMFILE)", OUT_OF_MEMORY
    RENDERER_WORKS = "the renderer failed", UNSPEC

    def __init__(self, broken: str, strict: CtrlType) -> None:
        self.broken = broken
        self.strict = strict
