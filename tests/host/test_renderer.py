"""The fake renderer: contexts, their command stream, resources, and what it refuses with which errno."""

from errno import EBADF, EBUSY, EEXIST, EINVAL, EMFILE, ENOENT, ENOMEM, EPROTO

import pytest
from renderer_talk import ask, blob, context, free, make, resource, submit, talk, with_blob
from support import PAGE, alloc

from vgpu_emu.ids import ContextId, ResourceId
from vgpu_emu.vocabulary import HostAttribute
from vgpu_wire.blob import BlobMem, MapCache
from vgpu_wire.context_stream import StreamAlloc, StreamFree, StreamHdr
from vgpu_wire.renderer_link import (
    Close,
    Op,
)


def test_context_is_created_once_and_destroyed_once() -> None:
    renderer = make()
    assert ask(renderer, context(Op.CTX_CREATE)).errno == EINVAL
    assert ask(renderer, context(Op.CTX_CREATE, 0)).errno == EINVAL
    assert ask(renderer, context(Op.CTX_CREATE, 0xFFFFFFFF)).errno == 0
    assert ask(renderer, context(Op.CTX_DESTROY)).errno == 0
    assert ask(renderer, context(Op.CTX_DESTROY)).errno == EINVAL
    assert ask(renderer, context(Op.CTX_CREATE)).errno == 0


def test_destroyed_context_takes_its_objects_along_but_no_resource() -> None:
    renderer = with_blob()
    assert ask(renderer, submit(alloc(blob_id=2) + alloc(blob_id=3))).errno == 0
    assert ask(renderer, context(Op.CTX_DESTROY)).errno == 0
    assert len(renderer.process.kernel.live) == 1
    assert renderer.attribute_of(ResourceId(5)) is HostAttribute.WC


def test_resource_is_attached_and_detached() -> None:
    renderer = with_blob()
    attached = renderer.contexts[ContextId(1)].attached
    assert ask(renderer, context(Op.CTX_ATTACH, value=5)).errno == 0
    assert attached == {5}
    assert ask(renderer, context(Op.CTX_DETACH, value=5)).errno == 0
    assert attached == set()
    assert ask(renderer, context(Op.CTX_DETACH, value=5)).errno == 0


def test_attach_wants_a_context_and_a_resource() -> None:
    renderer = with_blob()
    assert ask(renderer, context(Op.CTX_ATTACH, value=6)).errno == EINVAL
    assert ask(renderer, context(Op.CTX_ATTACH, ctx_id=2, value=5)).errno == EINVAL
    assert ask(renderer, context(Op.CTX_DETACH, ctx_id=2, value=5)).errno == EINVAL


# -- the context's command stream


def test_stream_allocates_and_frees_in_order() -> None:
    renderer = make()
    assert ask(renderer, submit(alloc() + free() + alloc(size=3 * PAGE) + alloc(blob_id=2))).errno == 0
    assert set(renderer.contexts[ContextId(1)].objects) == {1, 2}
    assert renderer.process.kernel.live_bytes == 4 * PAGE


def test_empty_stream_does_nothing() -> None:
    assert ask(make(), submit(b"")).errno == 0


@pytest.mark.parametrize("size", [1, PAGE - 1, PAGE])
def test_object_is_whole_pages(size: int) -> None:
    renderer = make()
    assert ask(renderer, submit(alloc(size=size))).errno == 0
    assert renderer.process.kernel.live_bytes == PAGE


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"\1", id="one byte"),
        pytest.param(alloc()[:3], id="less than a header"),
        pytest.param(alloc()[:4], id="a header alone"),
        pytest.param(alloc()[:-1], id="one byte less"),
        pytest.param(alloc() + b"\0", id="one byte more"),
        pytest.param(StreamHdr(opcode=0, length=1).build(), id="opcode 0"),
        pytest.param(StreamHdr(opcode=3, length=1).build(), id="unknown opcode"),
        pytest.param(StreamAlloc(length=0, exporter=1, blob_id=1, size=PAGE).build(), id="length 0"),
        pytest.param(StreamAlloc(length=5, exporter=1, blob_id=1, size=PAGE).build(), id="length too small"),
        pytest.param(StreamAlloc(length=7, exporter=1, blob_id=1, size=PAGE).build() + bytes(4), id="length too large"),
        pytest.param(StreamAlloc(length=0xFFFF, exporter=1, blob_id=1, size=PAGE).build(), id="length of 256 KiB"),
        pytest.param(StreamFree(length=6, blob_id=1).build() + bytes(8), id="free with alloc's length"),
    ],
)
def test_malformed_stream_is_eproto_and_what_came_before_it_stays(stream: bytes) -> None:
    renderer = make()
    assert ask(renderer, submit(alloc(blob_id=9) + stream)).errno == EPROTO
    assert set(renderer.contexts[ContextId(1)].objects) - {1} == {9}


@pytest.mark.parametrize(
    ("stream", "errno"),
    [
        pytest.param(alloc() + alloc(), EEXIST, id="an object that exists"),
        pytest.param(free(), ENOENT, id="an object that does not"),
        pytest.param(alloc() + free() + free(), ENOENT, id="an object that is gone"),
        pytest.param(alloc(size=0), EINVAL, id="no bytes"),
        pytest.param(StreamAlloc(exporter=0, blob_id=1, size=PAGE).build(), EINVAL, id="exporter 0"),
        pytest.param(StreamAlloc(exporter=6, blob_id=1, size=PAGE).build(), EINVAL, id="exporter 6"),
        pytest.param(alloc(size=(256 << 20) + 1), ENOMEM, id="more than the host has"),
        pytest.param(alloc(size=(1 << 64) - 1), ENOMEM, id="as much as can be said"),
    ],
)
def test_stream_command_that_cannot_be_carried_out_has_its_errno(stream: bytes, errno: int) -> None:
    assert ask(make(), submit(stream)).errno == errno


def test_submit_wants_a_context() -> None:
    assert ask(make(), submit(alloc(), ctx_id=2)).errno == EINVAL


def test_object_names_of_two_contexts_are_their_own() -> None:
    renderer = make()
    assert ask(renderer, context(Op.CTX_CREATE, 2)).errno == 0
    assert ask(renderer, submit(alloc())).errno == ask(renderer, submit(alloc(), ctx_id=2)).errno == 0
    assert ask(renderer, submit(free(), ctx_id=2)).errno == 0
    assert set(renderer.contexts[ContextId(1)].objects) == {1}


# -- resources


def test_object_becomes_a_resource_and_leaves_its_context() -> None:
    renderer = with_blob()
    assert renderer.contexts[ContextId(1)].objects == {}
    assert ask(renderer, blob(resource_id=6)).errno == EINVAL
    assert ask(renderer, submit(free())).errno == ENOENT


@pytest.mark.parametrize(
    ("members", "errno"),
    [
        ({"ctx_id": 2}, EINVAL),
        ({"resource_id": 5}, EBUSY),
        ({"resource_id": 6, "blob_mem": 0}, EINVAL),
        ({"resource_id": 6, "blob_mem": BlobMem.GUEST.value}, EINVAL),
        ({"resource_id": 6, "blob_mem": BlobMem.HOST3D_GUEST.value}, EINVAL),
        ({"resource_id": 6, "blob_mem": 4}, EINVAL),
        ({"resource_id": 6, "blob_id": 3}, EINVAL),
        ({"resource_id": 6, "blob_id": 2, "size": 2 * PAGE + 1}, EINVAL),
        ({"resource_id": 6, "blob_id": 2, "size": 2 * PAGE}, 0),
        ({"resource_id": 6, "blob_id": 2, "size": 1}, 0),
    ],
)
def test_blob_is_made_of_an_object_that_is_large_enough(members: dict[str, int], errno: int) -> None:
    renderer = with_blob()
    assert ask(renderer, submit(alloc(blob_id=2, size=2 * PAGE))).errno == 0
    assert ask(renderer, blob(**members)).errno == errno
    assert set(renderer.resources) == ({5} if errno else {5, 6})
    assert set(renderer.contexts[ContextId(1)].objects) == ({2} if errno else set())


def test_unref_ends_a_resource_and_its_attachments() -> None:
    renderer = with_blob()
    assert ask(renderer, context(Op.CTX_ATTACH, value=5)).errno == 0
    assert ask(renderer, resource(Op.UNREF)).errno == 0
    assert renderer.contexts[ContextId(1)].attached == set()
    assert renderer.process.kernel.live == {}
    assert ask(renderer, resource(Op.UNREF)).errno == EINVAL


def test_export_passes_a_descriptor_of_the_vmm_and_says_the_size() -> None:
    renderer = with_blob()
    answer, (passed,) = talk(renderer, resource(Op.EXPORT_BLOB))
    assert (answer.errno, answer.value) == (0, PAGE)
    assert renderer.vmm.file(passed.fd).memory is passed.memory
    passed.memory.release()
    assert ask(renderer, resource(Op.EXPORT_BLOB, 6)).errno == EINVAL


def test_exported_buffer_outlives_its_resource() -> None:
    renderer = with_blob()
    _, (passed,) = talk(renderer, resource(Op.EXPORT_BLOB))
    assert ask(renderer, resource(Op.UNREF)).errno == 0
    assert len(renderer.process.kernel.live) == 1
    passed.memory.release()
    assert ask(renderer, Close(fd=passed.fd)).errno == 0
    assert renderer.process.kernel.live == {}
    assert ask(renderer, Close(fd=passed.fd)).errno == EBADF


def test_export_into_a_full_table_is_emfile() -> None:
    renderer = with_blob(max_fds=1)
    _, (passed,) = talk(renderer, resource(Op.EXPORT_BLOB))
    assert ask(renderer, resource(Op.EXPORT_BLOB)).errno == EMFILE
    passed.memory.release()


@pytest.mark.parametrize("guess", [MapCache.CACHED, MapCache.UNCACHED, MapCache.WC])
def test_map_info_is_a_guess_that_has_nothing_to_do_with_the_buffer(guess: MapCache) -> None:
    renderer = with_blob(guess=guess)
    answer = ask(renderer, resource(Op.GET_MAP_INFO))
    assert (answer.errno, answer.value) == (0, guess.value)
    assert ask(renderer, resource(Op.GET_MAP_INFO, 6)).errno == EINVAL


def test_no_guess_is_an_error() -> None:
    assert ask(with_blob(guess=MapCache.NONE), resource(Op.GET_MAP_INFO)).errno == EINVAL
