"""The checks of VMMs on framing, resources, displays and the cursor."""

from vgpu_emu.trace.vmm_checks import IGNORED, OK, OOM, PAR, RENDERER, RID, SC, UN, UNCHECKED, Check
from vgpu_wire.control import CtrlType as T
from vgpu_wire.messages import OK_RESPONSE

_COMMANDS = tuple(number for number in T if T.UNDEFINED < number < T.RESP_OK_NODATA)
_CURSOR = (T.UPDATE_CURSOR, T.MOVE_CURSOR)
_WITH_BODY = tuple(n for n in _COMMANDS if n not in {T.GET_DISPLAY_INFO, T.CTX_DESTROY})
_ANSWERED_WITHOUT_DATA = tuple(n for n in _WITH_BODY if n not in {*OK_RESPONSE, *_CURSOR})
_CREATE = (T.RESOURCE_CREATE_2D, T.RESOURCE_CREATE_3D, T.RESOURCE_CREATE_BLOB)
_WITH_ENTRIES = (T.RESOURCE_ATTACH_BACKING, T.RESOURCE_CREATE_BLOB)
_SCANOUT = (T.SET_SCANOUT, T.SET_SCANOUT_BLOB)
_TRANSFER_3D = (T.TRANSFER_TO_HOST_3D, T.TRANSFER_FROM_HOST_3D)

_NO_HEADER = (UN, "the header of the answer is all zeros, so a fence is lost")
_ONLY_LOGGED = (OK, "it is logged (-d guest_errors) and not carried out")
_WHOSE_ID = (
    "The resource was never made, is gone already, or the ids got mixed up. Look for the command that should have made "
    "it and at its answer: Linux waits for few answers, so the first failure may be far before the visible one."
)
_LAYOUT = "A driver with another idea of the structure. Decode the request: vgpu-emu decode shows its bytes and size."
_RECT = "The rectangle was made for another size of the resource: look at what created it, and at mode changes."

FRAMING = (
    Check(
        _ANSWERED_WITHOUT_DATA,
        "the request ends before its structure does",
        (_ONLY_LOGGED, _ONLY_LOGGED, _ONLY_LOGGED, None, None),
        _LAYOUT,
    ),
    Check(
        _WITH_BODY, "the request ends before its structure does", (None, None, None, _NO_HEADER, _NO_HEADER), _LAYOUT
    ),
    Check(
        _COMMANDS,
        "the fence of the request could not be made",
        (None, None, None, (UN, "it replaces the real answer"), (UN, "it replaces the real answer")),
        "The command itself may have worked. Look at ctx_id and ring_idx of the request: the context may be unknown.",
    ),
)

RESOURCES = (
    Check(
        (T.RESOURCE_CREATE_2D, T.RESOURCE_CREATE_3D),
        "resource_id is 0",
        (RID, RID, RENDERER, RENDERER, RENDERER),
        "0 means no resource. A driver numbers from 1; Linux starts at 2.",
    ),
    Check(
        _CREATE,
        "resource_id is taken",
        (RID, RID, RENDERER, RENDERER, RENDERER),
        "The id was used before and not given back: look for a RESOURCE_UNREF that is missing or failed, and for a "
        "device that was not reset when its driver was loaded again.",
    ),
    Check(
        (T.RESOURCE_CREATE_2D,),
        "the format is not one of the eight",
        (PAR, IGNORED, RENDERER, (UN, "the renderer refuses; in 2D mode every format goes"), RENDERER),
        "Look at format in the request.",
    ),
    Check(
        (T.RESOURCE_CREATE_2D,),
        "width x height is more memory than the device has",
        ((OOM, "max_hostmem, 256 MiB by default"), IGNORED, RENDERER, None, None),
        "Add up the images that are alive: with a big mode or several displays the limit is soon reached. QEMU's is "
        "max_hostmem=. Look also for images that were never unreferenced.",
    ),
    Check(
        (T.RESOURCE_CREATE_3D,),
        "the renderer cannot make such a texture or buffer",
        (None, IGNORED, UN, UN, UN),
        "Look at target, format, bind and the sizes: the host's driver must have them, and its capability set says so.",
    ),
    Check((T.RESOURCE_UNREF,), "resource_id is unknown", (RID, RID, UN, RID, RID), _WHOSE_ID),
    Check(
        (T.RESOURCE_UNREF,),
        "the resource is shown by a scanout",
        (None, None, None, None, UN),
        "SET_SCANOUT with resource_id 0 must come before.",
    ),
    Check((T.RESOURCE_ATTACH_BACKING,), "resource_id is unknown", (RID, IGNORED, UN, RID, RID), _WHOSE_ID),
    Check(
        (T.RESOURCE_ATTACH_BACKING,),
        "the resource has backing pages already",
        (UN, IGNORED, UN, (OK, "the old ones are forgotten"), (OK, "the old ones are forgotten")),
        "RESOURCE_DETACH_BACKING must come before.",
    ),
    Check(
        _WITH_ENTRIES,
        "nr_entries is more than 16384",
        (UN, UN, UN, UNCHECKED, UNCHECKED),
        "The guest's memory is too fragmented for the size: fewer and longer entries, or a smaller resource.",
    ),
    Check(
        _WITH_ENTRIES,
        "fewer memory entries than nr_entries says",
        (UN, UN, UN, UN, _NO_HEADER),
        "Entries that were cut off: count them in the request (vgpu-emu decode), and the chain's readable bytes.",
    ),
    Check(
        _WITH_ENTRIES,
        "a memory entry is outside of the guest's RAM",
        (UN, UN, UN, UN, UN),
        "Compare addr and length of the entries with the memory map. Behind an IOMMU they are bus addresses; RAM that "
        "the VMM cannot map (a BAR, memory that was unplugged, another process's with vhost-user) is outside too.",
    ),
    Check(
        (T.RESOURCE_ATTACH_BACKING,),
        "nr_entries is 0",
        (None, None, None, (UN, "it wants entries"), None),
        "Nothing to attach: the driver need not send it.",
    ),
    Check((T.RESOURCE_DETACH_BACKING,), "resource_id is unknown", (RID, IGNORED, UN, RID, UNCHECKED), _WHOSE_ID),
    Check(
        (T.RESOURCE_DETACH_BACKING,),
        "the resource has no backing pages",
        (UN, UNCHECKED, UNCHECKED, UNCHECKED, UNCHECKED),
        "They were detached before, or RESOURCE_ATTACH_BACKING failed: look at its answer.",
    ),
    Check((T.TRANSFER_TO_HOST_2D,), "resource_id is unknown", (RID, IGNORED, RENDERER, RENDERER, RENDERER), _WHOSE_ID),
    Check(
        (T.TRANSFER_TO_HOST_2D,),
        "the resource has no backing pages",
        ((UN, "before 2021 it was INVALID_RESOURCE_ID"), IGNORED, RENDERER, RENDERER, RENDERER),
        "Look at the answer to RESOURCE_ATTACH_BACKING.",
    ),
    Check(
        (T.TRANSFER_TO_HOST_2D,),
        "the rectangle is not inside of the resource",
        (PAR, IGNORED, RENDERER, RENDERER, RENDERER),
        _RECT,
    ),
    Check(
        _TRANSFER_3D,
        "the resource or context is unknown, has no backing pages, or the box is outside",
        (None, IGNORED, RENDERER, RENDERER, RENDERER),
        "Look at box, level and strides, and whether the resource was attached to the context of the header "
        "(CTX_ATTACH_RESOURCE).",
    ),
    Check((T.RESOURCE_ASSIGN_UUID,), "resource_id is unknown", (None, None, None, RID, RID), _WHOSE_ID),
    Check(
        (T.RESOURCE_ASSIGN_UUID,),
        "F_RESOURCE_UUID was not negotiated",
        (None, None, None, None, PAR),
        "Look at the feature bits; Linux sends it only with the feature.",
    ),
)

DISPLAY = (
    Check(
        _SCANOUT,
        "there is no such scanout",
        (SC, SC, (UN, "compares with 16, not with the number of outputs"), SC, (SC, "compares with 16")),
        "Compare scanout_id with num_scanouts of the configuration space; QEMU's is max_outputs=. A display may have "
        "been unplugged.",
    ),
    Check(_SCANOUT, "resource_id is unknown", (RID, RID, UN, RID, RID), _WHOSE_ID),
    Check(
        (T.SET_SCANOUT,),
        "the resource has no memory that can be shown",
        ((UN, "no backing pages"), None, (UN, "a format without an image"), None, (UN, "no dma-buf")),
        "Look at the answer to RESOURCE_ATTACH_BACKING, and whether the host's renderer can export a dma-buf.",
    ),
    Check(
        (T.SET_SCANOUT_BLOB,),
        "the blob has no memory that can be shown",
        ((UN, "no backing pages"), (UN, "no dma-buf"), None, None, None),
        "Look at the answer to RESOURCE_CREATE_BLOB, and at what can make a dma-buf of it: /dev/udmabuf for guest "
        "memory, the renderer for host memory.",
    ),
    Check(
        _SCANOUT,
        "the rectangle is not inside of the resource, or smaller than 16x16",
        (PAR, PAR, UNCHECKED, UNCHECKED, UNCHECKED),
        _RECT,
    ),
    Check(
        (T.SET_SCANOUT_BLOB,),
        "the format is unknown, or stride x height is more than the blob has",
        (PAR, PAR, None, (UN, "the format"), None),
        "Look at format, strides[0] and offsets[0] against the size of the blob. crosvm knows few formats.",
    ),
    Check(
        (T.SET_SCANOUT_BLOB,),
        "the host's display does not take the dma-buf",
        (OOM, PAR, None, None, None),
        "The display's GL could not import it: look at QEMU's log, at the modifier of the buffer and at the GPU.",
    ),
    Check(
        (T.RESOURCE_FLUSH,),
        "resource_id is unknown",
        (RID, UNCHECKED, UN, (RID, "0 is taken"), (RID, "0 is taken")),
        _WHOSE_ID,
    ),
    Check(
        (T.RESOURCE_FLUSH,),
        "the rectangle is not inside of the resource (of a blob: on no scanout that shows it)",
        (PAR, UNCHECKED, UNCHECKED, UNCHECKED, UNCHECKED),
        _RECT,
    ),
    Check(
        (T.GET_EDID,),
        "there is no such scanout",
        (PAR, PAR, PAR, (OK, "the EDID of a default display"), None),
        "Compare scanout with num_scanouts of the configuration space.",
    ),
    Check(
        _CURSOR[:1],
        "there is no such scanout",
        (None, None, None, SC, None),
        "Compare pos.scanout_id with num_scanouts. QEMU drops such a command and answers no bytes.",
    ),
    Check(_CURSOR[:1], "resource_id is unknown", (None, None, None, RID, RID), _WHOSE_ID),
    Check(
        _CURSOR[:1],
        "the image is not 64x64",
        (None, None, None, None, PAR),
        "Cursors have one size. Look at the width and height with which the resource was created.",
    ),
)
