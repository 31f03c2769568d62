"""Backings, ends and names of resources (virtio 1.4, 5.7.6.8): what must come of each request."""

from collections.abc import Sequence

from vgpu_emu.fuzz.model.expectation import Expected, may, must, refuse
from vgpu_emu.fuzz.model.images import known
from vgpu_emu.fuzz.model.world import World
from vgpu_wire.blob import BlobMem
from vgpu_wire.resource import (
    MemEntry,
    ResourceAssignUuid,
    ResourceAttachBacking,
    ResourceDetachBacking,
    ResourceUnref,
    RespResourceUuid,
)


def stretches(world: World, entries: Sequence[MemEntry]) -> list[tuple[int, int]]:
    """The memory that the entries name, all of which must be there."""
    refuse(len(entries) > world.setup.entries, "more entries than the device takes")
    found = [(entry.addr, entry.length) for entry in entries]
    outside = any(length and addr + length > world.setup.memory for addr, length in found)
    refuse(outside, "an entry outside of guest memory", "I16")
    return found


def attach(world: World, request: ResourceAttachBacking) -> Expected:
    resource = known(world, request.resource_id)
    refuse(resource.blob_mem == BlobMem.HOST3D, "a blob that is on the host only")
    refuse(resource.stretches is not None, "it has a backing", "I9")
    found = stretches(world, request.entries)
    if resource.kind == "blob":
        refuse(sum(length for _addr, length in found) < resource.size, "the entries are shorter than the blob", "I16")

    def success(_answer: object) -> None:
        resource.stretches = found or None

    return must(success) if found else may("no entries", success)


def detach(world: World, request: ResourceDetachBacking) -> Expected:
    resource = known(world, request.resource_id)

    def success(_answer: object) -> None:
        resource.stretches = None

    return must(success) if resource.stretches is not None else may("it has no backing", success)


def unref(world: World, request: ResourceUnref) -> Expected:
    resource = known(world, request.resource_id)

    def success(_answer: object) -> None:
        world.drop(resource)

    return must(success) if resource.offset is None else may("it is mapped", success)


def assign_uuid(world: World, request: ResourceAssignUuid) -> Expected:
    resource = known(world, request.resource_id)

    def payload(answer: RespResourceUuid) -> str | None:
        # of two that had one id after the other nobody can tell
        others = [other for other in world.resources.values() if other.resource_id != resource.resource_id]
        if any(other.uuid == answer.uuid for other in others):
            return "another resource has this UUID"
        if resource.uuid not in {None, answer.uuid}:
            return f"the UUID was {resource.uuid!r} and is {answer.uuid!r}"
        # of one that waited for its fence nobody knew it when it succeeded
        resource.uuid = answer.uuid
        return "the UUID is all zeros" if not any(answer.uuid) else None

    def success(answer: RespResourceUuid | None) -> None:
        resource.uuid = answer.uuid if answer is not None else resource.uuid

    return must(success, payload, "I23")
