"""Every limit at limit - 1, limit and limit + 1, with its documented error; nothing large is made before the look."""

import struct
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from device_kit import BGRA, Rig

from vgpu_emu.assembly import Config
from vgpu_emu.drive.requests import FENCE, PAGE, RING, attach, guest_blob, host_blob, submit, work
from vgpu_emu.host.renderer import RendererLimits
from vgpu_emu.vmm.command import Capset
from vgpu_emu.vmm.displays import Displays
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.display import Rect, ResourceFlush
from vgpu_wire.render import CtxCreate, CtxDestroy, GetCapset, ResourceCreate3D
from vgpu_wire.resource import ResourceCreate2D, ResourceUnref, TransferToHost2D

OK = CtrlType.RESP_OK_NODATA
PARAMETER = CtrlType.RESP_ERR_INVALID_PARAMETER
OUT_OF_MEMORY = CtrlType.RESP_ERR_OUT_OF_MEMORY
LIMIT = 3


def image(resource_id: int, pixels: int = 1) -> CtrlHdr:
    return ResourceCreate2D(resource_id=resource_id, format=BGRA, width=pixels, height=1)


def tall(lines: int) -> CtrlHdr:
    return ResourceCreate2D(resource_id=1, format=BGRA, width=1, height=lines)


def volume(resource_id: int, pixels: int = 1) -> CtrlHdr:
    return ResourceCreate3D(resource_id=resource_id, format=BGRA, width=1, height=1, depth=pixels)


def fenced(fence_id: int) -> CtrlHdr:
    return work(1, 1000, ring_idx=0, fence_id=fence_id)


def alloc(blob_id: int, size: int = PAGE) -> CtrlHdr:
    return submit(1, StreamAlloc(exporter=ExporterKind.WC.value, blob_id=blob_id, size=size))


class Bound(NamedTuple):
    """`requests(n)` ask for n of what there may be LIMIT of; the last of them is the one that may be too much."""

    name: str
    config: Config
    requests: Callable[[int], list[CtrlHdr]]

    def __str__(self) -> str:
        return self.name


def limited(**limits: int) -> Config:
    capsets = {n: Capset(0, bytes(n)) for n in (LIMIT - 1, LIMIT, LIMIT + 1)}
    return Config(guest_memory=1 << 20, device_limits=DeviceLimits(**limits), capsets=capsets)


def renderer_limited(**limits: int) -> Config:
    return Config(guest_memory=1 << 20, renderer_limits=RendererLimits(**limits))


CONTEXT = CtxCreate(ctx_id=1)
BOUNDS = (
    Bound("resources", limited(resources=LIMIT), lambda n: [image(i + 1) for i in range(n)]),
    Bound("resources 3D", limited(resources=LIMIT), lambda n: [volume(i + 1) for i in range(n)]),
    Bound("resources blob", limited(resources=LIMIT), lambda n: [guest_blob(i + 1, PAGE) for i in range(n)]),
    Bound("contexts", limited(contexts=LIMIT), lambda n: [CtxCreate(ctx_id=i + 1) for i in range(n)]),
    Bound("host memory, one image", limited(host_memory=LIMIT * 4), lambda n: [image(1, n)]),
    Bound("host memory, several", limited(host_memory=LIMIT * 4), lambda n: [image(i + 1) for i in range(n)]),
    Bound("host memory 3D", limited(host_memory=LIMIT * 4), lambda n: [volume(1, n)]),
    Bound("lines of an image", limited(image_lines=LIMIT), lambda n: [tall(n)]),
    Bound("lines of a volume", limited(image_lines=LIMIT), lambda n: [volume(1, n)]),
    Bound("blob bytes, one blob", limited(blob_bytes=LIMIT * PAGE), lambda n: [guest_blob(1, n * PAGE)]),
    Bound(
        "blob bytes, several", limited(blob_bytes=LIMIT * PAGE), lambda n: [guest_blob(i + 1, PAGE) for i in range(n)]
    ),
    Bound("entries of a backing", limited(entries=LIMIT), lambda n: [image(1), attach(1, *[(0, 4)] * n)]),
    Bound("entries of a blob", limited(entries=LIMIT), lambda n: [guest_blob(1, PAGE, *[(0, PAGE)] * n)]),
    Bound("capset bytes", limited(capset_bytes=LIMIT), lambda n: [GetCapset(capset_id=n)]),
    Bound(
        "submit bytes",
        limited(submit_bytes=LIMIT * 24),
        lambda n: [CONTEXT, submit(1, *[StreamAlloc(exporter=1, blob_id=i, size=1) for i in range(n)])],
    ),
    Bound("fences", limited(fences=LIMIT), lambda n: [CONTEXT, *[fenced(i) for i in range(n)]]),
    Bound(
        "objects of the renderer", renderer_limited(objects=LIMIT), lambda n: [CONTEXT, *[alloc(i) for i in range(n)]]
    ),
    Bound(
        "memory of the renderer", renderer_limited(host_memory=LIMIT * PAGE), lambda n: [CONTEXT, alloc(1, n * PAGE)]
    ),
)
every_bound = pytest.mark.parametrize("bound", BOUNDS, ids=str)


@pytest.mark.parametrize("field", DeviceLimits.__struct_fields__)
def test_every_limit_of_the_device_is_tested_here(field: str) -> None:
    unlike = DeviceLimits()
    assert any(getattr(b.config.device_limits, field) != getattr(unlike, field) for b in BOUNDS)


@every_bound
@pytest.mark.parametrize("number", [LIMIT - 1, LIMIT])
def test_the_limit_can_be_reached(bound: Bound, number: int) -> None:
    with Rig(bound.config) as rig:
        for request in bound.requests(number):
            answer = rig.send(request)
            assert answer is None or answer.type < CtrlType.RESP_ERR_UNSPEC
        assert not rig.refused_rules()


@every_bound
def test_one_more_than_the_limit_is_out_of_memory(bound: Bound) -> None:
    with Rig(bound.config) as rig:
        *before, last = bound.requests(LIMIT + 1)
        for request in before:
            rig.send(request)
        assert not rig.refused_rules()
        assert rig.type_of(last) == OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("taken", "given_back"),
    [
        (image(7), ResourceUnref(resource_id=7)),
        (volume(7), ResourceUnref(resource_id=7)),
        (guest_blob(7, PAGE), ResourceUnref(resource_id=7)),
        (CtxCreate(ctx_id=7), CtxDestroy(ctx_id=7)),
    ],
    ids=["image", "volume", "blob", "context"],
)
def test_what_is_given_back_can_be_taken_again(taken: CtrlHdr, given_back: CtrlHdr) -> None:
    with Rig(limited(resources=1, contexts=1, host_memory=4, blob_bytes=PAGE)) as rig:
        for _ in range(3):
            rig.ok(taken)
            assert rig.type_of(taken) >= CtrlType.RESP_ERR_UNSPEC
            rig.ok(given_back)


def test_a_fence_that_is_signalled_makes_room_for_another() -> None:
    with Rig(limited(fences=1)) as rig:
        rig.ok(CONTEXT)
        for number in range(3):
            assert rig.send(fenced(number)) is None
            flush = ResourceFlush(flags=FENCE | RING, ctx_id=1, fence_id=99, r=Rect(), resource_id=1)
            assert rig.type_of(flush) == OUT_OF_MEMORY
            assert [used.head for used in rig.advance(1)]


@pytest.mark.parametrize(("count", "there"), [(0, False), (1, True), (16, True), (17, False)])
def test_a_device_has_1_to_16_scanouts(count: int, there: bool) -> None:
    if there:
        assert len(Displays([(8, 8)] * count).modes()) == 16
        return
    with pytest.raises(ValueError, match="scanouts"):
        Displays([(8, 8)] * count)


# -- nothing large is made


def header(number: int, *rest: bytes) -> bytes:
    return struct.pack("<IIQIB3x", number, 0, 0, 1, 0) + b"".join(rest)


MAX32, MAX64 = 2**32 - 1, 2**64 - 1
#: name -> a request for very much, in few bytes, and the answer
GREEDY: dict[str, tuple[bytes, CtrlType]] = {
    "2D image": (header(0x101, struct.pack("<4I", 9, BGRA, MAX32, MAX32)), OUT_OF_MEMORY),
    "3D image": (header(0x204, struct.pack("<12I", 9, 2, BGRA, 2, *[MAX32] * 6, 0, 0)), OUT_OF_MEMORY),
    "entries of a backing": (header(0x106, struct.pack("<2I", 1, MAX32)), OUT_OF_MEMORY),
    "entries of a blob": (header(0x10C, struct.pack("<4I2Q", 9, 1, 1, MAX32, 0, PAGE)), OUT_OF_MEMORY),
    "guest blob": (header(0x10C, struct.pack("<4I2Q", 9, 1, 1, 0, 0, MAX64 - PAGE + 1)), OUT_OF_MEMORY),
    "host blob": (header(0x10C, struct.pack("<4I2Q", 9, 2, 1, 0, 0, MAX64 - PAGE + 1)), OUT_OF_MEMORY),
    "command stream": (header(0x207, struct.pack("<2I", MAX32, 0)), OUT_OF_MEMORY),
    "transfer": (header(0x105, struct.pack("<4IQ2I", 0, 0, MAX32, MAX32, 0, 1, 0)), PARAMETER),
    "3D transfer": (header(0x205, struct.pack("<6IQ4I", 0, 0, 0, *[MAX32] * 3, 0, 2, MAX32, 0, 0)), PARAMETER),
    "empty 3D transfer": (header(0x205, struct.pack("<6IQ4I", 0, 0, 0, 0, 1, 1, 0, 2, 0, 0, 0)), OK),
    "capset": (header(0x109, struct.pack("<2I", MAX32, MAX32)), PARAMETER),
    "object of the renderer": (alloc(1, MAX64).build(), OUT_OF_MEMORY),
}


@pytest.fixture
def traced() -> Iterator[Any]:
    tracemalloc.start()
    yield tracemalloc
    tracemalloc.stop()


@pytest.mark.parametrize("name", GREEDY)
def test_nothing_large_is_made_for_a_greedy_request(name: str, traced: Any) -> None:
    data, expected = GREEDY[name]
    with Rig() as rig:
        rig.ok(CONTEXT, image(1), attach(1, (0, PAGE)), volume(2), attach(2, (0, PAGE)))
        live = dict(rig.parts.kernel.live)
        rig.exchange(data)  # imports and compiles what the first such request needs
        traced.reset_peak()
        before = traced.get_traced_memory()[0]
        written = rig.exchange(data)
        assert traced.get_traced_memory()[1] - before < 64 << 10
        assert int.from_bytes(written[:4], "little") == expected
        assert rig.parts.kernel.live == live


def test_a_transfer_of_many_thin_lines_takes_no_memory_for_them(traced: Any) -> None:
    lines = 20_000
    request = TransferToHost2D(r=Rect(width=1, height=lines), resource_id=1)
    with Rig() as rig:
        rig.ok(ResourceCreate2D(resource_id=1, format=BGRA, width=2, height=lines), attach(1, (0, 8 * lines)))
        rig.ok(request)
        traced.reset_peak()
        before = traced.get_traced_memory()[0]
        rig.ok(request)
        assert traced.get_traced_memory()[1] - before < 64 << 10


def test_more_entries_than_allowed_are_not_read(traced: Any) -> None:
    data = attach(1, *[(0, 4)] * 16385).build()
    with Rig() as rig:
        rig.ok(image(1))
        rig.exchange(data)
        traced.reset_peak()
        before = traced.get_traced_memory()[0]
        assert int.from_bytes(rig.exchange(data)[:4], "little") == OUT_OF_MEMORY
        # one copy of the chain's bytes, and no record or tuple of an entry
        assert traced.get_traced_memory()[1] - before < len(data) + (64 << 10)


def test_blobs_that_the_device_has_no_room_for_are_not_asked_of_the_renderer() -> None:
    with Rig(limited(blob_bytes=PAGE)) as rig:
        rig.ok(CONTEXT, alloc(9, 2 * PAGE))
        rig.questions.clear()
        assert rig.type_of(host_blob(9, 2 * PAGE)) == OUT_OF_MEMORY
        assert not rig.questions
