"""What can be wrong with blobs, their mapping, contexts and capability sets."""

from vgpu_emu.drive.conditions import CONTEXT, IMAGE, NOBODY, Condition, an_object, asked, blob_of_an_object
from vgpu_emu.drive.requests import (
    ATTACH,
    DETACH,
    HOST3D,
    IMAGE_BYTES,
    MAPPABLE,
    PAGE,
    SHAREABLE,
    attach,
    ctx_resource,
    guest_blob,
    host_blob,
    mem_entries,
    submit,
)
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.device import Feature
from vgpu_wire.render import CmdSubmit, CtxCreate, CtxDestroy, GetCapset, GetCapsetInfo
from vgpu_wire.resource import ResourceUnref

_BACKED = (*IMAGE, attach(1, (0, IMAGE_BYTES)))
_GUEST_BLOB = guest_blob(7, PAGE, (0, PAGE), flags=SHAREABLE)
_STREAM = submit(1, StreamAlloc(exporter=1, blob_id=1, size=PAGE)).build()
_WITH_ENTRIES = ResourceCreateBlob(
    ctx_id=1,
    resource_id=5,
    blob_mem=HOST3D,
    blob_flags=MAPPABLE,
    blob_id=5,
    size=PAGE,
    nr_entries=1,
    entries=mem_entries((0, PAGE)),
)

CONTEXTS = (
    asked("GET_CAPSET_INFO bad index", GetCapsetInfo(capset_index=99)),
    asked("GET_CAPSET unknown", GetCapset(capset_id=60)),
    asked("CTX_CREATE init without its bit", CtxCreate(ctx_id=1, context_init=4), without=Feature.CONTEXT_INIT),
    # an even number, which vhost-device-gpu's mask makes 0
    asked("CTX_CREATE capset 98", CtxCreate(ctx_id=1, context_init=98)),
    asked("CTX_CREATE duplicate", CtxCreate(ctx_id=1), *CONTEXT),
    asked("CTX_DESTROY unknown", CtxDestroy(ctx_id=NOBODY)),
    asked("CTX_ATTACH unknown context", ctx_resource(ATTACH, ctx_id=NOBODY), *_BACKED),
    asked("CTX_DETACH unknown context", ctx_resource(DETACH, ctx_id=NOBODY), *_BACKED),
    asked("CTX_ATTACH unknown resource", ctx_resource(ATTACH, resource_id=NOBODY), *CONTEXT),
    asked("CTX_DETACH unknown resource", ctx_resource(DETACH, resource_id=NOBODY), *CONTEXT),
    asked("SUBMIT unknown context", submit(NOBODY, StreamAlloc(exporter=1, blob_id=1, size=PAGE))),
    asked("SUBMIT short payload", _STREAM[:-4], *CONTEXT),
    asked("SUBMIT no payload", _STREAM[:32], *CONTEXT),
    asked("SUBMIT size 0", CmdSubmit(ctx_id=1), *CONTEXT),
)

BLOBS = (
    asked("CREATE_BLOB without its bit", guest_blob(7, PAGE, (0, PAGE)), without=Feature.RESOURCE_BLOB),
    asked("CREATE_BLOB id 0", guest_blob(0, PAGE, (0, PAGE))),
    asked("CREATE_BLOB duplicate id", _GUEST_BLOB, _GUEST_BLOB),
    asked("CREATE_BLOB HOST3D, no 3D", host_blob(5), without=Feature.VIRGL),
    asked("CREATE_BLOB the same, shareable", host_blob(5, flags=SHAREABLE), without=Feature.VIRGL),
    asked("CREATE_BLOB blob_mem 0", host_blob(5, blob_mem=0)),
    asked("CREATE_BLOB blob_mem 4", host_blob(5, blob_mem=4)),
    asked("CREATE_BLOB mem 0, shareable", host_blob(5, flags=SHAREABLE, blob_mem=0)),
    asked("CREATE_BLOB size 0", guest_blob(7, 0, (0, PAGE))),
    asked("CREATE_BLOB short entries", guest_blob(7, 2 * PAGE, (0, PAGE))),
    asked("CREATE_BLOB unknown context", host_blob(5)),
    asked("CREATE_BLOB unknown flags", guest_blob(7, PAGE, (0, PAGE), flags=1 << 30)),
    asked("CREATE_BLOB flag 8", guest_blob(7, PAGE, (0, PAGE), flags=8)),
    asked("CREATE_BLOB HOST3D with entries", _WITH_ENTRIES, *CONTEXT, an_object(), objects=True),
)


def _maps(name: str, offset: int = 0, *, flags: int = MAPPABLE, size: int = PAGE) -> Condition:
    """A blob on the host that is mapped wrongly."""
    blob = blob_of_an_object(flags=flags, size=size)
    return asked(name, ResourceMapBlob(resource_id=5, offset=offset), *CONTEXT, *blob, objects=True)


def _twice(name: str, flags: int) -> Condition:
    blob = blob_of_an_object(flags=flags)
    again = ResourceMapBlob(resource_id=5, offset=4 * PAGE)
    return asked(name, again, *CONTEXT, *blob, ResourceMapBlob(resource_id=5), objects=True)


def mappings(region: int) -> tuple[Condition, ...]:
    """region: bytes of the host visible region, 16 pages at least; a device without one has a region of any size."""
    return (
        asked("MAP unknown", ResourceMapBlob(resource_id=NOBODY)),
        _maps("MAP outside", region - PAGE, size=2 * PAGE),
        _maps("MAP wraps", (1 << 64) - PAGE),
        _maps("MAP unaligned", 512),
        _maps("MAP not mappable", flags=SHAREABLE),
        _twice("MAP twice", MAPPABLE),
        _twice("MAP twice, shareable", MAPPABLE | SHAREABLE),
        asked(
            "MAP overlap",
            ResourceMapBlob(resource_id=6, offset=PAGE),
            *CONTEXT,
            *blob_of_an_object(5, size=2 * PAGE),
            *blob_of_an_object(6, size=2 * PAGE),
            ResourceMapBlob(resource_id=5),
            objects=True,
        ),
        asked(
            "MAP unknown map_info",
            ResourceMapBlob(resource_id=5),
            *CONTEXT,
            an_object(exporter=ExporterKind.SILENT),
            host_blob(5),
            objects=True,
        ),
        asked("MAP guest blob", ResourceMapBlob(resource_id=7), _GUEST_BLOB),
        asked(
            "MAP after unmap, not shareable",
            ResourceMapBlob(resource_id=5),
            *CONTEXT,
            *blob_of_an_object(),
            ResourceMapBlob(resource_id=5),
            ResourceUnmapBlob(resource_id=5),
            objects=True,
        ),
        asked("UNMAP unknown", ResourceUnmapBlob(resource_id=NOBODY)),
        asked("UNMAP not mapped", ResourceUnmapBlob(resource_id=5), *CONTEXT, *blob_of_an_object(), objects=True),
        asked(
            "UNREF mapped blob",
            ResourceUnref(resource_id=5),
            *CONTEXT,
            *blob_of_an_object(),
            ResourceMapBlob(resource_id=5, offset=PAGE),
            objects=True,
        ),
    )


def wrong_3d(region: int) -> tuple[Condition, ...]:
    return CONTEXTS + BLOBS + mappings(region)
