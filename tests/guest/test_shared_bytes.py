"""A guest mapping's bytes are the dma-buf's bytes: what the guest writes the host reads, and back."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EFAULT, ENODEV

import pytest
from support import PAGE, create_and_mmap

from vgpu_emu.assembly import Config, Parts, size_only
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.guest.vma import Vma
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.machine import open_machine
from vgpu_emu.vmm.state import Blob

pytestmark = pytest.mark.usefixtures("nothing_left")


@contextmanager
def host_pages(parts: Parts, vma: Vma) -> Iterator[mmap.mmap]:
    """The renderer process's own mmap of the buffer behind a guest mapping."""
    renderer = parts.renderer
    fd = renderer.resources[vma.vram.resource_id]
    with renderer.process.mmap(fd, renderer.process.file(fd).memory.size) as pages:
        yield pages


def exchange(pages: mmap.mmap, vma: Vma) -> None:
    vma.write(PAGE - 2, b"guest")
    assert pages[PAGE - 2 : PAGE + 3] == b"guest"
    pages[:4] = b"host"
    assert vma.read(0, 5) == b"host\0"


def test_guest_and_host_see_each_others_writes_in_lockstep() -> None:
    with Lockstep() as pair:
        _, vma = pair.run(create_and_mmap(DrmFile(pair.driver), size=2 * PAGE))
        with host_pages(pair.parts, vma) as pages:
            exchange(pages, vma)


async def test_guest_and_host_see_each_others_writes_between_tasks() -> None:
    async with open_machine() as machine:
        _, vma = await machine.run(create_and_mmap(DrmFile(machine.driver), size=2 * PAGE))
        with host_pages(machine.parts, vma) as pages:
            exchange(pages, vma)


def test_two_buffers_do_not_share_bytes() -> None:
    with Lockstep() as pair:
        file = DrmFile(pair.driver)
        _, first = pair.run(create_and_mmap(file, blob_id=1))
        _, second = pair.run(create_and_mmap(file, blob_id=2))
        first.write(0, b"first")
        assert second.read(0, 5) == bytes(5)


def test_part_of_an_object_is_where_it_says() -> None:
    with Lockstep() as pair:
        file = DrmFile(pair.driver)
        handle, whole = pair.run(create_and_mmap(file, size=3 * PAGE))
        part = pair.run(file.mmap(file.map(handle), PAGE, 2 * PAGE))
        part.write(0, b"third page")
        assert whole.read(2 * PAGE, 10) == b"third page"


def test_bytes_outlive_handle_and_mapping_as_long_as_the_object_does() -> None:
    with Lockstep() as pair:
        file = DrmFile(pair.driver)
        handle, vma = pair.run(create_and_mmap(file))
        vma.write(0, b"kept")
        second = pair.run(file.mmap(file.map(handle), PAGE))
        pair.run(vma.munmap())
        pair.run(file.gem_close(handle))
        assert second.read(0, 4) == b"kept"
        pair.run(second.munmap())
        assert pair.parts.leaks() == []


@pytest.mark.parametrize(("offset", "length"), [(0, PAGE), (PAGE - 1, 1)])
def test_access_reaches_to_the_end_of_a_mapping(offset: int, length: int) -> None:
    with Lockstep() as pair:
        _, vma = pair.run(create_and_mmap(DrmFile(pair.driver)))
        vma.write(offset, b"\x5a" * length)
        assert vma.read(offset, length) == b"\x5a" * length


@pytest.mark.parametrize(("offset", "length"), [(0, PAGE + 1), (PAGE, 1), (-1, 1), (PAGE + 1, 0), (1, -1)])
def test_access_outside_of_a_mapping_faults(offset: int, length: int) -> None:
    with Lockstep() as pair:
        file = DrmFile(pair.driver)
        # the pages behind it are another mapping's
        _, vma = pair.run(create_and_mmap(file, blob_id=1))
        pair.run(create_and_mmap(file, blob_id=2))
        with pytest.raises(OSError, match="of a mapping of 0x1000 bytes") as refused:
            vma.read(offset, length)
        assert refused.value.errno == EFAULT


def test_access_after_munmap_faults() -> None:
    with Lockstep() as pair:
        _, vma = pair.run(create_and_mmap(DrmFile(pair.driver)))
        pair.run(vma.munmap())
        for access in (lambda: vma.read(0, 1), lambda: vma.write(0, b"x")):
            with pytest.raises(OSError, match="of a mapping of 0x0 bytes") as refused:
                access()
            assert refused.value.errno == EFAULT


def test_access_faults_where_the_vmm_took_the_pages_away() -> None:
    with Lockstep() as pair:
        _, vma = pair.run(create_and_mmap(DrmFile(pair.driver)))
        pair.parts.region.unmap(vma.start)
        with pytest.raises(OSError, match="mapped nothing") as refused:
            vma.read(0, 1)
        assert refused.value.errno == EFAULT
        mapped = pair.parts.device.resources[vma.vram.resource_id]
        assert isinstance(mapped, Blob)
        mapped.offset = None


def test_buffer_without_bytes_cannot_be_accessed() -> None:
    with Lockstep(Config(backing=size_only)) as pair:
        _, vma = pair.run(create_and_mmap(DrmFile(pair.driver)))
        with pytest.raises(OSError, match="no bytes") as refused:
            vma.read(0, 1)
        assert refused.value.errno == ENODEV
