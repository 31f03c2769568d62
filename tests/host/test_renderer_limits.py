"""How much the renderer can be made to hold: each limit at one less, exactly, and one more."""

from errno import EMFILE, ENOMEM

import pytest
from renderer_talk import ask, free, make, resource, submit, with_blob
from support import PAGE, alloc

from vgpu_emu.host.renderer import RendererLimits
from vgpu_wire.renderer_link import (
    Op,
)


@pytest.mark.parametrize(("pages", "errno"), [(2, 0), (3, 0), (4, ENOMEM)])
def test_limit_of_host_memory(pages: int, errno: int) -> None:
    renderer = make(limits=RendererLimits(host_memory=4 * PAGE))
    assert ask(renderer, submit(alloc(blob_id=7))).errno == 0
    assert ask(renderer, submit(alloc(size=pages * PAGE))).errno == errno
    assert renderer.process.kernel.live_bytes == (1 + (0 if errno else pages)) * PAGE


def test_host_memory_is_counted_in_pages() -> None:
    renderer = make(limits=RendererLimits(host_memory=2 * PAGE))
    assert ask(renderer, submit(alloc(size=PAGE + 1))).errno == 0
    assert ask(renderer, submit(alloc(blob_id=2, size=1))).errno == ENOMEM


@pytest.mark.parametrize(("objects", "errno"), [(2, 0), (3, 0), (4, ENOMEM)])
def test_limit_of_objects(objects: int, errno: int) -> None:
    renderer = make(limits=RendererLimits(objects=3))
    assert ask(renderer, submit(b"".join(alloc(blob_id=number) for number in range(objects)))).errno == errno
    assert len(renderer.process.kernel.live) == min(objects, 3)


@pytest.mark.parametrize(("objects", "errno"), [(2, 0), (3, 0), (4, EMFILE)])
def test_limit_of_descriptors_leaves_nothing_behind(objects: int, errno: int) -> None:
    renderer = make(max_fds=3)
    assert ask(renderer, submit(b"".join(alloc(blob_id=number) for number in range(objects)))).errno == errno
    assert len(renderer.process.kernel.live) == min(objects, 3)
    renderer.exit()
    assert (renderer.process.kernel.live, renderer.process.kernel.live_bytes) == ({}, 0)


def test_what_is_freed_gives_room_again() -> None:
    renderer = make(limits=RendererLimits(objects=1, host_memory=PAGE))
    for _ in range(3):
        assert ask(renderer, submit(alloc())).errno == 0
        assert ask(renderer, submit(alloc(blob_id=2))).errno == ENOMEM
        assert ask(renderer, submit(free())).errno == 0


def test_blob_counts_as_its_object_did() -> None:
    renderer = with_blob(limits=RendererLimits(objects=1))
    assert ask(renderer, submit(alloc())).errno == ENOMEM
    assert ask(renderer, resource(Op.UNREF)).errno == 0
    assert ask(renderer, submit(alloc())).errno == 0
