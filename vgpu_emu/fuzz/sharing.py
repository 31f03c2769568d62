"""Calls of guest programs that share memory: dma-bufs out and in, one object in several mappings and files."""

from collections.abc import Callable
from errno import ENOMEM

from vgpu_emu.fuzz.actions import one_of
from vgpu_emu.fuzz.guest import Guest
from vgpu_emu.fuzz.mapping import mmap
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.fuzz.promising import Promise
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.imported import ForeignDmaBuf
from vgpu_emu.guest.pages import Run
from vgpu_emu.guest.prime import DmaBuf
from vgpu_emu.guest.shmem import ShmemObject
from vgpu_emu.guest.waiting import Op
from vgpu_emu.memory import PAGE_SIZE
from vgpu_wire.control import CtrlType
from vgpu_wire.device import Feature

#: pages from the first of another driver's buffer to its last, at most
_FOREIGN_PAGES = 5
#: pages that others take at most before they give them back: a fourth of what there is
_MOST_HELD = 8


def export(guest: Guest, bo: int) -> Op[None]:
    """An object as a dma-buf; a second descriptor of one that it is already."""
    owner, handle = one_of(guest.objects, bo)
    gem = owner.object(handle)
    is_image = not (gem.guest_blob or gem.host3d_blob)
    if is_image and gem.dma_buf is None and owner.driver.has(Feature.RESOURCE_UUID):
        guest.promises.append(Promise(CtrlType.RESOURCE_ASSIGN_UUID, resource_id=gem.resource_id))
    guest.dma_bufs.append((yield from owner.prime_handle_to_fd(handle)))


def take(guest: Guest, file: int, dmabuf: int) -> Op[None]:
    """A dma-buf as an object of a file."""
    owner = one_of(guest.files, file)
    yield from _keep(guest, owner, one_of(guest.dma_bufs, dmabuf))


def _keep(guest: Guest, owner: "DrmFile", dma_buf: "DmaBuf | ForeignDmaBuf") -> Op[None]:
    handle = yield from owner.prime_fd_to_handle(dma_buf)
    if (owner, handle) not in guest.objects:
        guest.objects.append((owner, handle))


def close_dma_buf(guest: Guest, dmabuf: int) -> Op[None]:
    dma_buf = one_of(guest.dma_bufs, dmabuf)
    guest.dma_bufs.remove(dma_buf)
    yield from dma_buf.close()


def uuid(guest: Guest, dmabuf: int) -> Op[None]:
    """What other devices are told is what the device has said."""
    dma_buf = one_of(guest.dma_bufs, dmabuf)
    told = yield from dma_buf.get_uuid()
    if guest.bench.meddled:
        return
    resource = guest.bench.world.resources.get(int(dma_buf.gem.resource_id))
    guest.bench.judge.evaluated["I6"] += 1
    if resource is None or told != resource.uuid:
        raise Finding("I6", f"resource {dma_buf.gem.resource_id} has the UUID {told.hex()} for the guest alone")


def attach(guest: Guest, dmabuf: int, virtio: int) -> None:
    """Another device looks where the memory is: where this one was told that it is."""
    dma_buf = one_of(guest.dma_bufs, dmabuf)
    entries = dma_buf.map(virtio=bool(virtio % 2))
    resource = guest.bench.world.resources.get(int(dma_buf.gem.resource_id))
    if guest.bench.meddled or resource is None or resource.stretches is None:
        return
    guest.bench.judge.evaluated["I9"] += 1
    there = [(entry.addr, entry.length) for entry in entries]
    if isinstance(dma_buf.gem, ShmemObject) and there != list(resource.stretches):
        raise Finding("I9", f"resource {resource.resource_id} is at {there} for others, and {resource.stretches} here")


def foreign(guest: Guest, file: int, page: int, pages: int, gap: int) -> Op[None]:
    """A buffer of another driver, in one piece or in two, is imported."""
    owner = one_of(guest.files, file)
    dma_buf = ForeignDmaBuf(_pieces(guest, page, 1 + pages % 3, gap))
    yield from _keep(guest, owner, dma_buf)
    guest.foreign.append(dma_buf)


def _pieces(guest: Guest, page: int, pages: int, gap: int) -> list[Run]:
    """Of memory that this driver has not got. Raises OSError: ENOMEM where it is too small."""
    places = guest.bench.driver.pages.first // PAGE_SIZE - _FOREIGN_PAGES
    if places <= 0:
        raise OSError(ENOMEM, "no memory of other drivers")
    start, first = page % places * PAGE_SIZE, max(pages // 2, 1)
    runs = [(start, start + first * PAGE_SIZE)]
    if pages > first:
        again = start + (first + gap % 3) * PAGE_SIZE
        runs.append((again, again + (pages - first) * PAGE_SIZE))
    return runs


def move_foreign(guest: Guest, buffer: int, page: int, gap: int) -> Op[None]:
    """The other driver puts its buffer elsewhere, and this one forgets where it was."""
    dma_buf = one_of(guest.foreign, buffer)
    held = [gem for gem in dma_buf.importers if gem.is_mapped]
    if held and not dma_buf.pins:
        guest.promises.append(Promise(CtrlType.RESOURCE_DETACH_BACKING, resource_id=held[-1].resource_id))
    yield from dma_buf.move(_pieces(guest, page, dma_buf.size // PAGE_SIZE, gap))


def share(guest: Guest, bo: int, file: int, keep: int) -> Op[None]:
    """An object of one file is one of another, too; the dma-buf in between is not kept."""
    owner, handle = one_of(guest.objects, bo)
    other = one_of(guest.files, file)
    dma_buf = yield from owner.prime_handle_to_fd(handle)
    guest.dma_bufs.append(dma_buf)
    yield from _keep(guest, other, dma_buf)
    if keep % 3:
        guest.dma_bufs.remove(dma_buf)
        yield from dma_buf.close()


def map_again(guest: Guest, mapping: int) -> Op[None]:
    """A second mapping of what is mapped, by whichever file has it."""
    gem = one_of(guest.vmas, mapping).vram
    holders = [index for index, (owner, handle) in enumerate(guest.objects) if owner.handles.get(handle) is gem]
    if holders:
        yield from mmap(guest, holders[mapping % len(holders)], 0, 0)


def press(guest: Guest, pages: int) -> None:
    """Others take every second page, so that new objects are in pieces; or they give back what they have."""
    allocator = guest.bench.driver.pages
    if len(guest.held) > _MOST_HELD:
        allocator.release(guest.held)
        guest.held = []
        return
    runs = allocator.allocate((1 + pages % 6) * 2 * PAGE_SIZE)
    taken = [(at, at + PAGE_SIZE) for start, end in runs for at in range(start, end, PAGE_SIZE)]
    allocator.release(taken[::2])
    guest.held += taken[1::2]


CALLS: dict[str, Callable[..., Op[None] | None]] = {
    "export": export,
    "take": take,
    "close_dma_buf": close_dma_buf,
    "uuid": uuid,
    "attach": attach,
    "foreign": foreign,
    "move_foreign": move_foreign,
    "share": share,
    "map_again": map_again,
    "press": press,
}
NEEDS: dict[str, str] = {
    **dict.fromkeys(("export", "share"), "objects"),
    **dict.fromkeys(("take", "close_dma_buf", "uuid", "attach"), "dma_bufs"),
    "foreign": "files",
    "move_foreign": "foreign",
    "map_again": "vmas",
}
