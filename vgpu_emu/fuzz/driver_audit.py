"""Oracles on the guest's driver: what it holds, what it sends and which fences it takes for signalled."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from vgpu_emu.fuzz.bench import Bench
from vgpu_emu.fuzz.model.case import Case, Finding
from vgpu_emu.fuzz.model.expectation import Verdict
from vgpu_emu.fuzz.model.world import Resource, World
from vgpu_emu.fuzz.screens_audit import shown
from vgpu_emu.guest.driver import CURSORQ_SIZE, QUEUE_SIZE
from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.imported import ImportedObject
from vgpu_emu.guest.open_file import OpenFile
from vgpu_emu.guest.pages import Run
from vgpu_emu.guest.shmem import ShmemObject
from vgpu_emu.guest.vram import VramObject
from vgpu_wire.device import CONTROLQ, CURSORQ

#: what no right driver asks for, whatever the device has answered before: the reason -> oracle
_NEVER = {
    "the resource exists": "I8",
    "resource_id 0": "I8",
    "another blob is mapped there": "I14",
    "it is mapped": "I12",
    "it has a backing": "I9",
    "it does not fit into the region": "I15",
    "the request is cut short": "I17",
    "the entries are shorter than the blob": "I16",
    "an entry outside of guest memory": "I16",
    "ring_idx is not 0..63": "I22",
}
_OF_EVERY_CALL = ("I4", "I8", "I10", "I12", "I14")
#: an oracle and what is wrong
Wrongs = Iterator[tuple[str, str]]


def asks(case: Case) -> None:
    """A request of the driver. Raises Finding."""
    oracle = _NEVER.get(case.expected.why)
    if oracle is not None and case.expected.verdict is not Verdict.MUST:
        raise Finding(oracle, f"the driver sends {case}, and {case.expected.why}")


def audit_driver(bench: Bench) -> None:
    """After a call. Raises Finding."""
    bench.judge.evaluated[_OF_EVERY_CALL] += 1
    holders = _holders(bench)
    looks = (
        _references(bench, holders),
        _places(bench, holders),
        _offsets(bench.driver.mmap_offsets),
        _fences(bench),
        _resources(bench, holders),
        shown(bench),
    )
    for oracle, wrong in chain.from_iterable(looks):
        raise Finding(oracle, wrong)


#: an object -> how many have it
Holders = dict[GemObject, int]


def _holders(bench: Bench) -> Holders:
    """Handles, mappings, framebuffers, dma-bufs and requests in flight."""
    held: list[GemObject] = [vma.vram for vma in bench.guest.vmas]
    for file in bench.guest.files:
        held += file.handles.values()
        held += [framebuffer.gem for framebuffer in file.framebuffers]
    held += [dma_buf.gem for dma_buf in set(bench.guest.dma_bufs)]
    for pending in bench.driver._pending.values():
        held += pending.objects
    # there are few: a Counter takes longer
    holders: Holders = {}
    for gem in held:
        holders[gem] = holders.get(gem, 0) + 1
    return holders


def _references(bench: Bench, holders: Holders) -> Wrongs:
    for gem, count in holders.items():
        if gem.refs != count:
            yield "I12", f"object {gem.resource_id} counts {gem.refs} references, and {count} hold it"
    for gem in bench.driver.mmap_offsets.values():
        if gem not in holders:
            yield "I10", f"object {gem.resource_id} lives, and nobody holds it"
    if len({gem.resource_id for gem in holders}) < len(holders):
        ids = Counter(gem.resource_id for gem in holders)
        yield from (("I8", f"{count} objects are resource {number}") for number, count in ids.items() if count > 1)


def _places(bench: Bench, holders: Holders) -> Wrongs:
    """Where objects are in the region is what the allocator has given out; they are there until UNREF is answered."""
    ending = [getattr(pending.callback, "__self__", None) for pending in bench.driver._pending.values()]
    objects = [gem for gem in (*holders, *ending) if isinstance(gem, VramObject)]
    wanted = {gem.node: gem.size for gem in objects if gem.node is not None}
    if bench.driver.mm.nodes != wanted:
        yield "I14", f"places given out in the region: {bench.driver.mm.nodes}, not {wanted}"


def _offsets(objects: Mapping[int, GemObject]) -> Wrongs:
    """Where in the device's file each object can be mapped (drm_vma_offset_manager)."""
    end = 0
    for offset in sorted(objects):
        if offset < end:
            yield (
                "I4",
                f"two objects are at mmap offset {offset:#x}, one of them resource {objects[offset].resource_id}",
            )
        end = offset + objects[offset].size


def _resources(bench: Bench, holders: Iterable[GemObject]) -> Wrongs:
    """When all is answered, the device has what the driver's objects are, and nothing else of that driver's."""
    world = bench.world
    attached = bench.belongings.attached(bench.guest.files)
    if bench.meddled or bench.driver.in_flight or bench.host.has_failed:
        return
    bench.judge.evaluated["I9"] += 1
    objects: dict[int, GemObject] = {gem.resource_id: gem for gem in holders}
    there = world.resources
    for number in there.keys() - objects.keys():
        yield "I10", f"the device has resource {number}, which no object is"
    for number, gem in objects.items():
        if number in there:
            yield from _object(gem, there[number], world.setup.entries)
        elif bench.belongings.has(number):
            yield "I10", f"resource {number} is gone, and its object is not"
    yield from _contexts(world, attached)


def _contexts(world: World, attached: Mapping[OpenFile, Iterable[GemObject]]) -> Wrongs:
    """attached: what the contexts of files must have."""
    files: dict[int | None, OpenFile] = {file.ctx_id: file for file in attached}
    for ctx_id in world.contexts.keys() - files.keys():
        yield "I10", f"the device has context {ctx_id}, which no file has"
    for ctx_id, context in world.contexts.items():
        file = files[ctx_id]
        handles = {gem.resource_id for gem in file.handles.values()}
        wanted = {gem.resource_id for gem in attached[file]} & world.resources.keys()
        for number in context.attached - handles:
            yield "I10", f"context {ctx_id} has resource {number}, and its file does not"
        for number in wanted - context.attached:
            yield "I10", f"context {ctx_id} does not have resource {number}, and its file does"


def _runs(gem: ShmemObject | ImportedObject) -> list[Run]:
    """The pages that the device has to know; of another driver's, as long as they stay where they are."""
    if isinstance(gem, ShmemObject):
        return gem.runs
    return gem.attached_to.runs if gem.is_mapped else []


#: objects whose pages the device knows
_BACKED = (ShmemObject, ImportedObject)


def _object(gem: GemObject, there: Resource, entries: int) -> Wrongs:
    """entries: so many the device takes."""
    if isinstance(gem, _BACKED):
        pages = [(start, end - start) for start, end in _runs(gem)]
        if list(there.stretches or ()) != pages and (there.stretches is not None or len(pages) <= entries):
            yield "I9", f"resource {there.resource_id} has the memory {there.stretches}, and its object {pages}"
    if isinstance(gem, VramObject) and there.offset not in {None, gem.node}:
        yield "I14", f"resource {there.resource_id} is mapped at {there.offset}, and its object is at {gem.node}"


def _fences(bench: Bench) -> Wrongs:
    if bench.meddled or not bench.guest.fences:
        return
    bench.judge.evaluated["I21"] += 1
    signalled = bench.judge.signalled
    waiting = {p.fence_id for p in bench.world.pending if p.fence_id > signalled.get(p.timeline, 0)}
    for sync in bench.guest.fences:
        if sync.fence.signaled and sync.fence.fence_id in waiting:
            yield "I21", f"fence {sync.fence.fence_id} is signalled, and its request is not answered"


def audit_unused_driver(bench: Bench) -> None:
    """Every file is closed, every mapping gone, every request answered. Raises Finding."""
    driver = bench.driver
    left = {
        "objects": len(driver.mmap_offsets),
        "places in the region": len(driver.mm.nodes),
        "requests in flight": driver.in_flight,
        "fences": 0 if bench.meddled else len(driver.fences),
        "open files": driver.open_count,
        "descriptors in use of the controlq": QUEUE_SIZE - driver.free_descriptors[CONTROLQ],
        "descriptors in use of the cursorq": CURSORQ_SIZE - driver.free_descriptors[CURSORQ],
        "pictures shown": sum(1 for o in driver.outputs for p in (o.primary, o.cursor) if p.framebuffer is not None),
        "bytes of guest memory": bench.guest.free_bytes - driver.pages.free_bytes,
    }
    for name, count in left.items():
        if count:
            raise Finding("I10", f"no file is open, and the driver has {count} {name}")
    for kind, numbers in bench.belongings.left(bench.world).items():
        for number in sorted(numbers):
            raise Finding("I10", f"no file is open, and the device has {kind} {number}, which the driver made")
