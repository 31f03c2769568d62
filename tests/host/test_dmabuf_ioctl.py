"""The dma-buf ioctl as the series' first posting has it, errno by errno and in the order of its checks.

request number (ENOTTY), copy_from_user (EFAULT), param (EINVAL), the op is missing (ENOSYS), the op is called,
copy_to_user (EFAULT). The same answers come through the renderer link, where the VMM is another process.
"""

import os
from errno import EBADF, EFAULT, EINVAL, ENOSYS, ENOTTY
from typing import NamedTuple

import pytest

from vgpu_emu.host.dmabuf import DmaBuf, DmaBufOps, Kernel, Process, UserBuffer
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.host.renderer import Renderer
from vgpu_emu.ids import Fd
from vgpu_emu.memory import Memory
from vgpu_emu.vocabulary import Dialect, HostAttribute
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.dmabuf import (
    DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
    DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
    DMA_BUF_IOCTL_INFO,
    DMA_BUF_IOCTL_SYNC,
    DMA_BUF_SET_NAME_A,
    DMA_BUF_SET_NAME_B,
    DmaBufInfo,
    DmaBufMapInfo,
)
from vgpu_wire.renderer_link import Answer, Ioctl

WC, CACHED, INCOHERENT, SILENT, DRM = (EXPORTERS[kind] for kind in ExporterKind)
RFC1, RFC3 = Dialect.RFC1, Dialect.RFC3
#: dirty on purpose: what is there before must not matter, and what is not the kernel's must come back
QUERY = DmaBufInfo(param=1, pad=0x5A5A5A5A, value=0x0123456789ABCDEF).build()
WRONG = DmaBufInfo(param=2, pad=0x5A5A5A5A, value=0x0123456789ABCDEF).build()


def process_with(ops: DmaBufOps, dialect: Dialect | None = RFC1) -> tuple[Process, Fd]:
    kernel = Kernel(dialect)
    process = Process(kernel, "vmm")
    return process, process.install(kernel.dma_buf_export(Memory(4096, None), ops))


def counting(answer: int, calls: list[DmaBuf]) -> DmaBufOps:
    """An exporter whose op counts how often it is called."""

    def mmap_info(buf: DmaBuf) -> int:
        calls.append(buf)
        return answer

    return DmaBufOps("counting", HostAttribute.UNKNOWN, mmap_info)


def errno_of(process: Process, fd: Fd, request: int, argument: UserBuffer) -> int:
    """0, or the errno that the call fails with."""
    try:
        return process.ioctl(fd, request, argument)
    except OSError as refused:
        return refused.errno or -1


class Case(NamedTuple):
    """One call: who exports, what the kernel carries, what is asked with which argument, and what comes of it."""

    ops: DmaBufOps
    dialect: Dialect | None
    request: int
    argument: bytes
    errno: int
    value: int | None = None


ENOSYS_AS_VALUE = 0xFFFFFFFFFFFFFFDA
CASES = [
    # what is asked
    Case(WC, RFC1, 0, QUERY, ENOTTY),
    Case(WC, RFC1, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, QUERY, ENOTTY),
    Case(WC, RFC1, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, QUERY, ENOTTY),
    Case(WC, RFC1, DMA_BUF_IOCTL_INFO & ~(3 << 30), QUERY, ENOTTY),
    Case(WC, RFC1, DMA_BUF_IOCTL_INFO - (1 << 16), QUERY, ENOTTY),
    Case(WC, RFC1, 0xFFFFFFFF, b"", ENOTTY),
    Case(WC, None, DMA_BUF_IOCTL_INFO, QUERY, ENOTTY),
    Case(WC, None, DMA_BUF_IOCTL_INFO, b"", ENOTTY),
    # with which argument
    Case(WC, RFC1, DMA_BUF_IOCTL_INFO, b"", EFAULT),
    Case(WC, RFC1, DMA_BUF_IOCTL_INFO, QUERY[:15], EFAULT),
    Case(WC, RFC1, DMA_BUF_IOCTL_INFO, WRONG[:15], EFAULT),
    Case(SILENT, RFC1, DMA_BUF_IOCTL_INFO, QUERY[:15], EFAULT),
    Case(WC, RFC3, DMA_BUF_IOCTL_INFO, QUERY[:15], EFAULT),
    # which param
    Case(WC, RFC1, DMA_BUF_IOCTL_INFO, WRONG, EINVAL),
    Case(SILENT, RFC1, DMA_BUF_IOCTL_INFO, WRONG, EINVAL),
    Case(WC, RFC1, DMA_BUF_IOCTL_INFO, bytes(16), EINVAL),
    Case(WC, RFC3, DMA_BUF_IOCTL_INFO, WRONG, EINVAL),
    Case(SILENT, RFC3, DMA_BUF_IOCTL_INFO, bytes(16), EINVAL),
    # who answers, by the first posting
    Case(SILENT, RFC1, DMA_BUF_IOCTL_INFO, QUERY, ENOSYS),
    Case(WC, RFC1, DMA_BUF_IOCTL_INFO, QUERY, 0, 0),
    Case(CACHED, RFC1, DMA_BUF_IOCTL_INFO, QUERY, 0, 1),
    Case(INCOHERENT, RFC1, DMA_BUF_IOCTL_INFO, QUERY, 0, 1),
    Case(DRM, RFC1, DMA_BUF_IOCTL_INFO, QUERY, 0, ENOSYS_AS_VALUE),
    # and by the third, which has no error for an exporter that says nothing
    Case(WC, RFC3, DMA_BUF_IOCTL_INFO, QUERY, 0, 1),
    Case(CACHED, RFC3, DMA_BUF_IOCTL_INFO, QUERY, 0, 2),
    Case(INCOHERENT, RFC3, DMA_BUF_IOCTL_INFO, QUERY, 0, 0),
    Case(SILENT, RFC3, DMA_BUF_IOCTL_INFO, QUERY, 0, 0),
    Case(DRM, RFC3, DMA_BUF_IOCTL_INFO, QUERY, 0, 0),
    # what every kernel has; more of these below
    Case(WC, None, DMA_BUF_IOCTL_SYNC, b"\3" + bytes(7), 0),
    Case(WC, None, DMA_BUF_IOCTL_SYNC, b"\3" + bytes(6), EFAULT),
    Case(WC, None, DMA_BUF_IOCTL_SYNC, b"\4" + bytes(7), EINVAL),
    Case(WC, None, DMA_BUF_SET_NAME_A, b"name\0", 0),
    Case(WC, None, DMA_BUF_SET_NAME_A, b"name", EFAULT),
    Case(WC, None, DMA_BUF_SET_NAME_B, b"x" * 32, EINVAL),
]
every_case = pytest.mark.parametrize("case", CASES)


def _afterwards(case: Case) -> bytes:
    """The caller's buffer after the call: untouched by an error, else the same param and pad with the answer."""
    if case.value is None:
        return case.argument
    return DmaBufInfo(param=1, pad=0x5A5A5A5A, value=case.value).build()


@every_case
def test_ioctl_answers_as_the_kernel_would(case: Case) -> None:
    process, fd = process_with(case.ops, case.dialect)
    argument = bytearray(case.argument)
    assert errno_of(process, fd, case.request, argument) == case.errno
    assert argument == _afterwards(case)


@every_case
def test_ioctl_answers_the_same_across_the_renderer_link(case: Case) -> None:
    renderer = Renderer(Kernel(case.dialect))
    fd = renderer.vmm.install(renderer.process.kernel.dma_buf_export(Memory(4096, None), case.ops))
    question = Ioctl(fd=fd, request=case.request, size=len(case.argument), argument=case.argument)
    data, fds = renderer.handle(question.build())
    answer = Answer.parse(data)
    assert (answer.errno, fds) == (case.errno, ())
    assert answer.data == (b"" if case.errno else _afterwards(case))


def test_bad_descriptor_is_found_before_anything_else() -> None:
    process, fd = process_with(WC)
    assert errno_of(process, Fd(fd + 1), 0, None) == EBADF
    process.close(fd)
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, bytearray(QUERY)) == EBADF
    renderer = Renderer(Kernel(RFC1))
    assert Answer.parse(renderer.handle(Ioctl(fd=3, request=0).build())[0]).errno == EBADF


def test_no_address_is_a_fault_but_not_for_a_request_that_nobody_knows() -> None:
    process, fd = process_with(WC)
    assert errno_of(process, fd, 0, None) == ENOTTY
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, None) == EFAULT
    assert errno_of(process, fd, DMA_BUF_IOCTL_SYNC, None) == EFAULT
    assert errno_of(process, fd, DMA_BUF_SET_NAME_A, None) == EFAULT


@pytest.mark.parametrize("size", range(20))
def test_argument_is_sixteen_bytes_and_what_is_behind_them_is_left_alone(size: int) -> None:
    process, fd = process_with(CACHED)
    argument = bytearray((QUERY + b"\xee" * 4)[:size])
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, argument) == (EFAULT if size < 16 else 0)
    assert argument[16:] == b"\xee" * max(0, size - 16)


@pytest.mark.parametrize("read_only", [bytes, lambda data: memoryview(bytes(data))], ids=["bytes", "memoryview"])
@pytest.mark.parametrize(
    ("argument", "errno", "calls"), [(QUERY, EFAULT, 1), (WRONG, EINVAL, 0)], ids=["known param", "unknown param"]
)
def test_memory_that_cannot_be_written_is_found_after_the_op_ran(
    read_only: type[bytes], argument: bytes, errno: int, calls: int
) -> None:
    counted: list[DmaBuf] = []
    process, fd = process_with(counting(0, counted))
    unwritable = read_only(argument)
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, unwritable) == errno
    assert len(counted) == calls
    assert bytes(unwritable) == argument


def test_memory_that_cannot_be_written_hides_no_missing_op() -> None:
    process, fd = process_with(SILENT)
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, QUERY) == ENOSYS


def test_third_posting_cannot_write_either() -> None:
    process, fd = process_with(WC, RFC3)
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, QUERY) == EFAULT
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, WRONG) == EINVAL


def test_op_is_called_once_and_with_the_buffer_behind_the_descriptor() -> None:
    counted: list[DmaBuf] = []
    process, fd = process_with(counting(1, counted))
    other = process.install(process.kernel.dma_buf_export(Memory(4096, None), WC))
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, bytearray(QUERY)) == 0
    assert errno_of(process, other, DMA_BUF_IOCTL_INFO, bytearray(QUERY)) == 0
    assert [buf.inode for buf in counted] == [process.file(fd).inode]


@pytest.mark.parametrize("argument", [QUERY[:15], WRONG], ids=["short", "unknown param"])
def test_op_is_not_called_when_an_earlier_check_fails(argument: bytes) -> None:
    counted: list[DmaBuf] = []
    process, fd = process_with(counting(1, counted))
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, bytearray(argument)) in (EFAULT, EINVAL)
    assert counted == []


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (0, 0),
        (1, 1),
        (0x7FFFFFFF, 0x7FFFFFFF),
        (-1, 0xFFFFFFFFFFFFFFFF),
        (-38, 0xFFFFFFFFFFFFFFDA),
        (-0x80000000, 0xFFFFFFFF80000000),
    ],
)
def test_int_of_the_op_becomes_a_u64_with_its_sign(answer: int, value: int) -> None:
    process, fd = process_with(counting(answer, []))
    argument = bytearray(QUERY)
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, argument) == 0
    assert DmaBufInfo.parse(argument) == DmaBufInfo(param=1, pad=0x5A5A5A5A, value=value)


def test_argument_can_be_a_place_in_a_larger_buffer() -> None:
    process, fd = process_with(CACHED)
    memory = bytearray(b"\xee" * 8 + QUERY + b"\xee" * 8)
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, memoryview(memory)[8:24]) == 0
    assert memory == b"\xee" * 8 + DmaBufInfo(param=1, pad=0x5A5A5A5A, value=1).build() + b"\xee" * 8


def test_answer_of_the_third_posting_does_not_change_with_what_the_op_says() -> None:
    ops = DmaBufOps("both", HostAttribute.WC, lambda _buf: 77, DmaBufMapInfo.COHERENT_WC)
    process, fd = process_with(ops, RFC3)
    argument = bytearray(QUERY)
    assert errno_of(process, fd, DMA_BUF_IOCTL_INFO, argument) == 0
    assert DmaBufInfo.parse(argument).value == 1


# -- the ioctls that every kernel has


@pytest.mark.parametrize("dialect", [None, *Dialect])
@pytest.mark.parametrize(
    ("flags", "errno"),
    [(1, 0), (2, 0), (3, 0), (5, 0), (6, 0), (7, 0), (0, EINVAL), (4, EINVAL), (9, EINVAL), (1 << 63 | 1, EINVAL)],
)
def test_sync_wants_read_or_write_and_nothing_it_does_not_know(dialect: Dialect | None, flags: int, errno: int) -> None:
    process, fd = process_with(WC, dialect)
    assert errno_of(process, fd, DMA_BUF_IOCTL_SYNC, flags.to_bytes(8, "little")) == errno


@pytest.mark.parametrize("size", range(8))
def test_sync_of_a_short_argument_is_a_fault(size: int) -> None:
    process, fd = process_with(WC)
    assert errno_of(process, fd, DMA_BUF_IOCTL_SYNC, bytes([4] * size)) == EFAULT


@pytest.mark.parametrize("request_number", [DMA_BUF_SET_NAME_A, DMA_BUF_SET_NAME_B])
@pytest.mark.parametrize(
    ("argument", "errno", "name"),
    [
        (b"\0", 0, ""),
        (b"framebuffer\0behind", 0, "framebuffer"),
        (b"x" * 31 + b"\0", 0, "x" * 31),
        (b"x" * 32 + b"\0", EINVAL, "before"),
        (b"x" * 32, EINVAL, "before"),
        (b"x" * 31, EFAULT, "before"),
        (b"", EFAULT, "before"),
    ],
)
def test_name_has_at_most_31_bytes_and_a_nul(request_number: int, argument: bytes, errno: int, name: str) -> None:
    process, fd = process_with(WC, None)
    assert errno_of(process, fd, request_number, b"before\0") == 0
    assert errno_of(process, fd, request_number, argument) == errno
    assert process.file(fd).name == name


def test_every_refusal_says_why() -> None:
    process, fd = process_with(SILENT)
    with pytest.raises(OSError, match="silent has no mmap_info") as refused:
        process.ioctl(fd, DMA_BUF_IOCTL_INFO, bytearray(QUERY))
    assert os.strerror(refused.value.errno or 0) == "Function not implemented"
