"""QEMU's virtio-gpu devices, and its vhost-user back-end in C: what they answer where ``strict`` answers otherwise.

Where each answer comes from: docs/profiles.md.
"""

from vgpu_emu.vmm.profiles import DEAD, Profile, by_answer, not_verified
from vgpu_emu.vmm.rules import INVALID_PARAMETER, INVALID_RESOURCE_ID, OK, OUT_OF_MEMORY, UNCHECKED, UNSPEC, Rule
from vgpu_wire.control import CtrlFlag, CtrlType
from vgpu_wire.device import Feature
from vgpu_wire.render import RespCapsetInfo

_CAPSETS = frozenset({CtrlType.GET_CAPSET_INFO, CtrlType.GET_CAPSET})
_3D = _CAPSETS | {number for number in CtrlType if CtrlType.CTX_CREATE <= number <= CtrlType.SUBMIT_3D}
_MAPS = frozenset({CtrlType.RESOURCE_MAP_BLOB, CtrlType.RESOURCE_UNMAP_BLOB})
_BLOBS = _MAPS | {CtrlType.RESOURCE_CREATE_BLOB, CtrlType.SET_SCANOUT_BLOB}
_UUID = frozenset({CtrlType.RESOURCE_ASSIGN_UUID})
_GL = frozenset({Feature.VIRGL, Feature.EDID, Feature.RESOURCE_BLOB, Feature.CONTEXT_INIT})
#: commands with an answer of their own: it is written before anybody thinks of the fence
_ANSWERED = _CAPSETS | {CtrlType.GET_DISPLAY_INFO, CtrlType.GET_EDID, CtrlType.RESOURCE_MAP_BLOB}
#: a request that is too short is logged, and no error is set
_SHORT = (OK, (Rule.REQUEST_WHOLE,))
_READ = frozenset({Rule.REQUEST_WHOLE})
_ENTRIES = (UNSPEC, (Rule.ENTRIES_WHOLE, Rule.ENTRIES_LIMIT, Rule.ENTRIES_IN_MEMORY))
#: a cursor command that is wrong changes nothing, and is completed without a word
_CURSOR = (OK, (Rule.CURSOR_SCANOUT_KNOWN, Rule.CURSOR_RESOURCE_KNOWN, Rule.CURSOR_RESOURCE_SIZE))

QEMU_2D = Profile(
    name="qemu-2d",
    models="QEMU virtio-gpu without 3D, blob=on",
    offers=frozenset({Feature.EDID, Feature.RESOURCE_BLOB}),
    lacks=_3D | _MAPS | _UUID,
    cursor_answers=False,
    shareable_is_guest=True,
    differs=by_answer(
        _SHORT,
        _ENTRIES,
        _CURSOR,
        (UNSPEC, (Rule.SCANOUT_RESOURCE_BACKED,)),
        (
            INVALID_PARAMETER,
            (
                Rule.BLOB_NEGOTIATED,
                Rule.SCANOUT_RECT_LARGE,
                Rule.FLUSH_BLOB_SHOWN,
                Rule.EDID_SCANOUT_KNOWN,
                Rule.CREATE_BLOB_MEM_NEGOTIATED,
            ),
        ),
        (
            UNCHECKED,
            (
                Rule.COMMAND_NEGOTIATED,
                # pixman makes an image of no pixels, and copies what the backing has
                Rule.CREATE_SIZE_NONZERO,
                Rule.TRANSFER_BACKING_LONG,
                Rule.CREATE_BLOB_FLAGS_VALID,
                Rule.CREATE_BLOB_SIZE_NONZERO,
                # no udmabuf can be made then, which is only logged
                Rule.CREATE_BLOB_ENTRIES_LONG,
            ),
        ),
    ),
    unverified=not_verified(but=_READ),
)

QEMU_VIRGL = Profile(
    name="qemu-virgl",
    models="QEMU virtio-gpu-gl: what virglrenderer returns is mostly not looked at, not even for map_info",
    offers=_GL,
    lacks=_UUID,
    cursor_answers=False,
    errors_wait=False,
    answers_at_once=_ANSWERED,
    differs=by_answer(
        _SHORT,
        _ENTRIES,
        _CURSOR,
        (
            OK,
            (
                Rule.ATTACH_KNOWN,
                Rule.ATTACH_ONCE,
                Rule.ATTACH_GUEST_MEMORY,
                Rule.DETACH_KNOWN,
                Rule.TRANSFER_KNOWN,
                Rule.TRANSFER_BACKED,
                Rule.TRANSFER_IMAGE,
                Rule.TRANSFER_INSIDE,
                Rule.TRANSFER_BACKING_LONG,
                Rule.FLUSH_ID_NONZERO,
                Rule.FLUSH_KNOWN,
                Rule.CTX_CREATE_ID_FREE,
                Rule.CTX_CREATE_CAPSET_KNOWN,
                Rule.CTX_KNOWN,
                Rule.CTX_RESOURCE_KNOWN,
                Rule.SUBMIT_CTX_KNOWN,
                Rule.UNMAP_MAPPED,
            ),
        ),
        (
            UNCHECKED,
            (
                Rule.COMMAND_NEGOTIATED,
                Rule.CREATE_2D_FORMAT,
                Rule.CREATE_SIZE_NONZERO,
                Rule.HOST_MEMORY_LIMIT,
                Rule.DETACH_ATTACHED,
                Rule.FLUSH_INSIDE,
                Rule.CREATE_BLOB_FLAGS_VALID,
                Rule.CREATE_BLOB_ENTRIES_NONE,
                Rule.MAP_MAPPABLE,
                Rule.MAP_DISJOINT,
                Rule.MAP_INFO_KNOWN,
            ),
        ),
        (
            INVALID_PARAMETER,
            (Rule.BLOB_NEGOTIATED, Rule.SCANOUT_RECT_LARGE, Rule.EDID_SCANOUT_KNOWN, Rule.SUBMIT_LIMIT),
        ),
        (
            UNSPEC,
            (
                Rule.CREATE_BLOB_MEM_VALID,
                Rule.CREATE_BLOB_SIZE_NONZERO,
                Rule.CREATE_BLOB_ENTRIES_LONG,
                Rule.CREATE_BLOB_CTX_KNOWN,
                Rule.MAP_HOST_ONLY,
                # mmap refuses what is not on a page
                Rule.MAP_ALIGNED,
                Rule.RENDERER_ACCEPTS,
                Rule.RENDERER_HAS_ROOM,
            ),
        ),
        (RespCapsetInfo(), (Rule.CAPSET_INDEX_VALID,)),
    ),
    # what the renderer says to a blob on the host of a device without 3D
    unverified=not_verified(but=_READ, also={Rule.CREATE_BLOB_MEM_NEGOTIATED}),
)

QEMU_RUTABAGA = Profile(
    name="qemu-rutabaga",
    models="QEMU virtio-gpu-rutabaga: every check that fails is UNSPEC",
    offers=_GL,
    lacks=_UUID | {CtrlType.SET_SCANOUT_BLOB},
    unref_unmaps=False,
    scanout_ids=16,
    cursor_answers=False,
    errors_wait=False,
    answers_at_once=_ANSWERED,
    differs=by_answer(
        _SHORT,
        _ENTRIES,
        _CURSOR,
        (
            UNSPEC,
            (
                Rule.CREATE_ID_FREE,
                Rule.CREATE_2D_FORMAT,
                Rule.CREATE_SIZE_NONZERO,
                Rule.HOST_MEMORY_LIMIT,
                Rule.UNREF_KNOWN,
                Rule.ATTACH_KNOWN,
                Rule.ATTACH_GUEST_MEMORY,
                Rule.DETACH_KNOWN,
                Rule.TRANSFER_KNOWN,
                Rule.TRANSFER_IMAGE,
                Rule.TRANSFER_INSIDE,
                Rule.TRANSFER_BACKING_LONG,
                Rule.SCANOUT_KNOWN,
                Rule.SCANOUT_RESOURCE_KNOWN,
                Rule.SCANOUT_RESOURCE_KIND,
                Rule.FLUSH_ID_NONZERO,
                Rule.FLUSH_KNOWN,
                Rule.CAPSET_INDEX_VALID,
                Rule.CAPSET_KNOWN,
                Rule.CTX_CREATE_ID_FREE,
                Rule.CTX_CREATE_CAPSET_KNOWN,
                Rule.CTX_KNOWN,
                Rule.CTX_RESOURCE_KNOWN,
                Rule.SUBMIT_CTX_KNOWN,
                Rule.SUBMIT_WHOLE,
                Rule.SUBMIT_PRESENT,
                Rule.CREATE_BLOB_ID_NONZERO,
                Rule.CREATE_BLOB_ID_FREE,
                Rule.CREATE_BLOB_MEM_VALID,
                Rule.CREATE_BLOB_SIZE_NONZERO,
                Rule.CREATE_BLOB_ENTRIES_LONG,
                Rule.CREATE_BLOB_CTX_KNOWN,
                Rule.MAP_KNOWN,
                Rule.MAP_HOST_ONLY,
                Rule.MAP_MAPPABLE,
                Rule.UNMAP_KNOWN,
                Rule.RENDERER_ACCEPTS,
                Rule.RENDERER_HAS_ROOM,
            ),
        ),
        (
            UNCHECKED,
            (
                # the handlers do not ask what was negotiated
                Rule.COMMAND_NEGOTIATED,
                Rule.BLOB_NEGOTIATED,
                Rule.CTX_CREATE_INIT_NEGOTIATED,
                Rule.CREATE_ID_NONZERO,
                Rule.DETACH_ATTACHED,
                # the whole resource is shown, whatever the rectangle
                Rule.SCANOUT_RECT_INSIDE,
                Rule.SCANOUT_RECT_NONEMPTY,
                Rule.FLUSH_INSIDE,
                Rule.CREATE_BLOB_FLAGS_VALID,
                Rule.CREATE_BLOB_ENTRIES_NONE,
                # left to QEMU's memory core
                Rule.MAP_INSIDE,
                Rule.MAP_ALIGNED,
                Rule.MAP_DISJOINT,
            ),
        ),
        (INVALID_PARAMETER, (Rule.EDID_SCANOUT_KNOWN,)),
        # g_new0 ends the process if there is not that much memory
        (DEAD, (Rule.SUBMIT_LIMIT,)),
    ),
    unverified=not_verified(
        but=_READ,
        also={Rule.BLOB_NEGOTIATED, Rule.CTX_CREATE_INIT_NEGOTIATED, Rule.CREATE_ID_NONZERO, Rule.SCANOUT_RECT_LARGE},
    ),
)

VHOST_USER_GPU = Profile(
    name="vhost-user-gpu",
    models="QEMU contrib/vhost-user-gpu without --virgl, as seen: 11.1.2; EDID: since 8.1",
    offers=frozenset({Feature.EDID}),
    lacks=_3D | _BLOBS | _UUID,
    scanout_ids=16,
    cursor_answers=False,
    echoed_flags=CtrlFlag.FENCE.value,
    differs=by_answer(
        _ENTRIES,
        _CURSOR,
        (INVALID_PARAMETER, (Rule.HEADER_WHOLE,)),
        (INVALID_RESOURCE_ID, (Rule.DETACH_ATTACHED, Rule.TRANSFER_BACKED)),
        # its size is 0, and no memory of that size is to be had
        (OUT_OF_MEMORY, (Rule.CREATE_SIZE_NONZERO,)),
        (UNCHECKED, (Rule.RING_IDX_VALID, Rule.TRANSFER_BACKING_LONG, Rule.SCANOUT_RECT_NONEMPTY)),
    ),
    unverified=not_verified(
        but={
            Rule.HEADER_WHOLE,
            Rule.REQUEST_WHOLE,
            Rule.RING_IDX_VALID,
            Rule.CREATE_SIZE_NONZERO,
            Rule.TRANSFER_BACKING_LONG,
            Rule.SCANOUT_RECT_NONEMPTY,
        },
        also={Rule.EDID_SCANOUT_KNOWN},
    ),
)
