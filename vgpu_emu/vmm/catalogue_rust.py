"""crosvm, libkrun and vhost-device-gpu, relatives in Rust: what they answer where ``strict`` answers otherwise.

Where each answer comes from: docs/profiles.md.
"""

from msgspec.structs import replace

from vgpu_emu.vmm.profiles import DEAD, Profile, by_answer, not_verified
from vgpu_emu.vmm.rules import INVALID_CONTEXT_ID, INVALID_PARAMETER, OK, UNCHECKED, UNSPEC, Rule
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import RespCapsetInfo

_OFFERS = frozenset(Feature) - {Feature.BLOB_ALIGNMENT}
#: every flag of the request is in the answer
_ALL_FLAGS = 0xFFFFFFFF
#: a request that cannot be decoded is answered without its header
_DECODING = frozenset({Rule.HEADER_WHOLE, Rule.COMMAND_KNOWN, Rule.REQUEST_WHOLE})
#: whatever the renderer refuses: images and transfers are its business here
_RENDERER = (
    UNSPEC,
    (
        Rule.REQUEST_WHOLE,
        Rule.FENCE_MADE,
        Rule.ENTRIES_WHOLE,
        Rule.ENTRIES_IN_MEMORY,
        Rule.CREATE_ID_NONZERO,
        Rule.CREATE_ID_FREE,
        Rule.CREATE_2D_FORMAT,
        Rule.CREATE_SIZE_NONZERO,
        Rule.HOST_MEMORY_LIMIT,
        Rule.ATTACH_GUEST_MEMORY,
        Rule.TRANSFER_KNOWN,
        Rule.TRANSFER_IMAGE,
        Rule.TRANSFER_INSIDE,
        Rule.TRANSFER_BACKING_LONG,
        Rule.CTX_CREATE_ID_FREE,
        Rule.RENDERER_ACCEPTS,
        Rule.RENDERER_HAS_ROOM,
    ),
)
_UNCHECKED = (
    UNCHECKED,
    (
        # the handlers do not ask what was negotiated
        Rule.COMMAND_NEGOTIATED,
        Rule.CTX_CREATE_INIT_NEGOTIATED,
        Rule.ENTRIES_LIMIT,
        # the new backing takes the place of the old one
        Rule.ATTACH_ONCE,
        Rule.DETACH_ATTACHED,
        Rule.SCANOUT_RECT_INSIDE,
        Rule.SCANOUT_RECT_NONEMPTY,
        Rule.FLUSH_INSIDE,
        Rule.SUBMIT_LIMIT,
    ),
)
#: cells without an answer of their own
_OPEN = {Rule.HOST_MEMORY_LIMIT, Rule.CTX_CREATE_INIT_NEGOTIATED, Rule.SCANOUT_RECT_LARGE}

_CROSVM = by_answer(
    _RENDERER,
    _UNCHECKED,
    (OK, (Rule.FLUSH_ID_NONZERO, Rule.SUBMIT_PRESENT)),
    (
        UNSPEC,
        (
            Rule.ATTACH_ENTRIES_PRESENT,
            Rule.CAPSET_KNOWN,
            Rule.CTX_CREATE_CAPSET_KNOWN,
            Rule.CTX_KNOWN,
            Rule.CTX_RESOURCE_KNOWN,
            Rule.SUBMIT_CTX_KNOWN,
            Rule.CREATE_BLOB_ID_NONZERO,
            Rule.CREATE_BLOB_ID_FREE,
            Rule.CREATE_BLOB_MEM_VALID,
            Rule.CREATE_BLOB_SIZE_NONZERO,
            Rule.CREATE_BLOB_ENTRIES_LONG,
            Rule.CREATE_BLOB_CTX_KNOWN,
            Rule.MAP_HOST_ONLY,
            Rule.MAP_MAPPABLE,
            Rule.MAP_INSIDE,
            Rule.MAP_ALIGNED,
            Rule.MAP_DISJOINT,
        ),
    ),
    (
        UNCHECKED,
        (
            Rule.BLOB_NEGOTIATED,
            Rule.UUID_NEGOTIATED,
            # the EDID of a default display
            Rule.EDID_SCANOUT_KNOWN,
            Rule.CURSOR_RESOURCE_SIZE,
            Rule.CREATE_BLOB_FLAGS_VALID,
            Rule.CREATE_BLOB_ENTRIES_NONE,
            # the offset is overwritten, the old mapping stays
            Rule.MAP_ONCE_SHAREABLE,
        ),
    ),
    # no capset has such an id: Linux gives up on all of them and does not wait
    (RespCapsetInfo(capset_id=0xFFFFFFFF), (Rule.CAPSET_INDEX_VALID,)),
)

CROSVM = Profile(
    name="crosvm",
    models="crosvm with rutabaga: whatever rutabaga refuses is UNSPEC",
    offers=_OFFERS,
    unref_unmaps=False,
    exports_move=True,
    echoed_flags=_ALL_FLAGS,
    forgets_fence=_DECODING,
    uuid_of="resource_id",
    differs=_CROSVM,
    unverified=not_verified(but={Rule.REQUEST_WHOLE}, also=_OPEN | {Rule.BLOB_NEGOTIATED}),
)

LIBKRUN = replace(
    CROSVM,
    name="libkrun",
    models="libkrun before July 2026: as crosvm, but for its panics and what it maps anywhere",
    dead_commands=frozenset({CtrlType.UPDATE_CURSOR, CtrlType.MOVE_CURSOR, CtrlType.SET_SCANOUT_BLOB}),
    differs=_CROSVM | by_answer((UNCHECKED, (Rule.MAP_INSIDE,)), (DEAD, (Rule.CREATE_BLOB_GUEST_HANDLE,))),
)

VHOST_DEVICE_GPU = Profile(
    name="vhost-device-gpu",
    models="rust-vmm vhost-device-gpu with virglrenderer: offers F_RESOURCE_BLOB, and panics at every blob command",
    offers=_OFFERS,
    dead_commands=frozenset(
        {
            CtrlType.RESOURCE_CREATE_BLOB,
            CtrlType.SET_SCANOUT_BLOB,
            CtrlType.RESOURCE_MAP_BLOB,
            CtrlType.RESOURCE_UNMAP_BLOB,
        }
    ),
    scanout_ids=16,
    # 1 << 0, where 0xff was meant
    capset_id_mask=1,
    echoed_flags=_ALL_FLAGS,
    forgets_fence=_DECODING | {Rule.ENTRIES_WHOLE, Rule.SUBMIT_WHOLE, Rule.SUBMIT_PRESENT},
    differs=by_answer(
        _RENDERER,
        _UNCHECKED,
        (OK, (Rule.FLUSH_ID_NONZERO, Rule.DETACH_KNOWN)),
        # the front-end is asked; what it does not answer is UNSPEC
        (UNSPEC, (Rule.EDID_SCANOUT_KNOWN, Rule.SUBMIT_WHOLE, Rule.SUBMIT_PRESENT)),
        (INVALID_PARAMETER, (Rule.UUID_NEGOTIATED,)),
        (INVALID_CONTEXT_ID, (Rule.CTX_CREATE_CAPSET_KNOWN,)),
        # an unknown capset is an empty one
        (UNCHECKED, (Rule.CAPSET_KNOWN, Rule.CURSOR_SCANOUT_KNOWN)),
    ),
    unverified=not_verified(
        but={Rule.REQUEST_WHOLE},
        also=_OPEN
        | {
            Rule.ATTACH_ENTRIES_PRESENT,
            Rule.TRANSFER_KNOWN,
            Rule.TRANSFER_BACKED,
            Rule.TRANSFER_INSIDE,
            Rule.EDID_SCANOUT_KNOWN,
            Rule.CURSOR_SCANOUT_KNOWN,
            Rule.SUBMIT_PRESENT,
            Rule.SUBMIT_LIMIT,
        },
    ),
)
