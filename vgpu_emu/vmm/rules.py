"""Every rule that a request can break, and what the ``strict`` profile answers.

The spec has no table of error codes. strict gives the most specific one that the spec has: an unknown id its
INVALID_*_ID; ranges, alignment, overlap, formats and capset indices INVALID_PARAMETER; a limit OUT_OF_MEMORY; a wrong
state and a command whose feature was not negotiated UNSPEC. UNCHECKED is what no part of the spec asks for.
"""

from enum import Enum

from vgpu_wire.control import CtrlType


class Unchecked(Enum):
    """The VMM does not look: the command goes on as if the rule held or, if it cannot, ends with RESP_OK_NODATA."""

    UNCHECKED = "not checked"


UNCHECKED = Unchecked.UNCHECKED
OK = CtrlType.RESP_OK_NODATA
UNSPEC = CtrlType.RESP_ERR_UNSPEC
OUT_OF_MEMORY = CtrlType.RESP_ERR_OUT_OF_MEMORY
INVALID_SCANOUT_ID = CtrlType.RESP_ERR_INVALID_SCANOUT_ID
INVALID_RESOURCE_ID = CtrlType.RESP_ERR_INVALID_RESOURCE_ID
INVALID_CONTEXT_ID = CtrlType.RESP_ERR_INVALID_CONTEXT_ID
INVALID_PARAMETER = CtrlType.RESP_ERR_INVALID_PARAMETER


class Rule(Enum):
    """A condition that must hold; its value: what is wrong if it does not, and strict's answer."""

    # any command
    HEADER_WHOLE = "the request is shorter than a header", UNSPEC
    COMMAND_KNOWN = "no command of this queue has this type", UNSPEC
    COMMAND_NEGOTIATED = "the command needs a feature that was not negotiated", UNSPEC
    REQUEST_WHOLE = "the request ends before its structure does", INVALID_PARAMETER
    ENTRIES_WHOLE = "fewer memory entries than nr_entries", INVALID_PARAMETER
    FENCE_LIMIT = "more outstanding fences than the device has room for", OUT_OF_MEMORY
    FENCE_MADE = "the renderer could not make a fence", UNCHECKED
    MEMORY_THERE = "guest memory that the resource was given is gone", UNSPEC
    RING_IDX_VALID = "ring_idx is not 0..63", INVALID_PARAMETER

    # resources
    RESOURCE_LIMIT = "more resources than the device has room for", OUT_OF_MEMORY
    HOST_MEMORY_LIMIT = "more bytes of images, or lines of one, than the device has room for", OUT_OF_MEMORY
    CREATE_ID_NONZERO = "RESOURCE_CREATE_2D or _3D with id 0", INVALID_RESOURCE_ID
    CREATE_ID_FREE = "RESOURCE_CREATE_2D or _3D with the id of a live resource", INVALID_RESOURCE_ID
    CREATE_2D_FORMAT = "RESOURCE_CREATE_2D of an unknown format", INVALID_PARAMETER
    CREATE_SIZE_NONZERO = "an image without pixels", INVALID_PARAMETER
    UNREF_KNOWN = "RESOURCE_UNREF of an unknown resource", INVALID_RESOURCE_ID
    UUID_NEGOTIATED = "RESOURCE_ASSIGN_UUID without F_RESOURCE_UUID", UNSPEC
    UUID_KNOWN = "RESOURCE_ASSIGN_UUID of an unknown resource", INVALID_RESOURCE_ID

    # backing
    ATTACH_KNOWN = "RESOURCE_ATTACH_BACKING to an unknown resource", INVALID_RESOURCE_ID
    ATTACH_ONCE = "RESOURCE_ATTACH_BACKING to a resource that has a backing", UNSPEC
    ATTACH_GUEST_MEMORY = "RESOURCE_ATTACH_BACKING to a blob that is on the host only", INVALID_PARAMETER
    ATTACH_ENTRIES_PRESENT = "RESOURCE_ATTACH_BACKING with no entries", UNCHECKED
    ENTRIES_LIMIT = "more memory entries than the device takes", OUT_OF_MEMORY
    ENTRIES_IN_MEMORY = "a memory entry is not in the guest's memory", INVALID_PARAMETER
    DETACH_KNOWN = "RESOURCE_DETACH_BACKING of an unknown resource", INVALID_RESOURCE_ID
    DETACH_ATTACHED = "RESOURCE_DETACH_BACKING of a resource without backing", UNSPEC

    # transfers
    TRANSFER_KNOWN = "a transfer of an unknown resource", INVALID_RESOURCE_ID
    TRANSFER_BACKED = "a transfer of a resource without backing", UNSPEC
    TRANSFER_IMAGE = "a 2D transfer of a 3D resource, or a 3D transfer of a 2D one", INVALID_PARAMETER
    TRANSFER_INSIDE = "the rectangle or box is not inside of the resource", INVALID_PARAMETER
    TRANSFER_BACKING_LONG = "the backing ends before the rectangle or box does", INVALID_PARAMETER

    # displays
    SCANOUT_KNOWN = "SET_SCANOUT of a scanout that the device does not have", INVALID_SCANOUT_ID
    SCANOUT_RESOURCE_KNOWN = "SET_SCANOUT with an unknown resource", INVALID_RESOURCE_ID
    SCANOUT_RESOURCE_BACKED = "SET_SCANOUT with a resource without backing", UNCHECKED
    SCANOUT_RESOURCE_KIND = "SET_SCANOUT with a blob, or SET_SCANOUT_BLOB with none", INVALID_PARAMETER
    SCANOUT_RECT_INSIDE = "the rectangle is not inside of the resource", INVALID_PARAMETER
    SCANOUT_RECT_NONEMPTY = "a rectangle without pixels", INVALID_PARAMETER
    SCANOUT_RECT_LARGE = "a rectangle of less than 16x16 pixels", UNCHECKED
    SCANOUT_FORMAT = "SET_SCANOUT_BLOB with an unknown format", INVALID_PARAMETER
    SCANOUT_BLOB_LONG = "the blob ends before its last line does", INVALID_PARAMETER
    FLUSH_ID_NONZERO = "RESOURCE_FLUSH of resource 0", INVALID_RESOURCE_ID
    FLUSH_KNOWN = "RESOURCE_FLUSH of an unknown resource", INVALID_RESOURCE_ID
    FLUSH_INSIDE = "RESOURCE_FLUSH of a rectangle that is not inside of the resource", INVALID_PARAMETER
    FLUSH_BLOB_SHOWN = "RESOURCE_FLUSH of a part of a blob that no scanout shows", UNCHECKED
    EDID_SCANOUT_KNOWN = "GET_EDID of a scanout that the device does not have", INVALID_SCANOUT_ID
    CURSOR_SCANOUT_KNOWN = "a cursor on a scanout that the device does not have", INVALID_SCANOUT_ID
    CURSOR_RESOURCE_KNOWN = "UPDATE_CURSOR with an unknown resource", INVALID_RESOURCE_ID
    CURSOR_RESOURCE_SIZE = "UPDATE_CURSOR with a resource that is not 64x64", INVALID_PARAMETER

    # capability sets
    CAPSET_INDEX_VALID = "GET_CAPSET_INFO of an index that is not below num_capsets", INVALID_PARAMETER
    CAPSET_KNOWN = "GET_CAPSET of an unknown capset or version", INVALID_PARAMETER
    CAPSET_LIMIT = "GET_CAPSET of a capset of more bytes than the device sends", OUT_OF_MEMORY

    # contexts
    CTX_CREATE_ID_FREE = "CTX_CREATE with id 0 or of a context that exists", INVALID_CONTEXT_ID
    CTX_CREATE_INIT_NEGOTIATED = "CTX_CREATE with context_init but without F_CONTEXT_INIT", UNSPEC
    CTX_CREATE_CAPSET_KNOWN = "CTX_CREATE for a capset that the device does not have", INVALID_PARAMETER
    CTX_LIMIT = "more contexts than the device has room for", OUT_OF_MEMORY
    CTX_KNOWN = "no such context", INVALID_CONTEXT_ID
    CTX_RESOURCE_KNOWN = "CTX_ATTACH_RESOURCE or CTX_DETACH_RESOURCE of an unknown resource", INVALID_RESOURCE_ID
    SUBMIT_CTX_KNOWN = "SUBMIT_3D to an unknown context", INVALID_CONTEXT_ID
    SUBMIT_WHOLE = "SUBMIT_3D of fewer bytes than size says", INVALID_PARAMETER
    SUBMIT_PRESENT = "SUBMIT_3D of no bytes although size says so", INVALID_PARAMETER
    SUBMIT_LIMIT = "SUBMIT_3D of more bytes than the device takes", OUT_OF_MEMORY

    # blobs
    BLOB_NEGOTIATED = "RESOURCE_CREATE_BLOB or SET_SCANOUT_BLOB without F_RESOURCE_BLOB", UNSPEC
    CREATE_BLOB_ID_NONZERO = "RESOURCE_CREATE_BLOB with id 0", INVALID_RESOURCE_ID
    CREATE_BLOB_ID_FREE = "RESOURCE_CREATE_BLOB with the id of a live resource", INVALID_RESOURCE_ID
    CREATE_BLOB_MEM_VALID = "blob_mem is not 1..3", INVALID_PARAMETER
    CREATE_BLOB_MEM_NEGOTIATED = "a blob on the host without F_VIRGL", UNSPEC
    CREATE_BLOB_FLAGS_VALID = "unknown blob_flags", INVALID_PARAMETER
    CREATE_BLOB_GUEST_HANDLE = "blob_flags with bit 3, CREATE_GUEST_HANDLE, which is crosvm's own", UNCHECKED
    CREATE_BLOB_SIZE_NONZERO = "a blob of 0 bytes", INVALID_PARAMETER
    CREATE_BLOB_SIZE_ALIGNED = "the size is not a multiple of blob_alignment", INVALID_PARAMETER
    CREATE_BLOB_ENTRIES_NONE = "memory entries for a blob that is on the host only", INVALID_PARAMETER
    CREATE_BLOB_ENTRIES_LONG = "the memory entries are shorter than the blob", INVALID_PARAMETER
    CREATE_BLOB_CTX_KNOWN = "RESOURCE_CREATE_BLOB on the host, in an unknown context", INVALID_CONTEXT_ID
    BLOB_BYTES_LIMIT = "more bytes of blobs than the device has room for", OUT_OF_MEMORY
    MAP_KNOWN = "RESOURCE_MAP_BLOB of an unknown resource", INVALID_RESOURCE_ID
    MAP_HOST_ONLY = "RESOURCE_MAP_BLOB of a resource that is not a blob on the host only", INVALID_PARAMETER
    MAP_MAPPABLE = "RESOURCE_MAP_BLOB of a blob without USE_MAPPABLE", INVALID_PARAMETER
    MAP_ONCE = "RESOURCE_MAP_BLOB of a blob that is mapped", UNSPEC
    MAP_ONCE_SHAREABLE = "the same, of a blob with USE_SHAREABLE or USE_CROSS_DEVICE", UNSPEC
    MAP_INSIDE = "offset + size is not inside of the host visible region", INVALID_PARAMETER
    MAP_ALIGNED = "the offset is not a multiple of the page size or of blob_alignment", INVALID_PARAMETER
    MAP_DISJOINT = "another blob is mapped in that range", INVALID_PARAMETER
    MAP_EXPORTED = "the renderer could not export the blob, or as less memory than it has bytes", UNSPEC
    MAP_INFO_KNOWN = "nobody can say how the blob may be mapped", UNSPEC
    UNMAP_KNOWN = "RESOURCE_UNMAP_BLOB of an unknown resource", INVALID_RESOURCE_ID
    UNMAP_MAPPED = "RESOURCE_UNMAP_BLOB of a blob that is not mapped", UNSPEC

    # the renderer said no
    RENDERER_ACCEPTS = "the renderer refused the arguments (EINVAL, ENOENT, EEXIST)", INVALID_PARAMETER
    RENDERER_HAS_ROOM = "the renderer has no room (ENOMEM, EMFILE)", OUT_OF_MEMORY
    RENDERER_WORKS = "the renderer failed", UNSPEC

    def __init__(self, broken: str, strict: CtrlType | Unchecked) -> None:
        self.broken = broken
        self.strict = strict

    # an enum member's own hash is Python code, and a profile is asked about a rule with every refusal
    __hash__ = object.__hash__


#: the rules that the table of conditions does not have (docs/profiles.md)
BESIDE_TABLE = frozenset(
    {
        Rule.HEADER_WHOLE,
        Rule.COMMAND_NEGOTIATED,
        Rule.REQUEST_WHOLE,
        Rule.FENCE_LIMIT,
        Rule.MEMORY_THERE,
        Rule.RING_IDX_VALID,
        Rule.RESOURCE_LIMIT,
        Rule.CREATE_SIZE_NONZERO,
        Rule.ATTACH_GUEST_MEMORY,
        Rule.TRANSFER_IMAGE,
        Rule.TRANSFER_BACKING_LONG,
        Rule.SCANOUT_RESOURCE_KIND,
        Rule.SCANOUT_RECT_NONEMPTY,
        Rule.SCANOUT_FORMAT,
        Rule.SCANOUT_BLOB_LONG,
        Rule.CAPSET_LIMIT,
        Rule.CTX_CREATE_CAPSET_KNOWN,
        Rule.CTX_LIMIT,
        Rule.CREATE_BLOB_SIZE_ALIGNED,
        Rule.BLOB_BYTES_LIMIT,
        Rule.MAP_EXPORTED,
        Rule.RENDERER_HAS_ROOM,
        Rule.RENDERER_WORKS,
    }
)
