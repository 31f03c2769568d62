"""What a snapshot says, and whether it can be true: typed JSON, checked before anything is changed."""

from collections.abc import Iterable

import msgspec

from vgpu_emu.memory import PAGE_SIZE
from vgpu_emu.vmm.device import Device
from vgpu_emu.vmm.displays import Scanout
from vgpu_emu.vmm.fences import GLOBAL
from vgpu_emu.vmm.images import image_bytes
from vgpu_emu.vmm.state import Kind
from vgpu_wire.blob import BlobMem, MapCache
from vgpu_wire.control import RING_COUNT
from vgpu_wire.device import CONTROLQ, CURSORQ, MAX_SCANOUTS, Feature

SCHEMA = 1
#: bytes; more than the largest state within default limits, and than any that a test needs
MAX_SNAPSHOT = 1 << 30
Stretches = list[tuple[int, int]]


class SnapshotError(ValueError):
    """The bytes are no snapshot, or one that this device cannot take; says where."""


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class ResourceState(_State, frozen=True):
    resource_id: int
    backing: Stretches | None


class ImageState(ResourceState, frozen=True):
    kind: Kind
    format: int
    width: int
    height: int
    depth: int
    array_size: int
    last_level: int
    pixels: bytes


class BlobState(ResourceState, frozen=True):
    """offset, map_info: where and how it is mapped; both None: it is not."""

    blob_mem: BlobMem
    blob_flags: int
    blob_id: int
    size: int
    offset: int | None
    map_info: MapCache | None


class ContextState(_State, frozen=True):
    ctx_id: int
    context_init: int
    attached: list[int]


class FenceState(_State, frozen=True):
    """An answer that waits for a fence."""

    ctx_id: int
    ring_idx: int
    fence_id: int
    head: int
    queue: int
    written: bytes


class Snapshot(_State, frozen=True):
    schema: int
    profile: str
    features: list[str]
    events: int
    scanouts: list[Scanout]
    images: list[ImageState]
    blobs: list[BlobState]
    contexts: list[ContextState]
    fences: list[FenceState]
    busy: list[tuple[int, int]]


def parse(data: bytes) -> Snapshot:
    """Raises SnapshotError for what is no snapshot of this schema."""
    if len(data) > MAX_SNAPSHOT:
        raise SnapshotError(f"{len(data)} bytes; a snapshot has at most {MAX_SNAPSHOT}")
    try:
        snapshot = msgspec.json.decode(data, type=Snapshot)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(str(error)) from None
    if snapshot.schema != SCHEMA:
        raise SnapshotError(f"schema {snapshot.schema}; this version reads {SCHEMA}")
    return snapshot


def check(device: Device, snapshot: Snapshot) -> None:
    """Raises SnapshotError if this device, which is as after `reset`, cannot be in that state."""
    _require(not device.resources and not device.contexts, "the device is in use")
    _require(snapshot.profile == device.profile.name, f"profile {snapshot.profile!r}, not {device.profile.name!r}")
    _require(all(name in Feature.__members__ for name in snapshot.features), "an unknown feature")
    features = frozenset(Feature[name] for name in snapshot.features)
    _require(device.takes(features), "features that are not offered, or lack what they need")
    _require(0 <= snapshot.events < 1 << 32, "events out of range")
    _check_resources(device, snapshot)
    _check_contexts(device, snapshot)
    _check_scanouts(snapshot)
    _check_mappings(device, snapshot.blobs)
    _check_fences(device, snapshot)


def _require(holds: object, what: str) -> None:
    if not holds:
        raise SnapshotError(what)


def _check_resources(device: Device, snapshot: Snapshot) -> None:
    ids = _ids(snapshot)
    _require(len(set(ids)) == len(ids) <= device.limits.resources, "resource ids repeat, or are too many")
    _require(all(0 < number < 1 << 32 for number in ids), "a resource id out of range")
    for image in snapshot.images:
        shape = image.width, image.height, image.depth, image.array_size
        _require(image.kind is not Kind.BLOB, f"resource {image.resource_id} is an image, and says blob")
        positive = min(shape[:3]) > 0 and image.array_size >= 0 and 0 <= image.last_level < 32
        _require(positive, f"resource {image.resource_id} has no such shape")
        size = image_bytes(image.format, shape, image.last_level)
        _require(len(image.pixels) == size, f"resource {image.resource_id} has {len(image.pixels)} of {size} bytes")
    _require(sum(len(image.pixels) for image in snapshot.images) <= device.limits.host_memory, "too many pixels")
    _require(all(blob.size > 0 for blob in snapshot.blobs), "a blob without bytes")
    _require(sum(blob.size for blob in snapshot.blobs) <= device.limits.blob_bytes, "too many bytes of blobs")
    for state in _resources(snapshot):
        _check_backing(device, state)


def _check_backing(device: Device, state: ResourceState) -> None:
    stretches = state.backing or []
    _require(len(stretches) <= device.limits.entries, f"resource {state.resource_id} has {len(stretches)} entries")
    try:
        for addr, length in stretches:
            device.memory.require(addr, length)
    except OSError as error:
        raise SnapshotError(f"resource {state.resource_id}: {error.strerror}") from None
    if isinstance(state, BlobState) and state.backing is not None:
        long = sum(length for _addr, length in stretches) >= state.size
        _require(long, f"resource {state.resource_id} is longer than its backing")


def _check_contexts(device: Device, snapshot: Snapshot) -> None:
    numbers = [state.ctx_id for state in snapshot.contexts]
    _require(len(set(numbers)) == len(numbers) <= device.limits.contexts, "context ids repeat, or are too many")
    _require(all(0 < number < 1 << 32 for number in numbers), "a context id out of range")
    attached = {number for state in snapshot.contexts for number in state.attached}
    _require(attached <= set(_ids(snapshot)), "an unknown resource is attached")


def _check_scanouts(snapshot: Snapshot) -> None:
    _require(1 <= len(snapshot.scanouts) <= MAX_SCANOUTS, f"{len(snapshot.scanouts)} scanouts")
    images = {image.resource_id: image for image in snapshot.images}
    blobs = {blob.resource_id: blob for blob in snapshot.blobs}
    for scanout in snapshot.scanouts:
        sides = scanout.width, scanout.height, scanout.x, scanout.y
        _require(min(sides[:2]) > 0 and min(sides) >= 0 and max(sides) < 1 << 32, "a scanout of no such size")
    for shown in [scanout.shown for scanout in snapshot.scanouts if scanout.shown]:
        r, image, blob = shown.rect, images.get(shown.resource_id), blobs.get(shown.resource_id)
        positive = min(r.x, r.y, r.width, r.height, shown.stride, shown.offset) >= 0
        if image is not None:
            fits = r.x + r.width <= image.width and r.y + r.height <= image.height
        else:
            end = shown.offset + (r.y + r.height - 1) * shown.stride + (r.x + r.width) * 4
            fits = blob is not None and end <= blob.size
        _require(positive and fits, f"a scanout cannot show resource {shown.resource_id}")


def _check_mappings(device: Device, blobs: Iterable[BlobState]) -> None:
    end = 0
    mapped = [(blob.offset, blob) for blob in blobs if blob.offset is not None]
    for offset, blob in sorted(mapped, key=lambda pair: pair[0]):
        inside = end <= offset <= device.region.size - blob.size and not offset % PAGE_SIZE
        fits = inside and blob.map_info is not None and blob.blob_mem is BlobMem.HOST3D
        _require(fits, f"resource {blob.resource_id} cannot be mapped at {offset:#x}")
        end = offset + blob.size


def _check_fences(device: Device, snapshot: Snapshot) -> None:
    _require(len(snapshot.fences) <= device.limits.fences, f"{len(snapshot.fences)} fences")
    for state in snapshot.fences:
        _require(0 <= state.fence_id < 1 << 64, f"fence {state.fence_id} out of range")
        _require(state.queue in (CONTROLQ, CURSORQ), f"fence {state.fence_id} on queue {state.queue}")
    for ctx_id, ring_idx in [*snapshot.busy, *((state.ctx_id, state.ring_idx) for state in snapshot.fences)]:
        ring = 0 <= ctx_id < 1 << 32 and 0 <= ring_idx < RING_COUNT
        _require(ring or (ctx_id, ring_idx) == GLOBAL, f"no timeline ({ctx_id}, {ring_idx})")


def _resources(snapshot: Snapshot) -> list[ResourceState]:
    return [*snapshot.images, *snapshot.blobs]


def _ids(snapshot: Snapshot) -> list[int]:
    return [state.resource_id for state in _resources(snapshot)]
