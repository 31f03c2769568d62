"""How each condition of the table is brought about, in bytes, on a device of any profile.

The last request is the one that is wrong.
"""

from collections.abc import Callable
from typing import Any

from device_kit import HOST3D, MAPPABLE, PAGE, attach, guest_blob, host_blob, mem_entries, submit
from profile_probe import (
    ATTACH,
    DETACH,
    MEMORY,
    REGION,
    SHAREABLE,
    Probe,
    create_2d,
    create_3d,
    ctx_resource,
    cursor,
    flush,
    scanout,
    transfer,
)

from vgpu_emu.link.chain import Used
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.blob import ResourceCreateBlob, ResourceMapBlob, ResourceUnmapBlob
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlHdr, HeaderOnly
from vgpu_wire.device import Feature
from vgpu_wire.display import GetEdid, Rect, SetScanoutBlob
from vgpu_wire.render import CmdSubmit, CtxCreate, CtxDestroy, GetCapset, GetCapsetInfo
from vgpu_wire.resource import (
    ResourceAssignUuid,
    ResourceAttachBacking,
    ResourceDetachBacking,
    ResourceUnref,
)

Provocation = Callable[[Probe], Used | None]
PROVOCATIONS: dict[str, Provocation] = {}
#: what the driver negotiates, where it is not all that is offered
FEATURES: dict[str, frozenset[Feature]] = {}
OPTIONS: dict[str, dict[str, Any]] = {}


def provokes(condition: str, without: Feature | None = None, **options: Any) -> Callable[[Provocation], Provocation]:
    """A provocation of this condition; `without`: a feature (and what needs it) that is not negotiated."""

    def register(provocation: Provocation) -> Provocation:
        PROVOCATIONS[condition] = provocation
        OPTIONS[condition] = options
        if without is not None:
            FEATURES[condition] = _without(without)
        return provocation

    return register


def _without(feature: Feature) -> frozenset[Feature]:
    gone = {feature, Feature.BLOB_ALIGNMENT} | ({Feature.CONTEXT_INIT} if feature is Feature.VIRGL else set())
    return frozenset(Feature) - gone


def simple(condition: str, request: CtrlHdr | bytes, **options: Any) -> None:
    """A condition that needs nothing before it."""
    provokes(condition, **options)(lambda probe: probe.last(request))


def with_image(condition: str, request: CtrlHdr | bytes, *, backed: bool = True) -> None:
    """A condition of resource 1, a 2D image of 64x64."""

    def provocation(probe: Probe) -> Used | None:
        probe.image_1(backed=backed)
        return probe.last(request)

    provokes(condition)(provocation)


# -- resources

simple("unknown command", HeaderOnly(type=0x1FF))
simple("CREATE_2D id 0", create_2d(0))
simple("CREATE_3D id 0", create_3d(0))
with_image("CREATE_2D duplicate id", create_2d(1), backed=False)
with_image("CREATE_3D duplicate id", create_3d(1), backed=False)
simple("CREATE_2D bad format", create_2d(1, pixel_format=999))
simple("CREATE_2D too big", create_2d(1, width=1 << 16, height=1 << 16))
simple("UNREF unknown", ResourceUnref(resource_id=77))


@provokes("CREATE_2D after a bad format")
def _again(probe: Probe) -> Used | None:
    probe.last(create_2d(1, pixel_format=999))
    return probe.last(create_2d(1))


@provokes("UNREF mapped blob")
def _unref_mapped(probe: Probe) -> Used | None:
    probe.mappable_blob()
    probe.before(ResourceMapBlob(resource_id=5, offset=PAGE))
    return probe.last(ResourceUnref(resource_id=5))


# -- displays

with_image("SET_SCANOUT scanout 16", scanout(16))
with_image("SET_SCANOUT scanout 5 of 2", scanout(5))
with_image("SET_SCANOUT resource 0", scanout(resource_id=0))
simple("SET_SCANOUT unknown resource", scanout(resource_id=77))
with_image("SET_SCANOUT no backing", scanout(), backed=False)
with_image("SET_SCANOUT rect outside", scanout(r=Rect(x=16, width=64, height=64)))
with_image("SET_SCANOUT rect 8x8", scanout(r=Rect(width=8, height=8)))
with_image("SET_SCANOUT x + width wraps", scanout(r=Rect(x=0xFFFFFFF0, width=32, height=64)))
simple("FLUSH unknown", flush(77))
simple("FLUSH id 0", flush(0))
with_image("FLUSH rect outside", flush(r=Rect(x=60, width=64, height=64)))
simple("GET_EDID bad scanout", GetEdid(scanout=16))


@provokes("FLUSH blob that nobody shows")
def _flush_blob(probe: Probe) -> Used | None:
    probe.before(guest_blob(7, 64 * 64 * 4, (0, 64 * 64 * 4), flags=SHAREABLE))
    shown = Rect(width=32, height=32)
    show = SetScanoutBlob(
        r=shown, scanout_id=0, resource_id=7, width=64, height=64, format=2, strides=(256, 0, 0, 0), offsets=(0,) * 4
    )
    probe.before(show)
    return probe.last(flush(7, Rect(x=40, y=40, width=8, height=8)))


with_image("UPDATE_CURSOR bad scanout", cursor(scanout_id=16))
simple("UPDATE_CURSOR unknown resource", cursor(77))
with_image("UPDATE_CURSOR of 55 bytes", cursor().build()[:55])


@provokes("UPDATE_CURSOR wrong size")
def _wrong_cursor(probe: Probe) -> Used | None:
    probe.before(create_2d(2, width=32, height=32))
    return probe.last(cursor(2))


# -- transfers and backing

simple("TRANSFER_2D unknown", transfer(77))
with_image("TRANSFER_2D no backing", transfer(), backed=False)
with_image("TRANSFER_2D rect outside", transfer(r=Rect(x=60, width=64, height=64)))
simple("ATTACH unknown", attach(77, (0, PAGE)))
with_image("ATTACH twice", attach(1, (0, 64 * 64 * 4)))
with_image("ATTACH 16385 entries", attach(1, *[(0, 16)] * 16385), backed=False)
with_image("ATTACH fewer entries", attach(1, (0, PAGE), (0, PAGE)).build()[:-16], backed=False)
with_image("ATTACH outside memory", attach(1, (MEMORY, PAGE)), backed=False)
with_image("ATTACH 0 entries", ResourceAttachBacking(resource_id=1), backed=False)
with_image("DETACH none attached", ResourceDetachBacking(resource_id=1), backed=False)
simple("DETACH unknown", ResourceDetachBacking(resource_id=77))


@provokes("TRANSFER_2D of a blob")
def _transfer_blob(probe: Probe) -> Used | None:
    probe.guest_blob_7()
    return probe.last(transfer(7, Rect(width=4, height=4)))


# -- capability sets, names

simple("GET_CAPSET_INFO bad index", GetCapsetInfo(capset_index=99))
simple("GET_CAPSET unknown", GetCapset(capset_id=60))
with_image("ASSIGN_UUID", ResourceAssignUuid(resource_id=1))
simple("ASSIGN_UUID unknown", ResourceAssignUuid(resource_id=77))


@provokes("ASSIGN_UUID without its bit", without=Feature.RESOURCE_UUID)
def _no_uuid_bit(probe: Probe) -> Used | None:
    probe.image_1()
    return probe.last(ResourceAssignUuid(resource_id=1))


# -- blobs

simple("CREATE_BLOB without its bit", guest_blob(7, PAGE, (0, PAGE)), without=Feature.RESOURCE_BLOB)
simple("CREATE_BLOB id 0", guest_blob(0, PAGE, (0, PAGE)))
simple("CREATE_BLOB HOST3D, no 3D", host_blob(5), without=Feature.VIRGL)
simple("CREATE_BLOB the same, shareable", host_blob(5, flags=SHAREABLE), without=Feature.VIRGL)
for _mem in (0, 4):
    simple(f"CREATE_BLOB blob_mem {_mem}", host_blob(5, blob_mem=_mem))
simple("CREATE_BLOB mem 0, shareable", host_blob(5, flags=SHAREABLE, blob_mem=0))
simple("CREATE_BLOB size 0", guest_blob(7, 0, (0, PAGE)))
simple("CREATE_BLOB short entries", guest_blob(7, 2 * PAGE, (0, PAGE)))
simple("CREATE_BLOB unknown context", host_blob(5))
simple("CREATE_BLOB unknown flags", guest_blob(7, PAGE, (0, PAGE), flags=1 << 30))
simple("CREATE_BLOB flag 8", guest_blob(7, PAGE, (0, PAGE), flags=8))


@provokes("CREATE_BLOB duplicate id")
def _duplicate_blob(probe: Probe) -> Used | None:
    probe.guest_blob_7()
    return probe.last(guest_blob(7, PAGE, (0, PAGE), flags=SHAREABLE))


@provokes("CREATE_BLOB HOST3D with entries")
def _host_entries(probe: Probe) -> Used | None:
    probe.object()
    entries = mem_entries((0, PAGE))
    return probe.last(
        ResourceCreateBlob(
            ctx_id=1, resource_id=5, blob_mem=HOST3D, blob_flags=1, blob_id=5, size=PAGE, nr_entries=1, entries=entries
        )
    )


def maps(condition: str, offset: int = 0, *, flags: int = MAPPABLE, size: int = PAGE, **options: Any) -> None:
    """A blob on the host that is mapped wrongly."""

    def provocation(probe: Probe) -> Used | None:
        probe.mappable_blob(flags=flags, size=size)
        return probe.last(ResourceMapBlob(resource_id=5, offset=offset))

    provokes(condition, **options)(provocation)


simple("MAP unknown", ResourceMapBlob(resource_id=77))
maps("MAP outside", REGION - PAGE, size=2 * PAGE)
maps("MAP wraps", (1 << 64) - PAGE)
maps("MAP unaligned", 512)
maps("MAP not mappable", flags=SHAREABLE)
maps("MAP without a region", host_visible=0)
simple("UNMAP unknown", ResourceUnmapBlob(resource_id=77))


def _map_twice(flags: int) -> Provocation:
    def provocation(probe: Probe) -> Used | None:
        probe.mappable_blob(flags=flags)
        probe.before(ResourceMapBlob(resource_id=5, offset=0))
        return probe.last(ResourceMapBlob(resource_id=5, offset=4 * PAGE))

    return provocation


provokes("MAP twice")(_map_twice(MAPPABLE))
provokes("MAP twice, shareable")(_map_twice(MAPPABLE | SHAREABLE))


@provokes("MAP overlap")
def _overlap(probe: Probe) -> Used | None:
    probe.mappable_blob(5, size=2 * PAGE)
    probe.mappable_blob(6, size=2 * PAGE)
    probe.before(ResourceMapBlob(resource_id=5, offset=0))
    return probe.last(ResourceMapBlob(resource_id=6, offset=PAGE))


@provokes("MAP unknown map_info")
def _silent_exporter(probe: Probe) -> Used | None:
    probe.object(exporter=ExporterKind.SILENT)
    probe.before(host_blob(5))
    return probe.last(ResourceMapBlob(resource_id=5))


@provokes("MAP guest blob")
def _map_guest(probe: Probe) -> Used | None:
    probe.guest_blob_7()
    return probe.last(ResourceMapBlob(resource_id=7))


@provokes("MAP after unmap, not shareable")
def _map_again(probe: Probe) -> Used | None:
    probe.mappable_blob()
    probe.before(ResourceMapBlob(resource_id=5), ResourceUnmapBlob(resource_id=5))
    return probe.last(ResourceMapBlob(resource_id=5))


@provokes("UNMAP not mapped")
def _unmap_unmapped(probe: Probe) -> Used | None:
    probe.mappable_blob()
    return probe.last(ResourceUnmapBlob(resource_id=5))


# -- contexts

simple("CTX_CREATE init without its bit", CtxCreate(ctx_id=1, context_init=4), without=Feature.CONTEXT_INIT)
# an even number, which vhost-device-gpu's mask makes 0
simple("CTX_CREATE capset 98", CtxCreate(ctx_id=1, context_init=98))
simple("CTX_DESTROY unknown", CtxDestroy(ctx_id=77))
simple("SUBMIT unknown context", submit(77, StreamAlloc(exporter=1, blob_id=1, size=PAGE)))


def in_context(condition: str, request: CtrlHdr | bytes, **options: Any) -> None:
    """A condition of context 1."""

    def provocation(probe: Probe) -> Used | None:
        probe.context_1()
        return probe.last(request)

    provokes(condition, **options)(provocation)


with_image("CTX_ATTACH unknown context", ctx_resource(ATTACH, ctx_id=77))
with_image("CTX_DETACH unknown context", ctx_resource(DETACH, ctx_id=77))
in_context("CTX_CREATE duplicate", CtxCreate(ctx_id=1))
in_context("CTX_ATTACH unknown resource", ctx_resource(ATTACH, resource_id=77))
in_context("CTX_DETACH unknown resource", ctx_resource(DETACH, resource_id=77))
_STREAM = submit(1, StreamAlloc(exporter=1, blob_id=1, size=PAGE)).build()
in_context("SUBMIT short payload", _STREAM[:-4])
in_context("SUBMIT no payload", _STREAM[:32])
in_context("SUBMIT size 0", CmdSubmit(ctx_id=1))
in_context("SUBMIT too large", _STREAM, device_limits=DeviceLimits(submit_bytes=23))
