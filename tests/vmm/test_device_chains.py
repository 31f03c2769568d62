"""Chains of any shape: requests that are too short or too long, answers that do not fit, fences, bytes of any kind."""

from random import Random

import pytest
from support import PAGE, alloc
from vmm_support import (
    CAPACITY,
    CONTEXT,
    answer_to,
    bare,
    blob,
    blobs,
    known,
    map_blob,
    prepare,
    send,
    submit,
    unmap,
    unref,
    with_blob,
)

from vgpu_emu.link.chain import Chain
from vgpu_emu.lockstep import Lockstep
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType
from vgpu_wire.device import CONTROLQ
from vgpu_wire.messages import type_name
from vgpu_wire.render import CtxCreate, CtxDestroy, CtxResource

FENCE, RING = CtrlFlag.FENCE.value, CtrlFlag.INFO_RING_IDX.value
#: every command with what must be there before it
COMMANDS: list[tuple[list[CtrlHdr], CtrlHdr]] = [
    ([], CONTEXT),
    ([CONTEXT], CtxDestroy(type=CtrlType.CTX_DESTROY.value, ctx_id=1)),
    ([CONTEXT], submit(alloc())),
    ([CONTEXT, submit(alloc())], blob()),
    ([CONTEXT, *with_blob()], CtxResource(type=CtrlType.CTX_ATTACH_RESOURCE.value, ctx_id=1, resource_id=5)),
    ([CONTEXT, *with_blob()], CtxResource(type=CtrlType.CTX_DETACH_RESOURCE.value, ctx_id=1, resource_id=5)),
    ([CONTEXT, *with_blob()], map_blob(offset=PAGE)),
    ([CONTEXT, *with_blob(), map_blob()], unmap()),
    ([CONTEXT, *with_blob(), map_blob()], unref()),
]
every_command = pytest.mark.parametrize(
    ("before", "request_"), COMMANDS, ids=lambda value: type_name(value.type) if isinstance(value, CtrlHdr) else ""
)


def ready(before: list[CtrlHdr]) -> Lockstep:
    pair = bare()
    prepare(pair, before)
    return pair


@every_command
def test_every_prefix_of_a_request_is_refused_and_changes_nothing(before: list[CtrlHdr], request_: CtrlHdr) -> None:
    data = request_.build()
    with ready(before) as pair:
        untouched = known(pair.parts)
        for length in range(len(data)):
            answer = send(pair, data[:length]).type
            assert answer == (CtrlType.RESP_ERR_UNSPEC if length < 24 else CtrlType.RESP_ERR_INVALID_PARAMETER)
        assert known(pair.parts) == untouched


@every_command
def test_bytes_behind_a_request_are_ignored(before: list[CtrlHdr], request_: CtrlHdr) -> None:
    with ready(before) as pair, ready(before) as other:
        assert send(pair, request_.build() + b"\xff" * 33) == send(other, request_)
        assert set(pair.parts.device.resources) == set(other.parts.device.resources)


@every_command
@pytest.mark.parametrize("capacity", [0, 1, 23, 24, 25, 31, 32, 33])
def test_answer_is_cut_to_the_capacity(before: list[CtrlHdr], request_: CtrlHdr, capacity: int) -> None:
    with ready(before) as pair, ready(before) as other:
        whole = send(other, request_).build()
        used = answer_to(pair, Chain(7, CONTROLQ, request_.build(), capacity))
        assert used.written == whole[:capacity]
        assert (used.head, used.queue) == (7, CONTROLQ)
        # the command was carried out all the same
        assert pair.parts.device.contexts == other.parts.device.contexts
        assert len(pair.parts.region) == len(other.parts.region)


@every_command
@pytest.mark.parametrize(
    ("flags", "echoed", "ring_idx"),
    [(0, 0, 0), (FENCE, FENCE, 0), (FENCE | RING, FENCE | RING, 5), (RING, 0, 0), (0xFFFFFFFF, FENCE | RING, 5)],
)
def test_fence_is_echoed_and_nothing_else(
    before: list[CtrlHdr], request_: CtrlHdr, flags: int, echoed: int, ring_idx: int
) -> None:
    data = request_.build()
    fence_id = 0xFEDCBA9876543210
    data = (
        data[:4] + flags.to_bytes(4, "little") + fence_id.to_bytes(8, "little") + data[16:20] + b"\5\1\2\3" + data[24:]
    )
    with ready(before) as pair:
        answer = send(pair, data)
        assert answer.type in (CtrlType.RESP_OK_NODATA, CtrlType.RESP_OK_MAP_INFO)
        assert (answer.flags, answer.ring_idx, answer.hdr_padding) == (echoed, ring_idx, bytes(3))
        assert (answer.fence_id, answer.ctx_id) == ((fence_id, request_.ctx_id) if echoed else (0, 0))


def test_answer_is_logged_as_cut() -> None:
    with ready([CONTEXT, *with_blob()]) as pair:
        pair.submit(Chain(7, CONTROLQ, map_blob().build(), 30))
        (note,) = pair.log.notes("truncated")
        assert note.values == {"size": RespMapInfo.layout.size, "capacity": 30}


def test_request_of_more_entries_than_there_are_bytes_allocates_nothing() -> None:
    huge = blob().build()
    huge = huge[:36] + b"\xff\xff\xff\xff" + huge[40:]
    with ready([CONTEXT, submit(alloc())]) as pair:
        assert send(pair, huge).type == CtrlType.RESP_ERR_OUT_OF_MEMORY
        (note,) = pair.log.notes("malformed")
        assert "virtio_gpu_resource_create_blob.entries[0]" in note.values["detail"]


# -- any bytes at all


def _any_request(random: Random) -> bytes:
    """A request that may make sense: ids are few, so that commands meet each other."""
    first, second, ctx_id = random.choice([1, 2, 2, 3, 0]), random.randrange(3), random.choice([1] * 8 + [2, 0])
    place = random.choice([0, PAGE, 2 * PAGE, 3 * PAGE, 15 * PAGE, 16 * PAGE, 1, (1 << 64) - PAGE])
    size = random.choice([PAGE, PAGE, 2 * PAGE, 1, 0, 2 * PAGE + 1])
    exporter = random.choice([ExporterKind.WC, ExporterKind.CACHED, ExporterKind.INCOHERENT, *ExporterKind])
    requests = [
        map_blob(first, place),
        map_blob(first, place),
        unmap(first),
        unref(first),
        blob(first, second, size, blob_flags=random.choice([1, 1, 3, 0, 8]), ctx_id=ctx_id),
        submit(alloc(exporter, blob_id=second, size=size), ctx_id),
        CtxCreate(ctx_id=ctx_id),
        CtxDestroy(type=random.choice([CtrlType.CTX_DESTROY.value, 0x20A, 0xFFFFFFFF, 0x100]), ctx_id=second),
    ]
    request = random.choices(requests, [6, 6, 2, 3, 8, 8, 2, 1])[0].build()
    spoilt = random.randrange(20)
    return request[: random.randrange(len(request))] if not spoilt else random.randbytes(40) if spoilt == 1 else request


def _any_session(random: Random) -> set[int]:
    """The types of all answers to 400 such requests."""
    answers = set()
    with bare() as pair:
        for _ in range(400):
            capacity = random.choice([CAPACITY, 32, 0])
            used = answer_to(pair, Chain(0, CONTROLQ, _any_request(random), capacity))
            assert len(used.written) <= capacity
            if capacity:
                answers.add(int.from_bytes(used.written[:4], "little"))
            _check(pair)
    assert pair.parts.leaks() == []
    return answers


def test_any_bytes_are_answered_and_nothing_is_left_behind() -> None:
    answers = set().union(*[_any_session(Random(seed)) for seed in range(12)])
    # not in vain: blobs were mapped, and rules of most kinds broken
    assert answers >= {
        CtrlType.RESP_OK_NODATA,
        CtrlType.RESP_OK_MAP_INFO,
        CtrlType.RESP_ERR_UNSPEC,
        CtrlType.RESP_ERR_INVALID_RESOURCE_ID,
        CtrlType.RESP_ERR_INVALID_CONTEXT_ID,
        CtrlType.RESP_ERR_INVALID_PARAMETER,
    }


def _check(pair: Lockstep) -> None:
    """What must always hold: mappings are inside, apart and of blobs that say so; sums are sums."""
    device, region = pair.parts.device, pair.parts.region
    end = 0
    for slot in region:
        assert slot.offset >= end
        end = slot.offset + slot.length
        assert end <= region.size
    assert {slot.offset for slot in region} == {b.offset for b in blobs(device).values() if b.offset is not None}
    assert device.blob_bytes == sum(known_blob.size for known_blob in blobs(device).values())
    assert set(device.resources) == set(pair.parts.renderer.resources)
    assert set(device.contexts) == set(pair.parts.renderer.contexts)
    assert len(pair.parts.renderer.vmm.files) == sum(b.exported is not None for b in blobs(device).values())
