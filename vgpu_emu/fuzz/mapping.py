"""Calls of a guest that maps its objects, stores there and loads; oracles on what it then has."""

from errno import EINVAL

from vgpu_emu.fuzz.actions import one_of
from vgpu_emu.fuzz.guest import Guest
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.guest.vma import Vma
from vgpu_emu.guest.waiting import Op
from vgpu_emu.memory import PAGE_SIZE

#: map_info -> the page protection that Linux makes of it (virtgpu_vram.c, virtio_gpu_vram_mmap); cached otherwise
PGPROT = {3: "writecombine", 2: "noncached"}


def mmap(guest: Guest, bo: int, pages: int, pgoff: int) -> Op[None]:
    owner, handle = one_of(guest.objects, bo)
    gem = owner.object(handle)
    whole = pages % 4
    length, place = (gem.size, 0) if not whole else (whole * PAGE_SIZE, pgoff % 3 * PAGE_SIZE)
    before = len(guest.vmas)
    try:
        guest.vmas.append((yield from owner.mmap(owner.map(handle), length, place)))
    except OSError as refused:
        _refused(guest, int(gem.resource_id), refused, whole=not whole)
    if len(guest.vmas) > before:
        _mapped(guest, guest.vmas[-1], int(gem.resource_id))


def _refused(guest: Guest, resource_id: int, refused: OSError, *, whole: bool) -> None:
    """A whole blob that the device has mapped can be mapped by a program."""
    blob = guest.bench.world.resources.get(resource_id)
    if guest.bench.meddled or not whole or blob is None or blob.offset is None:
        return
    guest.bench.judge.evaluated["I26"] += 1
    if refused.errno == EINVAL:
        raise Finding("I26", f"resource {resource_id} is mapped at {blob.offset:#x}, and mmap says {refused}")


def _mapped(guest: Guest, vma: Vma, resource_id: int) -> None:
    world, judge = guest.bench.world, guest.bench.judge
    blob = world.resources.get(resource_id)
    if blob is None or not blob.on_host or guest.bench.meddled:
        return
    judge.evaluated["I2"] += 1
    if blob.offset is None or blob.map_info is None:
        raise Finding("I2", f"resource {resource_id} is {vma.pgprot.value}, and the device has not mapped it")
    wanted = PGPROT.get(blob.map_info, "cached")
    if vma.pgprot.value != wanted:
        raise Finding("I2", f"map_info {blob.map_info} is mapped {vma.pgprot.value}, not {wanted}")
    judge.evaluated["I4"] += 1
    if vma.start != blob.offset + vma.pgoff or not 0 <= vma.pgoff < vma.pgoff + vma.length <= blob.pages:
        raise Finding("I4", f"[{vma.start:#x}, +{vma.length:#x}) is not in resource {resource_id}")


def store(guest: Guest, mapping: int, place: int, value: int) -> None:
    """What is stored in one mapping is what every other mapping of the place has."""
    vma = one_of(guest.vmas, mapping)
    at = place * 97 % max(vma.length - 8, 1)
    data = bytes([value % 251, at % 256] * 4)
    vma.write(at, data)
    contents = guest.bench.contents(int(vma.vram.resource_id))
    if contents is not None:
        contents[vma.pgoff + at : vma.pgoff + at + 8] = data


def load(guest: Guest, mapping: int, place: int) -> None:
    vma = one_of(guest.vmas, mapping)
    at = place * 97 % max(vma.length - 8, 1)
    contents = guest.bench.contents(int(vma.vram.resource_id))
    data = vma.read(at, 8)
    if guest.bench.meddled:
        return
    there = guest.bench.world.resources.get(int(vma.vram.resource_id))
    if there is not None and there.stretches is not None:
        guest.bench.judge.evaluated["I24"] += 1
        wanted = guest.bench.world.gather(there, vma.pgoff + at, 8)
        if data != wanted:
            raise Finding("I24", f"resource {there.resource_id} has {wanted!r}, and the program sees {data!r}")
    if contents is None:
        return
    guest.bench.judge.evaluated["I24"] += 1
    if data != contents[vma.pgoff + at : vma.pgoff + at + 8]:
        raise Finding("I24", f"resource {vma.vram.resource_id}: nobody stored {data!r} at {vma.pgoff + at:#x}")


def munmap(guest: Guest, mapping: int) -> Op[None]:
    vma = one_of(guest.vmas, mapping)
    guest.vmas.remove(vma)
    yield from vma.munmap()
