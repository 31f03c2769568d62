"""A renderer that is not the fake one: wrong errnos, garbage, too many descriptors or too few, too little memory."""

from errno import EBADF, EEXIST, EINVAL, EIO, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSYS, ENOTTY, EPROTO

import pytest
from hand_driven import (
    MAPPED,
    OK,
    OUT_OF_MEMORY,
    PARAMETER,
    UNSPEC,
    YES,
    asking,
    kinds,
    make,
    no,
    passed,
    says,
    talk,
    with_blob,
    yes,
)
from support import PAGE, alloc
from vmm_support import CONTEXT, blob, blobs, map_blob, submit, unref

from vgpu_emu.ids import Fd
from vgpu_emu.memory import Memory, PassedFd
from vgpu_emu.vmm.asking import Reply, parse_reply
from vgpu_wire.control import CtrlHdr, CtrlType
from vgpu_wire.render import CtxDestroy, CtxResource
from vgpu_wire.renderer_link import Answer, Close, CreateBlob, Op, Question, ResourceQuestion

CLOSES: list[Question] = [Close(fd=30), Close(fd=31)]


# -- errnos

ERRNOS = [
    (EINVAL, PARAMETER),
    (ENOENT, PARAMETER),
    (EEXIST, PARAMETER),
    (ENOMEM, OUT_OF_MEMORY),
    (EMFILE, OUT_OF_MEMORY),
    (ENFILE, OUT_OF_MEMORY),
    (EIO, UNSPEC),
    (EPROTO, UNSPEC),
    (EBADF, UNSPEC),
    (0xFFFFFFFF, UNSPEC),
]
every_errno = pytest.mark.parametrize(("errno", "response"), ERRNOS)


@every_errno
def test_errno_of_a_refused_call_becomes_a_response(errno: int, response: CtrlType) -> None:
    device = make()
    assert talk(device, CONTEXT, [no(errno)])[0].type == response
    assert device.contexts == {}
    assert talk(device, CONTEXT, [YES])[0].type == OK
    assert talk(device, submit(alloc()), [no(errno)])[0].type == response
    assert talk(device, blob(), [no(errno)])[0].type == response
    assert (device.resources, device.blob_bytes) == ({}, 0)


@every_errno
@pytest.mark.parametrize("profile", ["crosvm", "qemu-virgl"])
def test_real_vmms_say_unspec_whatever_the_renderer_says(profile: str, errno: int, response: CtrlType) -> None:
    assert response in (PARAMETER, OUT_OF_MEMORY, UNSPEC)
    assert talk(make(profile), CONTEXT, [no(errno)])[0].type == UNSPEC


def test_refused_errno_is_in_the_log() -> None:
    device = make()
    talk(device, CONTEXT, [no(EIO)])
    assert next(device.log.notes("renderer_refused")).values == {"errno": EIO}


@pytest.mark.parametrize("data", [b"", b"\0" * 23, b"\0" * 25, bytes(16) + b"\1" + bytes(7), b"\xff" * 40])
def test_bytes_that_are_no_answer_count_as_eproto(data: bytes) -> None:
    reply = parse_reply(data)
    assert reply == Reply(Answer(errno=EPROTO, serial=int.from_bytes(data[4:8], "little")))
    assert talk(make(), CONTEXT, [reply])[0].type == UNSPEC


def test_descriptors_beside_garbage_are_kept_to_be_closed() -> None:
    fds = passed(PAGE)
    reply = parse_reply(b"garbage", fds)
    assert reply.fds == fds
    answer, questions = talk(make(), CONTEXT, [reply, YES])
    assert answer.type == UNSPEC
    assert questions[1] == Close(fd=10)
    assert fds[0].memory.holders == 0


@pytest.mark.parametrize("errno", [0, EINVAL, EIO])
def test_guest_gets_rid_of_a_blob_whatever_the_renderer_says(errno: int) -> None:
    device = with_blob()
    answer, questions = talk(device, unref(), [no(errno), no(errno)])
    assert answer.type == OK
    assert kinds(questions) == [Op.CLOSE, Op.UNREF]
    assert (device.resources, device.blob_bytes) == ({}, 0)


def test_context_that_the_renderer_does_not_destroy_stays() -> None:
    device = with_blob()
    destroy = CtxDestroy(type=CtrlType.CTX_DESTROY.value, ctx_id=1)
    assert talk(device, destroy, [no(EIO)])[0].type == UNSPEC
    assert list(device.contexts) == [1]


# -- descriptors that nobody asked for


def _commands() -> dict[str, tuple[CtrlHdr, list[Reply], int, CtrlType]]:
    """Commands on a device with a blob, the replies to their questions, the one that brings descriptors, the answer."""
    attach = CtxResource(type=CtrlType.CTX_ATTACH_RESOURCE.value, ctx_id=1, resource_id=5)
    destroy = CtxDestroy(type=CtrlType.CTX_DESTROY.value, ctx_id=1)
    exported = yes(*passed(PAGE), value=PAGE)
    return {
        "attach": (attach, [YES], 0, OK),
        "destroy": (destroy, [YES], 0, OK),
        "submit": (submit(alloc()), [YES], 0, OK),
        "submit refused": (submit(alloc()), [no(EINVAL)], 0, PARAMETER),
        "create": (blob(6), [YES, exported], 0, OK),
        "create refused": (blob(6), [no(EINVAL)], 0, PARAMETER),
        "export": (blob(6), [YES, exported], 1, OK),
        "export refused": (blob(6), [YES, no(EMFILE)], 1, OK),
        "ioctl": (map_blob(), [says(1)], 0, MAPPED),
        "ioctl refused": (map_blob(), [no(ENOSYS)], 0, UNSPEC),
        "guess": (map_blob(), [no(ENOTTY), yes(value=3)], 1, MAPPED),
        "unref": (unref(), [YES, YES], 1, OK),
    }


@pytest.mark.parametrize("name", _commands())
def test_surplus_descriptors_are_closed_and_their_memory_let_go(name: str) -> None:
    device = with_blob()
    request, replies, where, response = _commands()[name]
    surplus = tuple(PassedFd(Fd(30 + number), Memory(PAGE, None)) for number in range(2))
    beside = Reply(replies[where].answer, replies[where].fds + surplus)
    answer, questions = talk(device, request, [*replies[:where], beside, YES, YES, *replies[where + 1 :]])
    assert answer.type == response
    assert [question for question in questions if question in CLOSES] == CLOSES
    assert [each.memory.holders for each in surplus] == [0, 0]


def test_descriptors_beside_the_answer_to_close_do_not_go_on_for_ever() -> None:
    device = with_blob()
    fds = passed(PAGE)
    answer, questions = talk(device, unref(), [yes(*fds), YES])
    assert (answer.type, kinds(questions)) == (OK, [Op.CLOSE, Op.UNREF])
    assert fds[0].memory.holders == 0


# -- the exported blob


@pytest.mark.parametrize(
    ("size", "errno", "memories"),
    [
        pytest.param(PAGE, EMFILE, [], id="an error"),
        pytest.param(PAGE, 0, [], id="no descriptor"),
        pytest.param(PAGE, 0, [PAGE - 1], id="one byte less"),
        pytest.param(PAGE, 0, [0], id="no byte"),
        pytest.param(PAGE, 0, [0, PAGE], id="the second is large enough"),
        pytest.param(PAGE + 1, 0, [PAGE + 1], id="less than whole pages"),
        pytest.param(PAGE, EIO, [PAGE], id="an error and a descriptor"),
    ],
)
def test_blob_without_enough_memory_exists_but_cannot_be_mapped(size: int, errno: int, memories: list[int]) -> None:
    device, fds = make(), passed(*memories)
    assert talk(device, CONTEXT, [YES])[0].type == OK
    reply = Reply(Answer(errno=errno, value=size), fds)
    assert talk(device, blob(size=size), [YES, reply, *[YES] * len(fds)])[0].type == OK
    assert [each.memory.holders for each in fds] == [0] * len(fds)
    assert talk(device, map_blob(), [])[0].type == UNSPEC
    assert len(device.region) == 0
    assert talk(device, unref(), [YES])[0].type == OK


@pytest.mark.parametrize("size", [PAGE, PAGE + 1, 4 * PAGE])
def test_blob_with_more_memory_than_it_needs_is_mapped_as_large_as_it_is(size: int) -> None:
    fds = passed(size)
    device = with_blob(fds)
    assert talk(device, map_blob(offset=PAGE), [says(0)])[0].type == MAPPED
    (slot,) = device.region
    assert (slot.offset, slot.length) == (PAGE, PAGE)
    assert fds[0].memory.holders == 2
    assert talk(device, unref(), [YES, YES])[0].type == OK
    assert fds[0].memory.holders == 0


def test_blob_without_use_mappable_is_not_exported() -> None:
    device = make()
    assert talk(device, CONTEXT, [YES])[0].type == OK
    answer, questions = talk(device, blob(blob_flags=2), [YES])
    assert (answer.type, kinds(questions)) == (OK, [Op.CREATE_BLOB])


def test_questions_say_what_the_guest_said() -> None:
    device = make()
    talk(device, CONTEXT, [YES])
    _, (created, exported) = talk(device, blob(5, 0xABCDEF, PAGE + 1, blob_flags=3), [YES, yes(*passed(2 * PAGE))])
    assert created == CreateBlob(ctx_id=1, resource_id=5, blob_mem=2, blob_flags=3, blob_id=0xABCDEF, size=PAGE + 1)
    assert exported == ResourceQuestion(op=Op.EXPORT_BLOB.value, resource_id=5)


def test_pages_of_a_lying_renderer_are_not_held_after_the_device_is_abandoned() -> None:
    device = with_blob()
    fds = passed(PAGE, PAGE, PAGE)
    steps = asking(device, submit(alloc()))
    next(steps)
    steps.send(yes(*fds))
    steps.close()
    assert [each.memory.holders for each in fds] == [0, 0, 0]


def test_blob_is_the_devices_to_close_though_surplus_is_not_closed_yet() -> None:
    device = make()
    talk(device, CONTEXT, [YES])
    fds = passed(PAGE, PAGE)
    steps = asking(device, blob())
    next(steps)
    steps.send(YES)
    assert steps.send(yes(*fds, value=PAGE)) == Close(fd=11)
    steps.close()
    (kept,) = blobs(device).values()
    assert kept.exported == fds[0]
    assert fds[1].memory.holders == 0
