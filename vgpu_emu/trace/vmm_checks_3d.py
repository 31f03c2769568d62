"""The checks of VMMs on capability sets, contexts, command submission and blobs."""

from vgpu_emu.trace.vmm_checks import CTX, IGNORED, OK, OOM, PAR, RENDERER, RID, UN, UNCHECKED, Check
from vgpu_wire.control import CtrlType as T

_CTX_RESOURCE = (T.CTX_ATTACH_RESOURCE, T.CTX_DETACH_RESOURCE)
_CREATE_BLOB = (T.RESOURCE_CREATE_BLOB,)
_MAP = (T.RESOURCE_MAP_BLOB,)
_UNMAP = (T.RESOURCE_UNMAP_BLOB,)
_MAPPER = (UN, "the mapper refuses")

_WHOSE_CONTEXT = (
    "CTX_CREATE failed or was not sent, or the context is gone: look at its answer, which Linux does not wait for."
)
_WHOSE_BLOB = (
    "RESOURCE_CREATE_BLOB failed: Linux does not wait for its answer, so its failure shows first here. Look at the "
    "answer to the RESOURCE_CREATE_BLOB of the same resource_id, and whether a RESOURCE_UNREF came before."
)
_FIRST_FAILURE = (
    "Look at what the context's SUBMIT_3D before should have allocated; a failure there has no answer of its own."
)

CONTEXTS = (
    Check(
        (T.GET_CAPSET_INFO,),
        "there is no such capset_index",
        (None, (OK, "all zeros"), UN, (OK, "capset_id 0xffffffff, which no driver takes"), PAR),
        "Compare capset_index with num_capsets of the configuration space: it is an index, not a capset id.",
    ),
    Check(
        (T.GET_CAPSET,),
        "the device does not have this capset_id",
        (None, PAR, UN, UN, (OK, "an empty set")),
        "Look at what GET_CAPSET_INFO listed, and at how the VMM was started (QEMU: venus=on, drm_native_context=on).",
    ),
    Check(
        (T.CTX_CREATE,),
        "context_init is set and CONTEXT_INIT is switched off",
        (None, UN, None, None, None),
        "A driver must not use context_init without F_CONTEXT_INIT: look at the feature bits.",
    ),
    Check(
        (T.CTX_CREATE,),
        "the context exists",
        (None, IGNORED, RENDERER, RENDERER, UN),
        "ctx_id is in use: look for a CTX_DESTROY that is missing, and for a device that was not reset.",
    ),
    Check(
        (T.CTX_CREATE,),
        "the renderer cannot make such a context",
        (None, (OK, "which is ignored"), UN, UN, CTX),
        "The low byte of context_init is a capset id: is it among those that the device lists, and does the host have "
        "the driver, and the memory, for it? The renderer's log says more.",
    ),
    Check(
        (T.CTX_DESTROY, *_CTX_RESOURCE), "ctx_id is unknown", (None, IGNORED, RENDERER, RENDERER, CTX), _WHOSE_CONTEXT
    ),
    Check(
        _CTX_RESOURCE,
        "resource_id is unknown",
        (None, IGNORED, RENDERER, RENDERER, RID),
        "Its creation failed: Linux sends this without waiting for that answer. Look at the answer to the command that "
        "created the same resource_id.",
    ),
    Check((T.SUBMIT_3D,), "ctx_id is unknown", (None, IGNORED, RENDERER, RENDERER, CTX), _WHOSE_CONTEXT),
    Check(
        (T.SUBMIT_3D,),
        "the renderer refuses the commands",
        (None, (OK, "which is ignored"), UN, UN, UN),
        "Only the renderer's log says which command: VREND_DEBUG of virglrenderer, VKR_DEBUG for venus, RUST_LOG of "
        "the VMM. A command stream for another capset, resources that the context does not have attached, and a host "
        "that lacks an extension are usual.",
    ),
    Check(
        (T.SUBMIT_3D,),
        "fewer bytes of commands than size says",
        (None, PAR, UN, (PAR, "none at all is taken"), (UN, "a fence is lost")),
        "The chain is shorter than the request says: compare size with the readable bytes of the chain.",
    ),
    Check(
        (T.SUBMIT_3D,),
        "size is more than 16 MiB",
        (None, PAR, None, None, None),
        "User space submits too much at once.",
    ),
    Check(
        (T.SUBMIT_3D,),
        "the host has no memory for the commands",
        (None, OOM, None, None, None),
        "Look at the memory of the host, or of the VMM's cgroup.",
    ),
)

BLOBS = (
    Check(
        _CREATE_BLOB,
        "blobs are switched off",
        (PAR, PAR, None, None, None),
        "QEMU was started without blob=on; a driver must not send it without F_RESOURCE_BLOB.",
    ),
    Check(
        _CREATE_BLOB,
        "resource_id is 0",
        (RID, RID, UN, RENDERER, None),
        "0 means no resource. A driver numbers from 1; Linux starts at 2.",
    ),
    Check(
        _CREATE_BLOB,
        "blob_mem is not GUEST, and blob_flags not USE_SHAREABLE alone",
        (PAR, None, None, None, None),
        "Host memory needs a renderer: a device with GL, venus or rutabaga.",
    ),
    Check(
        _CREATE_BLOB,
        "blob_mem is 0 or more than 3",
        (None, RENDERER, RENDERER, RENDERER, None),
        "Look at blob_mem in the request.",
    ),
    Check(
        _CREATE_BLOB,
        "size is 0",
        (UNCHECKED, RENDERER, RENDERER, (UN, "the renderer refuses; in 2D mode it is taken"), None),
        "Look at size in the request.",
    ),
    Check(
        _CREATE_BLOB,
        "the memory entries are shorter than size",
        (
            (OK, "but it cannot be shown"),
            RENDERER,
            RENDERER,
            (UN, "the renderer refuses; in 2D mode it is taken"),
            None,
        ),
        "Add up length of the entries and compare with size.",
    ),
    Check(
        _CREATE_BLOB,
        "ctx_id of a host blob is unknown",
        (None, RENDERER, RENDERER, RENDERER, None),
        _WHOSE_CONTEXT,
    ),
    Check(
        _CREATE_BLOB,
        "the renderer's context has no object with this blob_id and size",
        (None, UN, UN, UN, None),
        _FIRST_FAILURE,
    ),
    Check(_MAP, "resource_id is unknown", (None, RID, UN, RID, None), _WHOSE_BLOB),
    Check(
        _MAP,
        "offset + size is not inside of the host visible region",
        (None, (PAR, "also without a region, hostmem=0"), UNCHECKED, _MAPPER, None),
        "Compare with the size of shared memory region 1 (QEMU: hostmem=, with a unit: hostmem=2G). libkrun before "
        "July 2026 only logs it, and writes over other memory of the VMM.",
    ),
    Check(
        _MAP,
        "offset is no multiple of the host's page size",
        (None, (UN, "mmap refuses"), UNCHECKED, _MAPPER, None),
        "A guest with smaller pages than its host (4 KiB on 16 KiB or 64 KiB): F_BLOB_ALIGNMENT is the remedy, and "
        "both sides must have it.",
    ),
    Check(
        _MAP,
        "the blob is mapped already",
        (None, UN, RENDERER, (OK, "at the new offset too; the old mapping is forgotten"), None),
        "RESOURCE_UNMAP_BLOB must come before.",
    ),
    Check(
        _MAP,
        "another blob is mapped there",
        (None, (OK, "the older mapping is overwritten"), UNCHECKED, _MAPPER, None),
        "The driver gave a range away twice: Linux does so only after the RESOURCE_UNREF was answered. Look at the "
        "RESOURCE_UNMAP_BLOB of the older one.",
    ),
    Check(
        _MAP,
        "the blob is guest memory",
        (None, RENDERER, RENDERER, RENDERER, None),
        "Only host memory is mapped; Linux never asks for GUEST blobs.",
    ),
    Check(
        _MAP,
        "nobody knows how the blob may be mapped (no map_info)",
        (None, (OK, "with map_info NONE, which Linux maps cached"), RENDERER, RENDERER, None),
        "The blob was created without USE_MAPPABLE, or the renderer has no cache attribute for such memory.",
    ),
    Check(
        _MAP,
        "the renderer cannot export or map the memory",
        (None, UN, UN, (UN, "in its sandbox there is no other way"), None),
        "Vulkan memory that is not HOST_VISIBLE, a driver without dma-buf export, or a handle that is used up: a blob "
        "that is neither USE_SHAREABLE nor USE_CROSS_DEVICE can be exported once. libkrun may say OK and map nothing.",
    ),
    Check(
        _MAP,
        "all 4096 slots for mappings are used",
        (None, None, UN, None, None),
        "Many small blobs are mapped at once: unmap, or allocate bigger ones and divide them.",
    ),
    Check(_UNMAP, "resource_id is unknown", (None, RID, UN, RID, None), _WHOSE_BLOB),
    Check(
        _UNMAP,
        "the blob is not mapped",
        (None, UNCHECKED, UN, UN, None),
        "Its RESOURCE_MAP_BLOB failed, or was not sent: Linux unmaps every object that has a range, whatever became of "
        "the map. Look at the answer to the map; this one is only its echo.",
    ),
)
