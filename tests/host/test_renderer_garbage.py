"""Whatever bytes the renderer is asked, it answers, and nothing is left behind."""

from errno import EBADF, EBUSY, EEXIST, EFAULT, EINVAL, EMFILE, ENOENT, ENOMEM, ENOSYS, ENOTTY, EPROTO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from renderer_talk import blob, context, free, make, resource, submit, talk, with_blob
from support import PAGE

from vgpu_emu.host.renderer import RendererLimits
from vgpu_emu.ids import Fd
from vgpu_wire.context_stream import StreamAlloc
from vgpu_wire.dmabuf import DMA_BUF_IOCTL_INFO
from vgpu_wire.renderer_link import (
    Answer,
    Close,
    Ioctl,
    Op,
    Question,
    Submit,
)


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(Question(op=Op.SUBMIT.value).build()[:7], id="less than a question"),
        pytest.param(Question(op=0).build() + bytes(8), id="op 0"),
        pytest.param(Question(op=12).build() + bytes(8), id="an op behind the last"),
        pytest.param(Question(op=0xFFFFFFFF).build() + bytes(8), id="the largest op"),
        pytest.param(context(Op.CTX_CREATE, 2).build() + b"\0", id="a byte too many"),
        pytest.param(Submit(ctx_id=1, size=8, commands=bytes(8)).build()[:-1], id="fewer commands than said"),
        pytest.param(Ioctl(fd=3, size=4, argument=bytes(4)).build() + b"\0", id="a longer argument than said"),
    ],
)
def test_bytes_that_are_no_question_are_eproto(question: bytes) -> None:
    data, fds = make().handle(question)
    assert (Answer.parse(data), fds) == (Answer(errno=EPROTO), ())


@pytest.mark.parametrize("question", [context(op) for op in (Op.CTX_DESTROY, Op.CTX_ATTACH)] + [blob()])
def test_every_prefix_of_a_question_is_eproto(question: Question) -> None:
    data = question.build()
    renderer = make()
    for length in range(len(data)):
        assert Answer.parse(renderer.handle(data[:length])[0]).errno == EPROTO


SMALL = st.integers(0, 6)
SIZES = st.integers(0, 3 * PAGE)
QUESTIONS = st.one_of(
    st.builds(context, st.sampled_from([Op.CTX_CREATE, Op.CTX_DESTROY, Op.CTX_ATTACH, Op.CTX_DETACH]), SMALL, SMALL),
    st.builds(resource, st.sampled_from([Op.UNREF, Op.EXPORT_BLOB, Op.GET_MAP_INFO]), SMALL),
    st.builds(
        lambda kind, number, size: submit(StreamAlloc(exporter=kind, blob_id=number, size=size).build()),
        *(SMALL, SMALL, SIZES),
    ),
    st.builds(lambda number: submit(free(number)), SMALL),
    st.builds(lambda number, blob_id, size: blob(resource_id=number, blob_id=blob_id, size=size), SMALL, SMALL, SIZES),
    st.builds(
        lambda fd, data: Ioctl(fd=fd, request=DMA_BUF_IOCTL_INFO, size=len(data), argument=data),
        *(SMALL, st.binary(max_size=17)),
    ),
    st.builds(lambda fd: Close(fd=fd), SMALL),
)
KNOWN_ERRNOS = {0, EBADF, EBUSY, EEXIST, EFAULT, EINVAL, EMFILE, ENOENT, ENOMEM, ENOSYS, ENOTTY, EPROTO}


@given(st.lists(st.one_of(QUESTIONS.map(lambda question: question.build()), st.binary(max_size=40)), max_size=40))
def test_any_bytes_are_answered_and_nothing_is_left_behind(questions: list[bytes]) -> None:
    renderer = make(max_fds=4, limits=RendererLimits(objects=6, host_memory=8 * PAGE))
    for question in questions:
        data, fds = renderer.handle(question)
        assert Answer.parse(data).errno in KNOWN_ERRNOS
        for passed in fds:
            passed.memory.release()
        kernel = renderer.process.kernel
        assert len(kernel.live) <= 6
        assert kernel.live_bytes == sum(buf.memory.size for buf in kernel.live.values()) <= 8 * PAGE
        assert set(map(id, renderer.process.files.values())) <= set(map(id, kernel.live.values()))
    renderer.exit()
    assert (renderer.process.kernel.live, renderer.process.kernel.live_bytes) == ({}, 0)


def test_exit_closes_what_both_processes_have() -> None:
    renderer = with_blob()
    _, (passed,) = talk(renderer, resource(Op.EXPORT_BLOB))
    passed.memory.release()
    renderer.exit()
    assert renderer.process.kernel.live == {}
    assert Fd(3) not in renderer.vmm.files
